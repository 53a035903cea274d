"""Similarity transforms are recovered, and angles have the documented signs."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mien import Face, FaceSwapper
from mien.engine.arrays import RGB, Float
from mien.engine.pose import FLIP, Pose, angle_between, estimate_pose, umeyama

Photo = tuple[RGB, Face]
Photos = Callable[[int, str], Photo]

coordinates = st.floats(-5, 5, width=32)
vectors = arrays(np.float64, 3, elements=coordinates)
angles = st.floats(-3.1, 3.1)
clouds = arrays(np.float64, (12, 3), elements=coordinates).filter(
    lambda points: float(np.linalg.svd(points - points.mean(axis=0))[1][-1]) > 0.5
)


def turn(about: int, radians: float) -> Float:
    """Rotation about one of the axes x, y, z."""
    first, second = ((1, 2), (2, 0), (0, 1))[about]
    rotation = np.eye(3)
    rotation[first, first] = rotation[second, second] = np.cos(radians)
    rotation[second, first] = np.sin(radians)
    rotation[first, second] = -np.sin(radians)
    return rotation


def posed(rotation: Float) -> Pose:
    """A head that lies in the picture as the canonical face does after `rotation`."""
    return Pose(1.0, rotation.T, np.zeros(3))


@given(clouds, angles, angles, angles, st.floats(0.01, 100), vectors)
def test_a_known_similarity_is_recovered(
    points: Float, x: float, y: float, z: float, scale: float, shift: Float
) -> None:
    rotation = turn(0, x) @ turn(1, y) @ turn(2, z)
    found_scale, found_rotation, found_shift = umeyama(points, scale * points @ rotation.T + shift)
    assert found_scale == pytest.approx(scale, rel=1e-6)
    np.testing.assert_allclose(found_rotation, rotation, atol=1e-6)
    np.testing.assert_allclose(found_shift, shift, atol=1e-5 * max(1, scale))


@given(clouds, clouds)
def test_the_rotation_never_reflects(source: Float, target: Float) -> None:
    _, rotation, _ = umeyama(source, target)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)


@given(clouds)
def test_a_mirror_image_is_not_answered_with_a_reflection(points: Float) -> None:
    _, rotation, _ = umeyama(points, points * [-1, 1, 1])
    assert np.linalg.det(rotation) == pytest.approx(1)


@given(clouds, arrays(np.float64, (12, 3), elements=st.floats(-1e-3, 1e-3)))
def test_no_nearby_rotation_fits_better(points: Float, noise: Float) -> None:
    wanted = 2 * points @ turn(1, 0.4).T + noise
    scale, rotation, shift = umeyama(points, wanted)

    def misfit(rotation: Float) -> float:
        return float(((scale * points @ rotation.T + shift - wanted) ** 2).sum())

    assert all(
        misfit(rotation) <= misfit(rotation @ turn(axis, step)) + 1e-9
        for axis in range(3)
        for step in (-0.01, 0.01)
    )


def test_points_come_back_from_the_canonical_frame(photo: Photos) -> None:
    _, face = photo(5, "amateur_selfie")
    there = face.pose.canonical_from_image(face.landmarks)
    np.testing.assert_allclose(face.pose.image_from_canonical(there), face.landmarks, atol=1e-3)


def test_the_canonical_frame_has_one_unit_between_the_eye_corners_and_y_up(photo: Photos) -> None:
    _, face = photo(5, "amateur_selfie")
    there = face.pose.canonical_from_image(face.landmarks)
    assert np.linalg.norm(there[33] - there[263]) == pytest.approx(1, abs=0.1)
    forehead, chin, nose_tip, temple = there[10], there[152], there[4], there[127]
    assert forehead[1] > chin[1]
    assert nose_tip[2] > temple[2]


@pytest.mark.parametrize("degrees", [-40, -15, 20, 50])
def test_yaw_is_positive_when_the_nose_points_to_the_pictures_right(degrees: int) -> None:
    pose = posed(turn(1, np.radians(degrees)))
    assert pose.yaw == pytest.approx(degrees)
    nose = pose.image_from_canonical(np.array([[0.0, 0, 1]]))[0]
    assert np.sign(nose[0]) == np.sign(degrees)


@pytest.mark.parametrize("degrees", [-30, -10, 25])
def test_pitch_is_positive_when_the_nose_points_up(degrees: int) -> None:
    pose = posed(turn(0, np.radians(-degrees)))
    assert pose.pitch == pytest.approx(degrees)
    nose = pose.image_from_canonical(np.array([[0.0, 0, 1]]))[0]
    assert np.sign(-nose[1]) == np.sign(degrees)  # the picture's y points down


@pytest.mark.parametrize("degrees", [-140, -100, -70, -20, 20, 70, 120, 160])
def test_roll_is_positive_when_the_head_leans_clockwise(
    photo: Photos, swapper: FaceSwapper, degrees: int
) -> None:
    picture, upright = photo(2, "studio_portrait")
    middle = picture.shape[1] / 2, picture.shape[0] / 2
    matrix = cv2.getRotationMatrix2D(middle, -degrees, 1)  # OpenCV counts anticlockwise
    turned = cv2.warpAffine(picture, matrix, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    (face,) = swapper.detect(np.asarray(turned, np.uint8))
    assert face.roll == pytest.approx(upright.roll + degrees, abs=3)


def test_a_mirrored_picture_turns_yaw_and_roll_around(photo: Photos, swapper: FaceSwapper) -> None:
    picture, face = photo(1, "amateur_posture")
    (mirrored,) = swapper.detect(picture[:, ::-1])
    assert face.yaw > 12
    assert mirrored.yaw == pytest.approx(-face.yaw, abs=4)
    assert mirrored.pitch == pytest.approx(face.pitch, abs=3)
    assert mirrored.roll == pytest.approx(-face.roll, abs=3)


@pytest.mark.parametrize("degrees", [-30, -12, 18, 35])
def test_turning_the_mesh_turns_the_pose(photo: Photos, degrees: int) -> None:
    _, face = photo(3, "studio_portrait")
    centre = face.landmarks.mean(axis=0)
    rotation = FLIP[:, None] * turn(1, np.radians(degrees)) * FLIP
    turned = ((face.landmarks - centre) @ rotation.T + centre).astype(np.float32)
    assert estimate_pose(turned).yaw == pytest.approx(face.yaw + degrees, abs=1)
    assert angle_between(estimate_pose(turned), face.pose) == pytest.approx(abs(degrees), abs=1)


def test_size_and_place_in_the_picture_do_not_change_the_angles(photo: Photos) -> None:
    _, face = photo(5, "amateur_selfie")
    moved = estimate_pose(face.landmarks * np.float32(0.3) + np.array([200, -40, 9], np.float32))
    assert (moved.yaw, moved.pitch, moved.roll) == pytest.approx((face.yaw, face.pitch, face.roll), abs=0.01)
    assert moved.scale == pytest.approx(face.pose.scale / 0.3, rel=1e-4)


@given(angles)
def test_leaning_the_head_opens_no_angle_between_poses(radians: float) -> None:
    assert angle_between(posed(np.eye(3)), posed(turn(2, radians))) == pytest.approx(0, abs=1e-4)


@given(angles, angles, angles)
def test_the_angle_between_poses_is_symmetric_and_nought_to_a_half_turn(x: float, y: float, z: float) -> None:
    first, second = posed(turn(0, x) @ turn(1, y)), posed(turn(1, z) @ turn(0, y))
    assert 0 <= angle_between(first, second) <= 180
    assert angle_between(first, second) == pytest.approx(angle_between(second, first))

"""Landmarks stay on the face whatever is done to the picture, and crops are true to the pixel."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien import Face, FaceSwapper
from mien.engine.arrays import RGB, Float
from mien.engine.landmarks import eye_distance, find_landmarks, square_crop, warp_crop
from mien.engine.models import Network
from mien.engine.scaling import Pyramid
from mien.engine.topology import mirror_with_irises

Photo = tuple[RGB, Face]
Photos = Callable[[int, str], Photo]

SUBJECTS = [(1, "studio_portrait"), (5, "amateur_selfie"), (1, "amateur_posture")]
"""Frontal and close; bearded and turned by 10°; turned by 19° and 90 pixels high."""


def distances(points: Float, expected: Float) -> Float:
    """Per point, in the picture's plane, in eye distances."""
    away = np.linalg.norm(points[:, :2] - expected[:, :2], axis=1) / eye_distance(expected)
    return np.asarray(away, np.float32)


@pytest.mark.parametrize(
    ("degrees", "scale", "shift"),
    [
        (0, 0.6, (0, 0)),
        (25, 1, (0, 0)),
        (-30, 0.8, (20, 0)),
        (60, 1, (0, 0)),
        (0, 1, (37.3, -11.6)),
        (0, 1.4, (0, 90)),
    ],
)
@pytest.mark.parametrize(("person", "kind"), SUBJECTS)
def test_landmarks_follow_the_picture(
    photo: Photos,
    swapper: FaceSwapper,
    person: int,
    kind: str,
    degrees: float,
    scale: float,
    shift: tuple[float, float],
) -> None:
    picture, face = photo(person, kind)
    middle = picture.shape[1] / 2, picture.shape[0] / 2
    matrix = cv2.getRotationMatrix2D(middle, degrees, scale)
    matrix[:, 2] += np.array(shift)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    moved = cv2.warpAffine(
        picture, matrix, picture.shape[1::-1], flags=method, borderMode=cv2.BORDER_REPLICATE
    )
    (found,) = swapper.detect(np.asarray(moved, np.uint8))
    expected = face.landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    expected = np.column_stack([expected, face.landmarks[:, 2] * scale]).astype(np.float32)
    away = distances(found.landmarks, expected)
    assert away.mean() < 0.02
    assert away.max() < 0.1
    assert np.abs(found.landmarks[:, 2] - expected[:, 2]).mean() < 0.04 * eye_distance(expected)


@pytest.mark.parametrize(("person", "kind"), SUBJECTS)
def test_a_mirrored_picture_has_mirrored_landmarks(
    photo: Photos, swapper: FaceSwapper, person: int, kind: str
) -> None:
    picture, face = photo(person, kind)
    (found,) = swapper.detect(picture[:, ::-1])
    flipped = found.landmarks * np.array([-1, 1, 1], np.float32)
    flipped[:, 0] += picture.shape[1] - 1
    away = distances(flipped[mirror_with_irises()], face.landmarks)
    assert away.mean() < 0.01
    assert away.max() < 0.04


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("person", [2, 5, 9])
def test_landmarks_are_found_in_turned_pictures(
    photo: Photos, swapper: FaceSwapper, person: int, turns: int
) -> None:
    picture, face = photo(person, "amateur_selfie")
    (found,) = swapper.detect(np.rot90(picture, turns))
    points, (height, width) = face.landmarks.copy(), picture.shape[:2]
    for _ in range(turns):
        points[:, :2] = np.column_stack([points[:, 1], width - 1 - points[:, 0]])
        height, width = width, height
    assert found.problem is None
    assert distances(found.landmarks, points).mean() < 0.02


@pytest.mark.parametrize("cut", [0.1, 0.3])
def test_landmarks_bear_a_face_that_the_border_cuts(photo: Photos, swapper: FaceSwapper, cut: float) -> None:
    picture, face = photo(5, "amateur_selfie")
    left = int(face.box[0] + cut * (face.box[2] - face.box[0]))
    (found,) = swapper.detect(picture[:, left:])
    expected = face.landmarks - np.array([left, 0, 0], np.float32)
    assert distances(found.landmarks, expected).mean() < 0.06


def test_points_settle_on_a_face_and_not_on_noise(photo: Photos, mesh: Network) -> None:
    picture, face = photo(6, "amateur_selfie")
    box = np.array(face.box, np.float32)
    eyes = np.stack([face.landmarks[[33, 133], :2].mean(axis=0), face.landmarks[[263, 362], :2].mean(axis=0)])
    _, unrest = find_landmarks(Pyramid(picture), box, eyes, mesh)
    noise = np.random.default_rng(3).integers(0, 256, picture.shape, np.uint8)
    _, unrest_on_noise = find_landmarks(Pyramid(noise), box, eyes, mesh)
    assert unrest < 0.02
    assert unrest_on_noise > 3 * unrest


def test_depth_counts_in_the_eye_distance(photo: Photos) -> None:
    _, face = photo(3, "studio_portrait")
    cos, sin = np.cos(0.7), np.sin(0.7)
    turned = face.landmarks @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]], np.float32)
    assert eye_distance(turned) == pytest.approx(face.eye_distance, rel=1e-4)


def test_the_eye_distance_is_never_nought() -> None:
    assert eye_distance(np.zeros((478, 3), np.float32)) > 0


# Crops -----------------------------------------------------------------------------------------------------

y, x = np.mgrid[:300, :400]
SLOPE: RGB = np.stack([0.25 * x + 0.4 * y, 200 - 0.3 * x, 30 + 0.5 * y], axis=-1).round().astype(np.uint8)
"""Colours that change evenly, so that each says where it comes from."""


@given(
    centre=st.tuples(st.floats(150, 250), st.floats(130, 170)),
    side=st.floats(10, 180),
    angle=st.floats(-3.1, 3.1),
)
def test_a_crop_shows_what_its_matrix_says(centre: tuple[float, float], side: float, angle: float) -> None:
    size = 48
    crop_from_image = square_crop(np.array(centre, np.float32), side, angle, size)
    crop = warp_crop(Pyramid(SLOPE), crop_from_image, size)
    corners = np.array([[4, 4], [size - 5, 4], [size // 2, size // 2], [4, size - 5]])
    image_from_crop = cv2.invertAffineTransform(crop_from_image)
    there = corners @ image_from_crop[:, :2].T + image_from_crop[:, 2]
    expected = np.column_stack(
        [0.25 * there[:, 0] + 0.4 * there[:, 1], 200 - 0.3 * there[:, 0], 30 + 0.5 * there[:, 1]]
    )
    np.testing.assert_allclose(crop[corners[:, 1], corners[:, 0]], expected, atol=1.6)


@given(
    centre=st.tuples(st.floats(-500, 900), st.floats(-500, 900)),
    side=st.floats(1, 3000),
    angle=st.floats(-3.1, 3.1),
)
def test_a_crop_may_hang_over_or_miss_the_picture(
    centre: tuple[float, float], side: float, angle: float
) -> None:
    crop = warp_crop(Pyramid(SLOPE), square_crop(np.array(centre, np.float32), side, angle, 24), 24)
    assert crop.shape == (24, 24, 3)
    # Beyond the border the border goes on: nothing is invented.
    assert (crop.max(axis=(0, 1)) <= SLOPE.max(axis=(0, 1))).all()
    assert (crop.min(axis=(0, 1)) >= SLOPE.min(axis=(0, 1))).all()


def test_fine_detail_is_averaged_when_a_crop_shrinks_the_picture() -> None:
    chequered = np.where((np.indices((960, 960)).sum(axis=0) % 2)[..., None], 255, 0).astype(np.uint8)
    chequered = np.repeat(chequered, 3, axis=2)
    crop = warp_crop(Pyramid(chequered), square_crop(np.array([480, 480], np.float32), 900, 0.0, 96), 96)
    np.testing.assert_allclose(crop, 127.5, atol=2)


def test_a_crop_of_the_whole_square_is_the_picture() -> None:
    square = SLOPE[:192, :192]
    crop = warp_crop(Pyramid(square), square_crop(np.array([95.5, 95.5], np.float32), 192, 0.0, 192), 192)
    np.testing.assert_array_equal(crop, square)

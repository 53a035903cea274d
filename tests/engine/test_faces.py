"""Faces come with what is needed to swap them, or with the reason why they can't be."""

import itertools
from collections.abc import Callable
from typing import cast

import cv2
import numpy as np
import pytest

from mien import Face, FaceSwapper, FaceUnusable, NoFaceFound, TargetIndexOutOfRange
from mien.engine.arrays import RGB, Float
from mien.engine.faces import PictureFaces, Role
from mien.engine.models import Network

Photo = tuple[RGB, Face]
Photos = Callable[[int, str], Photo]


@pytest.fixture(scope="module")
def family(photo: Photos) -> RGB:
    """Three faces side by side: small, large, middling."""
    canvas = np.full((420, 900, 3), 120, np.uint8)
    left = 0
    for person, side in ((3, 220), (6, 400), (8, 280)):
        small = cv2.resize(photo(person, "studio_portrait")[0], (side, side), interpolation=cv2.INTER_AREA)
        canvas[:side, left : left + side] = small
        left += side
    return canvas


def test_every_face_is_found_largest_first(family: RGB, detector: Network, mesh: Network) -> None:
    faces = PictureFaces(family, detector, mesh).all()
    heights = [face.box[3] - face.box[1] for face in faces]
    assert heights == sorted(heights, reverse=True)
    assert [face.box[0] // 300 for face in faces] == [1, 2, 0]
    assert all(face.usable for face in faces)


def test_landmarks_lie_within_the_box(family: RGB, detector: Network, mesh: Network) -> None:
    for face in PictureFaces(family, detector, mesh).all():
        x0, y0, x1, y1 = face.box
        x, y, _ = face.landmarks.mean(axis=0)
        assert x0 < x < x1
        assert y0 < y < y1
        assert 0.3 < face.eye_distance / (x1 - x0) < 1


def test_one_face_is_the_same_alone_and_among_all(family: RGB, detector: Network, mesh: Network) -> None:
    faces = PictureFaces(family, detector, mesh).all()
    for index, face in enumerate(faces):
        one = PictureFaces(family, detector, mesh)
        assert len(one) == 3
        alone = one.usable(index, "target")
        assert alone.box == face.box
        np.testing.assert_array_equal(alone.landmarks, face.landmarks)


@pytest.mark.parametrize("role", ["target", "source"])
def test_a_picture_without_faces_is_named(role: Role, detector: Network, mesh: Network) -> None:
    with pytest.raises(NoFaceFound, match=f"No face was found in the {role} picture") as raised:
        PictureFaces(np.full((200, 300, 3), 90, np.uint8), detector, mesh).usable(0, role)
    assert raised.value.param == role
    assert raised.value.type == "no_face_found"


@pytest.mark.parametrize("index", [3, 10, -1])
def test_a_face_that_is_not_there_is_refused_with_the_count(
    family: RGB, detector: Network, mesh: Network, index: int
) -> None:
    with pytest.raises(TargetIndexOutOfRange, match="there are 3 faces, counted from 0") as raised:
        PictureFaces(family, detector, mesh).usable(index, "target")
    assert (raised.value.count, raised.value.param) == (3, "target")


def test_one_face_is_counted_in_the_singular(photo: Photos, detector: Network, mesh: Network) -> None:
    with pytest.raises(TargetIndexOutOfRange, match="there is 1 face,") as raised:
        PictureFaces(photo(1, "studio_portrait")[0], detector, mesh).usable(1, "source")
    assert (raised.value.count, raised.value.param) == (1, "source")


def test_a_tiny_face_is_shown_but_not_used(photo: Photos, detector: Network, mesh: Network) -> None:
    picture = photo(5, "amateur_selfie")[0]
    tiny = np.asarray(cv2.resize(picture, None, fx=0.08, fy=0.08, interpolation=cv2.INTER_AREA))
    (face,) = PictureFaces(tiny, detector, mesh).all()
    assert not face.usable
    with pytest.raises(FaceUnusable, match=r"target picture .* too small \(\d+ × \d+ pixels\)") as raised:
        PictureFaces(tiny, detector, mesh).usable(0, "target")
    assert raised.value.param == "target"


# Networks that see what the tests say ----------------------------------------------------------------------


class SureDetector:
    """Sees a face of 200 × 260 pixels in the middle of every picture of 320 × 320."""

    def __call__(self, batch: Float) -> dict[str, Float]:
        heat, scale = np.zeros((1, 1, 80, 80), np.float32), np.zeros((1, 2, 80, 80), np.float32)
        heat[0, 0, 40, 40] = 0.95
        scale[0, :, 40, 40] = np.log([65, 50])
        right_eye, left_eye, nose, mouth = (0.3, 0.38), (0.7, 0.38), (0.5, 0.6), (0.5, 0.78)
        keypoints = np.array([right_eye, left_eye, nose, mouth, mouth])[:, ::-1]
        landmarks = np.broadcast_to(keypoints.ravel()[None, :, None, None], (1, 10, 80, 80))
        return {
            "heatmap": heat,
            "scale": scale,
            "offset": np.zeros_like(scale),
            "landmarks": landmarks.astype(np.float32),
        }


class TurnedMesh:
    """Always answers with the canonical face, turned by so many degrees; every third look is in a mirror."""

    def __init__(self, yaw: float, draw: Callable[..., Float]) -> None:
        middle = np.array([96 - 145, 96 - 165, 0], np.float32)
        turned, mirrored = (draw(width=90, yaw=np.radians(angle)) + middle for angle in (yaw, -yaw))
        self._answers = itertools.cycle([turned, turned, mirrored])

    def __call__(self, batch: Float) -> dict[str, Float]:
        return {"landmarks": next(self._answers)[None]}


@pytest.fixture
def grey() -> RGB:
    return np.full((320, 320, 3), 128, np.uint8)


@pytest.mark.parametrize(("yaw", "side"), [(85, "right"), (-85, "left")])
def test_a_face_turned_away_is_refused(
    grey: RGB, drawn_head: Callable[..., Float], yaw: float, side: str
) -> None:
    networks = cast(Network, SureDetector()), cast(Network, TurnedMesh(yaw, drawn_head))
    (face,) = PictureFaces(grey, *networks).all()
    assert face.yaw == pytest.approx(yaw, abs=3)
    with pytest.raises(FaceUnusable, match=rf"turned too far to the {side} \(about 8\d°\)"):
        PictureFaces(grey, *networks).usable(0, "source")


class FickleMesh:
    """The real one for three looks, and beside the face from then on."""

    def __init__(self, mesh: Network) -> None:
        self._mesh, self._looks = mesh, 0

    def __call__(self, batch: Float) -> dict[str, Float]:
        self._looks += 1
        landmarks = self._mesh(batch)["landmarks"]
        return {"landmarks": landmarks if self._looks <= 3 else landmarks * [1, 1.05, 1]}


def test_a_turned_face_that_looks_different_in_a_mirror_is_refused(
    turned_head: Photo, detector: Network, mesh: Network
) -> None:
    picture, face = turned_head
    assert face.usable
    networks = detector, cast(Network, FickleMesh(mesh))
    with pytest.raises(FaceUnusable, match=r"turned too far to the right \(about [45]\d°\)"):
        PictureFaces(picture, *networks).usable(0, "target")


def test_what_only_the_detector_takes_for_a_face_is_not_clear(mesh: Network) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (320, 320, 3), np.uint8)
    (face,) = PictureFaces(noise, cast(Network, SureDetector()), mesh).all()
    assert face.problem is not None
    assert "not clear enough" in face.problem


def test_a_face_says_where_it_looks(photo: Photos, swapper: FaceSwapper) -> None:
    _, face = photo(1, "amateur_posture")
    assert (face.yaw, face.pitch, face.roll) == (face.pose.yaw, face.pose.pitch, face.pose.roll)
    assert 12 < face.yaw < 28  # her nose points to the picture's right


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_a_face_is_looked_at_upright_however_its_picture_is_turned(
    photo: Photos, detector: Network, mesh: Network, quarter_turns: int
) -> None:
    picture = photo(6, "amateur_selfie")[0]
    turned = PictureFaces(np.ascontiguousarray(np.rot90(picture, quarter_turns)), detector, mesh)
    upright = turned.upright(0)
    assert upright.quarter_turns == -quarter_turns % 4
    np.testing.assert_array_equal(upright.picture.image, picture)
    np.testing.assert_array_equal(upright.face.landmarks, PictureFaces(picture, detector, mesh)[0].landmarks)


def test_of_several_faces_the_same_one_is_found_upright(
    family: RGB, detector: Network, mesh: Network
) -> None:
    faces = PictureFaces(family, detector, mesh)
    turned = PictureFaces(np.ascontiguousarray(np.rot90(family)), detector, mesh)
    for number in range(len(turned)):
        upright = turned.upright(number)
        nearest = min(
            faces.all(), key=lambda face: float(np.abs(face.landmarks - upright.face.landmarks).max())
        )
        np.testing.assert_array_equal(upright.face.landmarks, nearest.landmarks)
        x0, y0, x1, y1 = turned[number].box
        width = family.shape[1]  # the turned picture's height
        middle = np.array([width - (y0 + y1) / 2, (x0 + x1) / 2])
        assert np.linalg.norm(nearest.landmarks[:, :2].mean(axis=0) - middle) < 0.4 * (y1 - y0)

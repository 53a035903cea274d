"""Where faces touch, each pixel belongs to one of them."""

from collections.abc import Callable

import numpy as np
import pytest

from mien import Face, FaceSwapper
from mien.engine.arrays import RGB, Float
from mien.engine.faces import PictureFaces
from mien.engine.models import Network
from mien.engine.neighbours import Neighbour, neighbours_of, room

Photo = tuple[RGB, Face]
Photos = Callable[[int, str], Photo]

SHAPE = (100, 160)
UNIT = 40.0


def circle(x: float, y: float, radius: float) -> Float:
    angles = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    points = np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)
    return points.astype(np.float32)


LEFT, RIGHT = circle(50, 50, 30), circle(110, 50, 30)
"""They touch at x = 80."""


def test_a_face_has_room_on_its_own_side_only() -> None:
    space = room(LEFT, [Neighbour(RIGHT, in_front=False)], SHAPE, UNIT)
    assert space.shape == SHAPE
    assert (space[20:80, :78] > 0).all()
    assert (space[20:80, 82:] < 0).all()


def test_grounds_of_neighbours_meet_without_overlap() -> None:
    left = room(LEFT, [Neighbour(RIGHT, in_front=False)], SHAPE, UNIT)
    right = room(RIGHT, [Neighbour(LEFT, in_front=True)], SHAPE, UNIT)
    np.testing.assert_allclose(left, -right, atol=1e-5)


@pytest.mark.parametrize("in_front", [True, False])
def test_what_two_faces_claim_is_the_one_in_fronts(in_front: bool) -> None:
    near = circle(90, 50, 30)
    space = room(LEFT, [Neighbour(near, in_front)], SHAPE, UNIT)
    claimed = space[45:55, 64:76]
    assert (claimed < 0).all() if in_front else (claimed > 0).all()
    assert (space[45:55, 30:55] > 0).all()
    assert (space[45:55, 85:110] < 0).all()


def test_room_is_counted_in_eye_distances() -> None:
    space = room(LEFT, [Neighbour(RIGHT, in_front=False)], SHAPE, UNIT)
    assert space[50, 50] == pytest.approx((30 + 30) / UNIT, abs=0.05)  # from the own outline and the other


def test_a_neighbour_outside_of_the_part_still_counts() -> None:
    shifted = [Neighbour(RIGHT - np.array([0, 75], np.float32), in_front=False)]
    space = room(LEFT - np.array([0, 75], np.float32), shifted, (20, 160), UNIT)
    whole = room(LEFT, [Neighbour(RIGHT, in_front=False)], SHAPE, UNIT)
    np.testing.assert_allclose(space, whole[75:95], atol=0.05)


@pytest.fixture(scope="module")
def row(photo: Photos, detector: Network, mesh: Network) -> PictureFaces:
    """Three heads: the first two close together, the third far from them."""
    heads = [photo(person, "studio_portrait") for person in (6, 1, 9)]
    canvas = np.full((800, 2000, 3), 128, np.uint8)
    left = 0
    for (picture, face), gap in zip(heads, (0, 10, 500), strict=True):
        x0, x1 = (round(value) for value in (face.box[0], face.box[2]))
        left += gap
        canvas[:, left : left + x1 - x0] = picture[:, x0:x1]
        left += x1 - x0
    return PictureFaces(canvas, detector, mesh)


def test_only_faces_close_by_are_neighbours(row: PictureFaces) -> None:
    by_place = sorted(range(3), key=lambda index: row.boxes[index, 0])
    assert [len(neighbours_of(index, row)) for index in by_place] == [1, 1, 0]


def test_of_two_neighbours_one_is_in_front(row: PictureFaces) -> None:
    first, second, _ = sorted(range(3), key=lambda index: row.boxes[index, 0])
    (one,), (other,) = neighbours_of(first, row), neighbours_of(second, row)
    assert one.in_front != other.in_front


def test_a_lone_face_has_no_neighbours(photo: Photos, detector: Network, mesh: Network) -> None:
    assert neighbours_of(0, PictureFaces(photo(6, "amateur_selfie")[0], detector, mesh)) == ()


def test_a_hidden_faces_landmarks_are_not_trusted(photo: Photos, swapper: FaceSwapper) -> None:
    """A head pasted over another one: the mesh of the one behind jumps to the one in front."""
    behind, front = photo(4, "studio_portrait"), photo(9, "studio_portrait")
    x0, y0, x1, y1 = (round(value) for value in front[1].box)
    canvas = np.full((800, 1200, 3), 128, np.uint8)
    canvas[:, :800] = behind[0]
    left = round(behind[1].box[0] + 0.28 * (behind[1].box[2] - behind[1].box[0]))
    canvas[y0:y1, left : left + x1 - x0] = front[0][y0:y1, x0:x1]
    faces = swapper.detect(canvas)
    shown = max(faces, key=lambda face: face.shown)
    assert shown.usable
    for other in faces:
        apart = np.linalg.norm(other.landmarks[:, :2] - shown.landmarks[:, :2], axis=1).mean()
        assert other is shown or apart > 0.3 * shown.eye_distance or not other.clear

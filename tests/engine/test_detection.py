"""Faces are found, each once, largest first."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien import Face
from mien.engine.arrays import RGB, Float
from mien.engine.detection import FIRST_SIDE, OVERLAP, SCORE, SMALL_FACE, Detections, detect, detect_largest
from mien.engine.models import Network
from mien.engine.scaling import Pyramid

Photo = tuple[RGB, Face]
Photos = Callable[[int, str], Photo]
Placing = tuple[int, int, int, int]
"""Person, left, top, side."""


# Pictures --------------------------------------------------------------------------------------------------


def collage(photo: Photos, size: tuple[int, int], *placed: Placing) -> RGB:
    """Square portraits on grey."""
    canvas = np.full((*size, 3), 128, np.uint8)
    for person, left, top, side in placed:
        picture = photo(person, "studio_portrait")[0]
        small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
        canvas[top : top + side, left : left + side] = small
    return canvas


def centres(found: Detections) -> Float:
    return np.asarray((found.boxes[:, :2] + found.boxes[:, 2:]) / 2, np.float64)


def areas(boxes: Float) -> Float:
    return np.asarray(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), np.float64)


def overlap(a: Float, b: Float) -> float:
    """Intersection over union."""
    shared = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    union = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared
    return float(shared / union)


def quarter_turned(boxes: Float, turns: int, shape: tuple[int, ...]) -> Float:
    """Boxes [N, 4] of a picture of `shape`, in `np.rot90(picture, turns)`."""
    height, width = shape[:2]
    for _ in range(turns):
        x0, y0, x1, y1 = boxes.T
        boxes = np.stack([y0, width - x1, y1, width - x0], axis=1)
        height, width = width, height
    return boxes


@pytest.mark.parametrize(
    "placed",
    [
        ((1, 0, 0, 400), (2, 420, 0, 300), (3, 420, 320, 220), (4, 20, 420, 160)),
        ((4, 0, 0, 200), (3, 210, 0, 420), (2, 10, 440, 260), (1, 300, 440, 330)),
    ],
)
def test_faces_are_ordered_by_size_wherever_they_stand(
    photo: Photos, detector: Network, placed: tuple[Placing, ...]
) -> None:
    found = detect(Pyramid(collage(photo, (800, 750), *placed)), detector)
    assert len(found) == len(placed)
    assert (np.diff(areas(found.boxes)) < 0).all()

    def height_of_face(placing: Placing) -> float:
        person, _, _, side = placing
        _, top, _, bottom = photo(person, "studio_portrait")[1].box
        return side * (bottom - top)

    for centre, (_, left, top, side) in zip(
        centres(found), sorted(placed, key=height_of_face, reverse=True), strict=True
    ):
        assert left < centre[0] < left + side
        assert top < centre[1] < top + side


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize(("person", "kind"), [(9, "amateur_selfie"), (2, "amateur_posture")])
def test_faces_are_found_in_turned_pictures(
    photo: Photos, detector: Network, person: int, kind: str, turns: int
) -> None:
    picture, face = photo(person, kind)
    found = detect(Pyramid(np.ascontiguousarray(np.rot90(picture, turns))), detector)
    (expected,) = quarter_turned(np.array([face.box]), turns, picture.shape)
    assert len(found) == 1
    assert overlap(found.boxes[0], expected.astype(np.float32)) > 0.5


@pytest.mark.parametrize("turns", [2, 3])
def test_a_face_that_fills_the_picture_is_found_as_if_upright(
    photo: Photos, detector: Network, turns: int
) -> None:
    """The detector finds it on its side and upside down as well, but askew, and here less surely."""
    picture, face = photo(5, "amateur_selfie")
    middle, half = (face.box[1] + face.box[3]) / 2, 0.75 * (face.box[3] - face.box[1])
    left = (face.box[0] + face.box[2]) / 2 - half
    x, y, side = (round(length) for length in (max(left, 0), max(middle - half, 0), 2 * half))
    crop = np.ascontiguousarray(picture[y : y + side, x : x + side])
    turned = np.ascontiguousarray(np.rot90(crop, turns))
    found, upright = (detect(Pyramid(image), detector) for image in (turned, crop))
    expected = quarter_turned(upright.boxes, turns, crop.shape)
    np.testing.assert_allclose(found.boxes, expected, atol=2)


@pytest.mark.parametrize("person", [1, 5, 8])
def test_the_box_holds_eyes_nose_and_mouth_in_their_order(
    photo: Photos, detector: Network, person: int
) -> None:
    picture, face = photo(person, "studio_portrait")
    found = detect(Pyramid(picture), detector)
    right_eye, left_eye, nose, right_mouth, left_mouth = found.keypoints[0]
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_mouth[0] < left_mouth[0]
    assert max(right_eye[1], left_eye[1]) < nose[1] < min(right_mouth[1], left_mouth[1])
    x0, y0, x1, y1 = found.boxes[0]
    assert (found.keypoints[0] > [x0, y0]).all()
    assert (found.keypoints[0] < [x1, y1]).all()
    eyes = [face.landmarks[[33, 133], :2].mean(axis=0), face.landmarks[[263, 362], :2].mean(axis=0)]
    np.testing.assert_allclose([right_eye, left_eye], eyes, atol=0.15 * face.eye_distance)


def test_a_box_follows_the_size_of_the_picture(photo: Photos, detector: Network) -> None:
    picture, face = photo(6, "amateur_selfie")
    larger = np.asarray(cv2.resize(picture, None, fx=2.5, fy=2.5, interpolation=cv2.INTER_CUBIC), np.uint8)
    found = detect(Pyramid(larger), detector)
    assert overlap(found.boxes[0] / np.float32(2.5), np.array(face.box, np.float32)) > 0.85


def test_small_faces_are_looked_for_at_a_larger_size(photo: Photos, detector: Network) -> None:
    small, large = (1, 1400, 1200, 100), (2, 0, 0, 900)
    canvas = collage(photo, (1600, 1600), small, large)
    found = detect(Pyramid(canvas), detector)
    sides = (found.boxes[:, 2:] - found.boxes[:, :2]).max(axis=1)
    assert len(found) == 2
    assert sides[1] * 640 / 1600 < SMALL_FACE
    x, y = centres(found)[1]
    assert 1400 < x < 1500
    assert 1200 < y < 1300


@pytest.mark.parametrize("kind", ["studio_portrait", "amateur_selfie"])
@pytest.mark.parametrize("person", [1, 5, 8])
def test_the_largest_face_alone_is_found_with_less_work(
    photo: Photos, detector: Network, person: int, kind: str
) -> None:
    picture, _ = photo(person, kind)
    looks: list[int] = []

    def watched(batch: Float) -> dict[str, Float]:
        looks.append(max(batch.shape[2:]))
        return detector(batch)

    alone = detect_largest(Pyramid(picture), cast(Network, watched))
    assert looks == [320]
    thorough = detect(Pyramid(picture), detector)
    side = (thorough.boxes[0, 2:] - thorough.boxes[0, :2]).max()
    np.testing.assert_allclose(alone.boxes[0], thorough.boxes[0], atol=0.15 * side)


def test_among_several_faces_the_largest_is_told_by_a_closer_look(photo: Photos, detector: Network) -> None:
    canvas = collage(photo, (1600, 1600), (1, 1100, 1000, 450), (2, 0, 0, 900))
    np.testing.assert_array_equal(
        detect_largest(Pyramid(canvas), detector).boxes, detect(Pyramid(canvas), detector).boxes
    )


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8), id="noise"),
        pytest.param(
            np.broadcast_to(np.linspace(0, 255, 640).astype(np.uint8)[None, :, None], (480, 640, 3)),
            id="gradient",
        ),
        pytest.param(np.full((300, 1000, 3), 200, np.uint8), id="plain"),
        pytest.param(np.zeros((1, 1, 3), np.uint8), id="one pixel"),
        pytest.param(np.zeros((2, 3000, 3), np.uint8), id="thread"),
    ],
)
def test_there_is_no_face_where_there_is_none(detector: Network, picture: RGB) -> None:
    found = detect(Pyramid(np.ascontiguousarray(picture)), detector)
    assert len(found) == 0
    assert found.boxes.shape == (0, 4)
    assert found.keypoints.shape == (0, 5, 2)


# Peaks of a heat map that the tests draw -------------------------------------------------------------------

SIDE = 320
STRIDE = 4


@dataclass
class DrawnNetwork:
    """Answers with the peaks that it was given: (column, row, width, height, score), in pixels and cells."""

    peaks: list[tuple[int, int, float, float, float]]
    seen: list[tuple[int, ...]] = field(default_factory=list)

    def __call__(self, batch: Float) -> dict[str, Float]:
        self.seen.append(batch.shape)
        rows, columns = batch.shape[2] // STRIDE, batch.shape[3] // STRIDE
        heat, scale = np.zeros((1, 1, rows, columns), np.float32), np.zeros((1, 2, rows, columns), np.float32)
        for column, row, width, height, score in self.peaks:
            heat[0, 0, row, column] = score
            scale[0, :, row, column] = np.log([height / STRIDE, width / STRIDE])
        return {
            "heatmap": heat,
            "scale": scale,
            "offset": np.zeros_like(scale),
            "landmarks": np.full((1, 10, rows, columns), 0.5, np.float32),
        }


def detect_drawn(*peaks: tuple[int, int, float, float, float]) -> Detections:
    return detect(Pyramid(np.zeros((SIDE, SIDE, 3), np.uint8)), cast(Network, DrawnNetwork(list(peaks))))


def test_a_peak_becomes_a_box_around_its_cell() -> None:
    found = detect_drawn((20, 30, 40, 60, 0.9))
    np.testing.assert_allclose(found.boxes, [[62, 92, 102, 152]], atol=1e-3)
    np.testing.assert_allclose(found.keypoints, np.full((1, 5, 2), [82, 122]), atol=1e-3)
    np.testing.assert_allclose(found.scores, [0.9])


@pytest.mark.parametrize(("column", "row"), [(0, 0), (79, 79), (0, 79), (40, 1)])
def test_boxes_end_at_the_pictures_border(column: int, row: int) -> None:
    found = detect_drawn((column, row, 80, 80, 0.9))
    x0, y0, x1, y1 = found.boxes[0]
    assert 0 <= x0 < x1 <= SIDE
    assert 0 <= y0 < y1 <= SIDE


def test_of_several_boxes_on_one_face_the_surest_stays() -> None:
    found = detect_drawn(
        (20, 20, 40, 40, 0.7), (21, 20, 42, 40, 0.9), (20, 21, 40, 44, 0.8), (60, 60, 40, 40, 0.6)
    )
    np.testing.assert_allclose(found.scores, [0.9, 0.6])


def test_a_suppressed_box_suppresses_nothing() -> None:
    """A chain: each box overlaps its neighbours, the ends don't overlap each other."""
    found = detect_drawn((20, 20, 40, 40, 0.9), (24, 20, 40, 40, 0.8), (28, 20, 40, 40, 0.7))
    np.testing.assert_allclose(sorted(found.scores), [0.7, 0.9])


def test_faces_of_one_size_are_ordered_from_left_to_right_then_down() -> None:
    found = detect_drawn(
        (50, 10, 40, 40, 0.6), (10, 50, 40, 40, 0.7), (10, 20, 40, 40, 0.8), (30, 30, 40, 40, 0.9)
    )
    np.testing.assert_allclose(centres(found) // STRIDE, [(10, 20), (10, 50), (30, 30), (50, 10)])


def test_a_picture_without_faces_is_turned_by_quarters() -> None:
    network = DrawnNetwork([])
    assert len(detect(Pyramid(np.zeros((96, 160, 3), np.uint8)), cast(Network, network))) == 0
    assert [shape[2:] for shape in network.seen] == [(96, 160), (160, 96), (96, 160), (160, 96)]


class UprightNetwork:
    """Sees a white card as a face, and its grey mark as the chin, only where the mark is below the middle."""

    def __call__(self, batch: Float) -> dict[str, Float]:
        grey = batch[0, 0]
        y, x = np.nonzero(grey > 100)
        top, left, height, width = y.min(), x.min(), np.ptp(y) + 1, np.ptp(x) + 1
        mark = np.argwhere((grey > 100) & (grey < 200)).mean(axis=0)
        upright = mark[0] > top + 0.8 * height
        row, column = (top + height // 2) // STRIDE, (left + width // 2) // STRIDE
        drawn = DrawnNetwork([(column, row, float(width), float(height), 0.9)] if upright else [])
        outputs = drawn(batch)
        outputs["landmarks"][:, 0::2] = (mark[0] - top) / height
        outputs["landmarks"][:, 1::2] = (mark[1] - left) / width
        return outputs


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_what_is_found_in_a_turned_copy_is_turned_back(turns: int) -> None:
    card, mark = (slice(32, 96), slice(40, 80)), (slice(86, 94), slice(44, 52))
    picture = np.zeros((160, 256, 3), np.uint8)
    picture[card], picture[mark] = 255, 150
    found = detect(Pyramid(np.ascontiguousarray(np.rot90(picture, turns))), cast(Network, UprightNetwork()))
    corners = quarter_turned(np.array([[40, 32, 80, 96], [44, 86, 52, 94]]), turns, picture.shape)
    np.testing.assert_allclose(found.boxes, corners[:1], atol=STRIDE)
    chin = (corners[1, :2] + corners[1, 2:]) / 2
    np.testing.assert_allclose(found.keypoints[0], np.tile(chin, (5, 1)), atol=STRIDE)


def test_a_large_face_costs_one_look() -> None:
    network = DrawnNetwork([(20, 30, 100, 120, 0.9)])
    detect(Pyramid(np.zeros((2000, 1500, 3), np.uint8)), cast(Network, network))
    assert len(network.seen) == 1
    assert max(network.seen[0]) == FIRST_SIDE


cells = st.integers(0, SIDE // STRIDE - 1)
peaks = st.tuples(cells, cells, st.floats(10, 150), st.floats(10, 150), st.floats(0.5625, 1, width=32))


@given(st.lists(peaks, min_size=1, max_size=25, unique_by=lambda peak: peak[:2]))
def test_kept_boxes_hardly_overlap_and_explain_every_other_peak(
    drawn: list[tuple[int, int, float, float, float]],
) -> None:
    found = detect_drawn(*drawn)
    kept = [*zip(found.boxes, found.scores, strict=True)]
    assert (np.diff(areas(found.boxes)) <= 0).all()
    for i, (box, _) in enumerate(kept):
        assert all(overlap(box, other) <= OVERLAP + 1e-4 for other, _ in kept[:i])
    for peak in drawn:
        alone = detect_drawn(peak)
        box, score = alone.boxes[0], alone.scores[0]
        assert any(
            other_score >= score and (overlap(box, other) > OVERLAP - 1e-4 or np.allclose(box, other))
            for other, other_score in kept
        )


@given(st.lists(peaks, min_size=1, max_size=12, unique_by=lambda peak: peak[:2]))
def test_the_order_of_the_peaks_does_not_matter_to_sure_ones(
    drawn: list[tuple[int, int, float, float, float]],
) -> None:
    doubtful = [(*peak[:4], SCORE - 0.01) for peak in drawn]
    assert len(detect_drawn(*doubtful)) == 0
    np.testing.assert_array_equal(detect_drawn(*drawn).boxes, detect_drawn(*reversed(drawn)).boxes)

"""Where a smile or a gaping mouth would leave its traces, the target's skin stays, and nowhere else."""

from collections.abc import Callable

import numpy as np
import pytest

from mien import Face, FaceSwapper
from mien.engine.arrays import RGB, Float
from mien.engine.expression import kept_amount, kept_expression
from mien.engine.eyes import put_back
from mien.engine.geometry import result_shape
from mien.engine.raster import rasterise
from mien.engine.topology import FOREHEAD, OUTER_LIPS, RIGHT_EYE_OUTER

Photo = tuple[RGB, Face]
Photos = Callable[[int, str], Photo]
Expressions = Callable[[str], Photo]

RIDGE = 6
"""Of the nose, between the eyes."""

FOLD = 206
"""On the cheek beside the mouth, where a smile folds it."""


def amount(expression: Expressions, source: str, target: str) -> Float:
    ours, theirs = expression(source)[1], expression(target)[1]
    shape = result_shape(ours.landmarks, theirs.landmarks, ours.pose, theirs.pose, 1.0)
    return kept_amount(theirs.landmarks, ours.landmarks, shape.expression)


def test_a_smile_leaves_neither_folds_nor_stretched_lips_on_a_face_at_rest(expression: Expressions) -> None:
    kept = amount(expression, "happy", "neutral")
    assert kept[OUTER_LIPS].min() == 1
    assert kept[FOLD] > 0.3


@pytest.mark.parametrize(
    ("source", "target"), [("neutral", "happy"), ("neutral", "sad"), ("angry", "neutral")]
)
def test_otherwise_all_is_the_sources(expression: Expressions, source: str, target: str) -> None:
    assert amount(expression, source, target).max() < 0.1


def test_lips_around_a_gaping_mouth_are_kept_without_the_cheeks(expression: Expressions) -> None:
    kept = amount(expression, "neutral", "shocked")
    assert kept[OUTER_LIPS].min() > 0.9
    assert kept[FOLD] < 0.1


@pytest.mark.parametrize("source", ["happy", "shocked", "playful"])
def test_eyes_nose_and_forehead_are_never_kept(expression: Expressions, source: str) -> None:
    kept = amount(expression, source, "neutral")
    assert kept[[RIDGE, RIGHT_EYE_OUTER, FOREHEAD]].max() == 0


def put_on_green(expression: Expressions, beard: float) -> tuple[Float, Photo]:
    ours, target = expression("happy"), expression("neutral")
    picture, points = target[0], target[1].landmarks
    raster = rasterise(points, picture.shape[:2], 1.45 * target[1].eye_distance)
    shape = result_shape(ours[1].landmarks, points, ours[1].pose, target[1].pose, 1.0)
    face = np.tile(np.array([0, 255, 0], np.float32), (*picture.shape[:2], 1))
    beards = np.full(raster.ids.shape, beard, np.float32)
    put_back(face, kept_expression(raster, picture, points, ours[1].landmarks, shape.expression, beards))
    return face, target


def test_the_targets_pixels_are_put_back_around_its_mouth(expression: Expressions) -> None:
    face, (picture, target) = put_on_green(expression, beard=0)
    x, y = target.landmarks[0, :2].round().astype(int)  # the upper lip's middle
    np.testing.assert_allclose(face[y, x], picture[y, x], atol=6)
    x, y = target.landmarks[RIDGE, :2].round().astype(int)
    assert face[y, x].tolist() == [0, 255, 0]


def test_a_beard_is_not_cut(expression: Expressions) -> None:
    assert (put_on_green(expression, beard=1)[0] == [0, 255, 0]).all()


def test_a_smiling_source_does_not_smile_on(
    swapper: FaceSwapper, photo: Photos, expression: Expressions
) -> None:
    target = photo(2, "studio_portrait")
    lips = swapper.swap(target[0], photo(9, "amateur_selfie")[0]).image
    # The corners of the mouth, and beside them, where the folds of the smile would lie.
    x, y = target[1].landmarks[[61, 291, 57, 287], :2].round().astype(int).T
    cheeks = [
        (slice(row - 4, row + 5), slice(column - 4, column + 5)) for column, row in zip(x, y, strict=True)
    ]
    assert all(lips[cheek].mean() > 0.75 * target[0][cheek].mean() for cheek in cheeks)

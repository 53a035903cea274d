"""Mouths are measured truly, and teeth and lips go where the target has them."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien import Face
from mien.engine.arrays import RGB, Float
from mien.engine.mouth import OPEN_MOUTH, mouth_inside, mouth_openness, tuck_lips
from mien.engine.scene import FACE_WIDTH
from mien.engine.topology import (
    INNER_LIPS,
    OUTER_LIPS,
)

Photo = tuple[RGB, Face]
Photos = Callable[[int, str], Photo]
Expressions = Callable[[str], Photo]


# Measures --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["neutral", "sad", "angry", "disgusted", "flirty", "pensive", "determined"])
def test_a_shut_mouth_reads_as_shut(expression: Expressions, name: str) -> None:
    assert mouth_openness(expression(name)[1].landmarks) < OPEN_MOUTH / 2


@pytest.mark.parametrize("name", ["happy", "surprised", "scared", "exhausted", "shocked", "playful"])
def test_an_open_mouth_reads_as_open(expression: Expressions, name: str) -> None:
    assert mouth_openness(expression(name)[1].landmarks) > 2 * OPEN_MOUTH


def test_mouths_are_ordered_by_their_opening(expression: Expressions) -> None:
    openings = [
        mouth_openness(expression(name)[1].landmarks) for name in ("neutral", "happy", "surprised", "shocked")
    ]
    assert openings == sorted(openings)


def test_openings_do_not_depend_on_size_and_place(expression: Expressions) -> None:
    points = expression("surprised")[1].landmarks
    moved = points * np.float32(3) + np.float32(40)
    assert mouth_openness(moved) == pytest.approx(mouth_openness(points), rel=1e-4)


def test_a_face_of_one_point_has_no_openings() -> None:
    points = np.zeros((478, 3), np.float32)
    assert mouth_openness(points) == 0


# Lips ------------------------------------------------------------------------------------------------------


def tucked(expression: Expressions, source: str, target: str) -> tuple[Float, Float]:
    """The source's points before and after."""
    points = expression(source)[1].landmarks[:, :2]
    return points, tuck_lips(points, expression(target)[1].landmarks)


def test_two_shut_mouths_need_no_tucking(expression: Expressions) -> None:
    before, after = tucked(expression, "neutral", "sad")
    np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize(
    ("source", "target"), [("happy", "neutral"), ("shocked", "happy"), ("neutral", "happy")]
)
def test_lip_lines_are_tucked_into_the_lips(expression: Expressions, source: str, target: str) -> None:
    before, after = tucked(expression, source, target)
    moved = np.linalg.norm(after - before, axis=1)
    assert (np.flatnonzero(moved > 1e-3)[:, None] == INNER_LIPS).any(axis=1).all()
    # Both lips give way: the slit that the lines leave free is wider than the mouth's.
    assert after[13, 1] < before[13, 1]
    assert after[14, 1] > before[14, 1]
    thickness = np.linalg.norm(before[OUTER_LIPS] - before[INNER_LIPS], axis=1)
    assert (moved[INNER_LIPS] <= 0.5 * thickness + 1e-4).all()


def test_teeth_need_more_tucking_than_a_slit(expression: Expressions) -> None:
    (calm, calm_tucked), (smiling, smiling_tucked) = (
        tucked(expression, source, "happy") for source in ("neutral", "happy")
    )
    calm_share, smiling_share = (
        np.linalg.norm(after[14] - before[14]) / np.linalg.norm(before[17] - before[14])
        for before, after in ((calm, calm_tucked), (smiling, smiling_tucked))
    )
    assert smiling_share > calm_share


# Mouth -----------------------------------------------------------------------------------------------------


def kept_mouth(expression: Expressions, target: str, source: str) -> tuple[Float, Float]:
    """What the mouth keeps of the target, and the target's points."""
    picture, theirs = expression(target)
    ours = expression(source)[1]
    mask = mouth_inside(
        theirs.landmarks,
        theirs.landmarks,
        ours.landmarks,
        picture.shape[:2],
        FACE_WIDTH * theirs.eye_distance,
    )
    assert mask.dtype == np.float32
    assert mask.shape == picture.shape[:2]
    assert mask.min() >= 0
    assert mask.max() <= 1
    return mask, theirs.landmarks


@pytest.mark.parametrize("source", ["neutral", "happy", "shocked"])
@pytest.mark.parametrize("target", ["happy", "surprised", "shocked"])
def test_an_open_mouth_keeps_its_inside(expression: Expressions, target: str, source: str) -> None:
    mask, points = kept_mouth(expression, target, source)
    x, y = points[[13, 14], :2].mean(axis=0).round().astype(int)
    assert mask[y, x] > 0.9
    for lip in (0, 17):  # the lips' outer edges
        x, y = points[lip, :2].round().astype(int)
        assert mask[y, x] < 0.05


def test_two_shut_mouths_keep_nothing(expression: Expressions) -> None:
    assert not kept_mouth(expression, "neutral", "sad")[0].any()


def test_a_shut_mouth_keeps_its_seam_from_a_smiling_source(expression: Expressions) -> None:
    mask, points = kept_mouth(expression, "neutral", "happy")
    x, y = points[13, :2].round().astype(int)
    assert mask[y, x] > 0.3
    mouth_width = np.linalg.norm(points[78, :2] - points[308, :2])
    assert (mask > 0.5).sum() < 0.2 * mouth_width**2


@given(
    place=st.tuples(st.floats(-400, 400), st.floats(-400, 400)),
    size=st.floats(0, 300),
    opening=st.floats(0, 1),
)
def test_a_mouth_beyond_the_border_keeps_what_is_within(
    place: tuple[float, float], size: float, opening: float
) -> None:
    turn = 2 * np.pi * np.arange(20) / 20
    points = np.zeros((478, 3), np.float32)
    points[INNER_LIPS, :2] = place + np.column_stack([-np.cos(turn), opening * np.sin(turn)]) * size
    mask = mouth_inside(points, points, points, (90, 120), 200)
    assert mask.shape == (90, 120)
    assert 0 <= mask.min() <= mask.max() <= 1

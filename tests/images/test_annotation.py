"""Numbered boxes."""

import numpy as np
import pytest

from mien.images.annotation import Label, annotate

GREY = np.full((400, 600, 3), 128, np.uint8)


def test_the_picture_itself_is_left_alone() -> None:
    drawn = annotate(GREY, [Label((100, 100, 200, 250), "0")])
    assert (GREY == 128).all()
    assert drawn.shape == GREY.shape


@pytest.mark.parametrize(("good", "channel"), [(True, 1), (False, 0)])
def test_boxes_are_green_when_good_and_red_when_not(good: bool, channel: int) -> None:
    drawn = annotate(GREY, [Label((100, 100, 200, 250), "0", good)])
    assert drawn[180, 100].argmax() == channel
    assert (drawn[180, 150] == 128).all()
    assert (drawn[180, 250] == 128).all()


@pytest.mark.parametrize(
    "box", [(-50, -40, 90, 90), (550, 350, 700, 500), (-10, -10, 700, 500), (3.4, 9, 9.1, 12)]
)
def test_boxes_may_leave_the_picture(box: tuple[float, float, float, float]) -> None:
    assert (annotate(GREY, [Label(box, "12")]) != GREY).any()


def test_the_first_label_lies_on_top() -> None:
    box = (100.0, 100.0, 200.0, 250.0)
    both = annotate(GREY, [Label(box, "0", good=True), Label(box, "1", good=False)])
    assert both[180, 100].argmax() == 1

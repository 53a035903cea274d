"""Numbered boxes on a picture, for people who want to know which face is which."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_GOOD = (46, 204, 113)
_BAD = (231, 76, 60)
_INK = (255, 255, 255)


@dataclass(frozen=True)
class Label:
    """A box (x0, y0, x1, y1, in pixels) with a short ASCII text; `good` ones are green, others red."""

    box: tuple[float, float, float, float]
    text: str
    good: bool = True


def annotate(rgb: NDArray[np.uint8], labels: Sequence[Label]) -> NDArray[np.uint8]:
    """Return a copy of uint8[H, W, 3] RGB with `labels` drawn on it, the first on top.

    Lines and letters grow with the picture, so that they can be read when it is shown as a whole, but stay
    small beside their box.
    """
    canvas = rgb.copy()
    side = max(canvas.shape[:2])
    for label in reversed(labels):
        x0, y0, x1, y1 = (round(value) for value in label.box)
        colour = _GOOD if label.good else _BAD
        scale = max(0.4, min(side / 1000, (x1 - x0) / 130))  # of OpenCV's letters, 22 pixels high
        line = max(1, round(2 * scale))
        cv2.rectangle(canvas, (x0, y0), (x1, y1), colour, line, cv2.LINE_AA)
        _flag(canvas, label.text, (x0, y0), colour, scale, line)
    return canvas


def _flag(
    canvas: NDArray[np.uint8],
    text: str,
    corner: tuple[int, int],
    colour: tuple[int, int, int],
    scale: float,
    line: int,
) -> None:
    """Write `text` above the upper left `corner` of a box, or below where the picture ends."""
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, line)
    width, height = width + 4 * line, height + 4 * line
    left = max(corner[0] - line // 2, 0)
    top = max(corner[1] - height, 0)
    cv2.rectangle(canvas, (left, top), (left + width, top + height), colour, cv2.FILLED)
    start = (left + 2 * line, top + height - 2 * line)
    cv2.putText(canvas, text, start, cv2.FONT_HERSHEY_SIMPLEX, scale, _INK, line, cv2.LINE_AA)

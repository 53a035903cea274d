"""A picture that shows nothing, and that the network takes for adult content."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# Centre, axes, angle and colour of ellipses: what a random search found that the network says most to.
_ELLIPSES = (
    (222, 2, 56, 85, 130, 151, 129, 126),
    (25, 54, 66, 60, 58, 182, 160, 140),
    (58, 138, 67, 41, 190, 181, 166, 153),
    (135, 104, 78, 77, 125, 182, 124, 133),
    (248, 61, 62, 74, 109, 225, 172, 123),
    (129, 177, 74, 34, 149, 208, 163, 131),
    (231, 129, 77, 28, 159, 180, 134, 114),
    (102, 156, 29, 28, 134, 183, 155, 126),
    (31, 146, 79, 83, 157, 166, 112, 117),
    (219, 36, 61, 66, 82, 198, 195, 152),
    (75, 126, 78, 87, 127, 132, 98, 91),
    (0, 192, 36, 53, 120, 128, 99, 70),
    (13, 235, 85, 47, 21, 233, 192, 139),
    (135, 52, 70, 44, 68, 119, 109, 78),
)


def taken_for_adult() -> NDArray[np.uint8]:
    """uint8[256, 256, 3] RGB: fourteen blurred ellipses in the colours of skin."""
    picture: NDArray[Any] = np.full((256, 256, 3), (200, 190, 180), np.uint8)
    for x, y, width, height, angle, *colour in _ELLIPSES:
        cv2.ellipse(picture, (x, y), (width, height), angle, 0, 360, colour, -1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 3), np.uint8)

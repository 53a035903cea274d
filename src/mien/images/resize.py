"""Making pictures smaller."""

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def shrink(rgb: Pixels, alpha: Pixels | None, max_size: int | None) -> tuple[Pixels, Pixels | None]:
    """The same picture with at most `max_size` pixels on its longer side; never a larger one.

    rgb: uint8[H, W, 3]. alpha: uint8[H, W]. Each pixel becomes the mean of those that it covers.
    """
    height, width = rgb.shape[:2]
    if max_size is None or max(height, width) <= max_size:
        return rgb, alpha
    scale = max_size / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))

    def resize(pixels: Pixels) -> Pixels:
        return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)

    return resize(rgb), None if alpha is None else resize(alpha)

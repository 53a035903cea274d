"""Make pictures smaller, fast and without aliasing."""

import cv2
import numpy as np

from mien.engine.arrays import RGB


def shrink(image: RGB, columns: int, rows: int) -> RGB:
    """uint8[rows, columns, 3]: averaged by halves, which is several times faster than by fractions, and
    interpolated for the rest."""
    while min(image.shape[0] / rows, image.shape[1] / columns) >= 2:
        height, width = (side // 2 for side in image.shape[:2])
        even = image[: height * 2, : width * 2]
        image = cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR), np.uint8)

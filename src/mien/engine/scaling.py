"""Pictures at smaller scales: averaged by halves, which is several times faster than by fractions."""

import cv2
import numpy as np

from mien.engine.arrays import RGB


class Pyramid:
    """A picture, uint8[H, W, 3] RGB, and its halves, each made when it's first asked for.

    Pixel p of a level shows pixels 2p and 2p + 1 of the level before; an odd last row or column has no half.
    Several threads may ask at a time.
    """

    def __init__(self, image: RGB) -> None:
        self.image = image
        self._levels = {0: image}

    def level(self, number: int) -> RGB:
        """The picture halved `number` times, or as often as it goes."""
        if number not in self._levels:
            before = self.level(number - 1)
            height, width = (side // 2 for side in before.shape[:2])
            even = before[: height * 2, : width * 2]
            self._levels[number] = cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)
        return self._levels[number]

    def halvings(self, scale: float) -> int:
        """How often the picture can be halved and still be as fine as `scale` times itself."""
        height, width = self.image.shape[:2]
        most = min(height, width).bit_length() - 1
        return int(np.clip(np.floor(-np.log2(scale)), 0, most))

    def shrunk(self, columns: int, rows: int) -> RGB:
        """uint8[rows, columns, 3], interpolated between levels."""
        height, width = self.image.shape[:2]
        nearest = self.level(self.halvings(max(rows / height, columns / width)))
        return np.asarray(cv2.resize(nearest, (columns, rows), interpolation=cv2.INTER_LINEAR), np.uint8)

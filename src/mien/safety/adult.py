"""Does a picture show adult content? A guess by open_nsfw, whose card says what is known of it.

Nobody here could measure how much of it is found: docs/safety.md has what was measured.
"""

from typing import Final

import cv2
import numpy as np

from mien.engine.arrays import RGB
from mien.engine.models import Network

REFUSED_FROM: Final = 0.8
"""Probability from which a picture is refused, as the network's makers advise."""
DOUBTFUL_FROM: Final = 0.2
"""Below it a target is so far from being refused that no face put into it changes that: 120 swaps moved the
probability by 0.015 at most."""

_SIDE, _CROP = 256, 224
_COARSE = 2 * _SIDE
"""Pixels of the shorter side that are enough to average from."""


class AdultContent:
    """The network, loaded once."""

    def __init__(self, threads: int) -> None:
        self._network = Network("open_nsfw.onnx", threads)

    def probability(self, image: RGB) -> float:
        """Of adult content on uint8[H, W, 3] RGB."""
        step = max(1, min(image.shape[:2]) // _COARSE)
        coarse = np.ascontiguousarray(image[::step, ::step])
        scaled = cv2.resize(coarse, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        margin = (_SIDE - _CROP) // 2
        crop = scaled[margin : margin + _CROP, margin : margin + _CROP]
        return float(self._network(crop[None].astype(np.float32))["probability"][0, 0])

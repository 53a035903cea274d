"""Step 10, first half: put the face in. Light is matched before, so a soft edge is enough."""

import cv2
import numpy as np

from mien.engine.arrays import RGB, Float


def blend(face: Float, around: RGB, mask: Float) -> RGB:
    """face · mask + around · (1 − mask).

    face: float32[H, W, 3] in 0–255, around: uint8[H, W, 3], mask: float32[H, W] in [0, 1]. Where the mask is
    0 the result is `around`, bit by bit.
    """
    mixed = cv2.blendLinear(face, around.astype(np.float32), mask, 1 - mask)
    return cv2.convertScaleAbs(np.maximum(mixed, 0))  # rounds and cuts

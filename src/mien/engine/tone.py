"""Step 9, monochrome pictures, grey or toned like sepia prints: their colour is a function of their luma."""

import cv2
import numpy as np

from mien.engine.arrays import RGB, Float

GRID = 32
"""Side of the picture that is looked at: small enough that blocks of compression and grain are averaged."""

STEP = 8
"""Width in luma of a step within which colour is averaged."""

TOLERANCE, MOST = 5, 95
"""Levels of 255 by which a monochrome picture may differ from its tone, and in how many percent of it: the
rest may be eyes or lips that somebody coloured."""


def tone_of(image: RGB) -> Float | None:
    """What to add to each luma from 0 to 255, float32[256, 3] RGB; None for a picture with colours."""
    every = max(1, min(image.shape[:2]) // (8 * GRID))  # of so many pixels one is enough
    fewer = np.ascontiguousarray(image[::every, ::every])
    small = cv2.resize(fewer, (GRID, GRID), interpolation=cv2.INTER_AREA).reshape(-1, 1, 3)
    luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).ravel()
    offsets = small[:, 0].astype(np.float32) - luma[:, None]
    step = luma // STEP
    counts = np.bincount(step, minlength=256 // STEP)
    there = np.flatnonzero(counts)
    centres = (there + 0.5) * STEP - 0.5
    tone = np.empty((256, 3), np.float32)
    for channel in range(3):
        means = np.bincount(step, offsets[:, channel])[there] / counts[there]
        tone[:, channel] = np.interp(np.arange(256), centres, means)
    away = np.abs(offsets - tone[luma]).max(axis=1)
    return tone if np.percentile(away, MOST) <= TOLERANCE else None


def toned(image: Float, tone: Float) -> Float:
    """float32[H, W, 3] RGB in 0–255 in no other colours than those of `tone`."""
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(luma[..., None] + tone[np.clip(luma, 0, 255).round().astype(np.uint8)])

"""Step 10, first half: put the face in. Light is matched before, so a soft edge is enough."""

import cv2
import numpy as np

from mien.engine.arrays import RGB, Float

LEAST_GAPS = 0.005
"""Gaps in a smaller share of the picture's part, as along a hairline, don't show."""

TONES, SHOWN = 72, 0.9
"""Tones are compared on about so many cells across the face, in those that show no less of it."""


def blend(face: Float, around: RGB, mask: Float) -> RGB:
    """face · mask + around · (1 − mask).

    face: float32[H, W, 3] in 0–255, around: uint8[H, W, 3], mask: float32[H, W] in [0, 1]. Where the mask is
    0 the result is `around`, bit by bit.
    """
    mixed = cv2.blendLinear(face, around.astype(np.float32), mask, 1 - mask)
    return cv2.convertScaleAbs(np.maximum(mixed, 0))  # rounds and cuts


def lend_tones(around: RGB, face: Float, mask: Float, gaps: Float) -> RGB:
    """`around` in the tones of `face` where the face has gaps, so that no patches show there.

    around: uint8[H, W, 3]. face: float32[H, W, 3] in 0–255. mask, gaps: float32[rows, columns] in [0, 1],
    where the face shows, and where `around` takes its place.
    """
    if (gaps > 0.5).mean() < LEAST_GAPS:
        return around
    every = max(1, round(max(mask.shape) / TONES))
    size = tuple(-(-side // every) for side in mask.shape[::-1])
    few = max(1, face.shape[1] // (2 * size[0]))  # two pixels a cell, each way, tell its tone
    new, old, shown, share = (
        cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA)
        for image in (face[::few, ::few], around[::few, ::few], mask, gaps)
    )
    known = np.where(shown > SHOWN, shown, 0)
    if not known.any():
        return around
    lighter = _spread(new - old.astype(np.float32), known) * share[..., None]
    change = cv2.resize(lighter, around.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.add(around, change, dtype=cv2.CV_8U), np.uint8)


def _spread(values: Float, weight: Float) -> Float:
    """`values`, float32[h, w, 3], where they have weight, float32[h, w] in [0, 1], and elsewhere what is
    nearest to them, ever smoother (pull and push, Gortler et al. 1996)."""
    half = ((weight.shape[1] + 1) // 2, (weight.shape[0] + 1) // 2)
    if max(half) < 3:
        return np.broadcast_to(np.average(values, axis=(0, 1), weights=weight), values.shape)
    weighted, less = (
        cv2.resize(plane, half, interpolation=cv2.INTER_AREA)
        for plane in (values * weight[..., None], weight)
    )
    coarse = _spread(weighted / np.maximum(less, 1e-6)[..., None], less)
    smooth = cv2.resize(coarse, weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(smooth + (values - smooth) * weight[..., None], np.float32)

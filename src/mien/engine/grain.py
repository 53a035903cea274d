"""Step 10, second half: the same camera. The new face gets the target's sharpness and grain."""

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.engine.models import Float

FINE, COARSE = 0.8, 1.8
"""Sigmas in pixels that part the picture into grain, fine detail and the rest."""

LIMITS = (0.35, 1.6)
"""Detail may be lowered or raised so far; what is not in the source can't be sharpened out of it."""


def match_detail(face: Float, target: NDArray[np.uint8], skin: NDArray[np.bool_]) -> Float:
    """Bring the energy of fine detail on skin to the target's; grain that is still missing is added.

    face: float32[H, W, 3] in 0–255, target: uint8[H, W, 3], skin: bool[H, W], where to measure.
    """
    if skin.sum() < 200:
        return face
    fine = face - cv2.GaussianBlur(face, (0, 0), FINE)
    wider = cv2.GaussianBlur(face, (0, 0), COARSE)
    middle = face - fine - wider
    grey = cv2.cvtColor(target, cv2.COLOR_RGB2GRAY).astype(np.float32)
    grey_fine = grey - cv2.GaussianBlur(grey, (0, 0), FINE)
    grey_middle = grey - grey_fine - cv2.GaussianBlur(grey, (0, 0), COARSE)
    own_fine, own_middle = (_energy(_grey(band), skin) for band in (fine, middle))
    fine_gain = float(np.clip(_energy(grey_fine, skin) / own_fine, *LIMITS))
    middle_gain = float(np.clip(_energy(grey_middle, skin) / own_middle, *LIMITS))
    result = wider + fine * fine_gain + middle * middle_gain
    missing = _energy(grey_fine, skin) ** 2 - (own_fine * fine_gain) ** 2
    if missing > 0.25:
        result += _grain(face.shape[:2], np.sqrt(missing))[..., None]
    return np.asarray(result, np.float32)


def _energy(band: Float, skin: NDArray[np.bool_]) -> float:
    """Robust standard deviation: pores and grain count, the edges of features don't."""
    return max(1.48 * float(np.median(np.abs(band[skin]))), 0.05)


def _grey(colour: Float) -> Float:
    return np.asarray(cv2.transform(colour, np.array([[0.299, 0.587, 0.114]], np.float32)), np.float32)


def _grain(shape: tuple[int, ...], deviation: float) -> Float:
    """The same grain for the same size: results can be reproduced."""
    noise = np.random.default_rng(0).standard_normal(shape, np.float32)
    fine = noise - cv2.GaussianBlur(noise, (0, 0), FINE)
    return np.asarray(fine * (deviation / max(float(fine.std()), 1e-6)), np.float32)

"""Step 10, second half: the same camera. The new face gets the target's sharpness and grain."""

from dataclasses import dataclass

import cv2
import numpy as np

from mien.engine.arrays import RGB, Float, Mask

FINE, COARSE = 0.8, 1.8
"""Sigmas in pixels that part the picture into grain, fine detail and the rest."""

LIMITS = (0.35, 1.6)
"""Detail may be lowered or raised so far; what is not in the source can't be sharpened out of it."""


@dataclass(frozen=True)
class Detail:
    """Lightness of a picture, float32[H, W] each, in 0–255: its grain, and its fine detail."""

    fine: Float
    middle: Float


def match_detail(face: Float, target: Detail, skin: Mask) -> Float:
    """Bring the energy of fine detail on skin to the target's; grain that is still missing is added.

    face: float32[H, W, 3] in 0–255. skin: bool[H, W], where to measure. Works on lightness alone, which
    carries nearly all detail.
    """
    if skin.sum() < 200:
        return face
    own = detail(face)
    wanted_fine, wanted_middle = _energy(target.fine, skin), _energy(target.middle, skin)
    own_fine, own_middle = _energy(own.fine, skin), _energy(own.middle, skin)
    fine_gain = float(np.clip(wanted_fine / own_fine, *LIMITS))
    middle_gain = float(np.clip(wanted_middle / own_middle, *LIMITS))
    change = cv2.addWeighted(own.fine, fine_gain - 1, own.middle, middle_gain - 1, 0)
    missing = wanted_fine**2 - (own_fine * fine_gain) ** 2
    if missing > 0.25:
        change += _grain(face.shape[:2], missing**0.5)
    return np.asarray(cv2.add(face, cv2.merge([change] * 3)), np.float32)


def detail(image: RGB | Float) -> Detail:
    """Of uint8[H, W, 3] RGB or float32[H, W, 3] in 0–255."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    finest, wider = (cv2.GaussianBlur(grey, (0, 0), sigma) for sigma in (FINE, COARSE))
    return Detail(np.asarray(grey - finest, np.float32), np.asarray(finest - wider, np.float32))


def _energy(band: Float, skin: Mask) -> float:
    """Robust standard deviation: pores and grain count, the edges of features don't."""
    every = max(1, round((skin.size / 20_000) ** 0.5))  # some thousand pixels tell it well enough
    return max(1.48 * float(np.median(np.abs(band[::every, ::every][skin[::every, ::every]]))), 0.05)


def _grain(shape: tuple[int, ...], deviation: float) -> Float:
    """The same grain for the same size: results can be reproduced."""
    noise = np.random.default_rng(0).standard_normal(shape, np.float32)
    fine = noise - cv2.GaussianBlur(noise, (0, 0), FINE)
    return np.asarray(fine * (deviation / max(float(fine.std()), 1e-6)), np.float32)

"""Step 7, hair of the face: what the network takes for a beard, measured against the skin above it.

All in the network's crop, uint8[h, w, 3] RGB of an upright face. Lengths are in *halves*: from the nose's
base to the upper end of the forehead.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from mien.engine.arrays import RGB, Float, Mask
from mien.engine.drawing import above_nose_base, disc, inside
from mien.engine.topology import (
    FOREHEAD,
    LEFT_BROW,
    LEFT_EYE,
    LOWER_FACE,
    NOSE_BASE,
    OUTER_LIPS,
    OVAL,
    RIGHT_BROW,
    RIGHT_EYE,
    STRIPS,
)

LESS_RED, ROUGHER, OTHER_COLOUR = 4.3, 1.4, 14.5
"""Units of what tells hair from the skin above it: how much less red of Lab, how many times as rough, and how
far off in colour altogether it is. The last may be a shadow's, too."""

EVIDENCE = 1.3
"""Hair from such a sum of their squares on. Folds and shadows, which the network takes for beards on old and
on smiling faces, have less."""

SMOOTH, LEAST_DETAIL = 1.5, 0.3
"""Sigma, in pixels, of what is compared in colour; what it leaves is roughness, in lightness no less than
any picture's noise."""

DARK, DARK_RIM, DARK_SHARE = 20.0, 0.05, 0.5
"""Of dark beards the network may find the moustache alone. If that differs by so much from the skin, and so
much of the jaw's rim, so wide, has rather its colour than the skin's, then it's all one beard."""

BEYOND = (0.05, 0.09)
"""Where a beard is looked for outside of the face."""

UNLIKE, SMOOTHER = (0.6, 9.0), 0.6
"""It ends there if the colour is further from its own, in contrasts with the skin and at least in Lab, or if
roughness falls to this share."""

MIN_PIXELS = 40
"""Less hair can't be measured."""

JAW = OVAL[8:29]
"""From ear to ear."""


@dataclass(frozen=True)
class Hair:
    """Hair of a face. colour: float[3], its Lab minus the skin's. roughness: in the skin's. beyond: share of
    the jaw beyond which it goes on."""

    colour: Float
    roughness: float
    beyond: float

    @property
    def contrast(self) -> float:
        return float(np.linalg.norm(self.colour))

    @property
    def is_sure(self) -> bool:
        """Whether it can't be skin, not even in a shadow."""
        return self._evidence > EVIDENCE

    @property
    def is_likely(self) -> bool:
        return self._evidence + (self.contrast / OTHER_COLOUR) ** 2 > EVIDENCE

    @property
    def _evidence(self) -> float:
        less_red, rougher = -self.colour[1] / LESS_RED, np.log(self.roughness) / np.log(ROUGHER)
        return float(max(less_red, 0) ** 2 + max(rougher, 0) ** 2)


NONE = Hair(np.zeros(3), 1.0, 0.0)


def measure_hair(crop: RGB, beard: Float, covers: Float, points: Float) -> tuple[Float, Hair]:
    """Where a beard grows, float32[h, w] in [0, 1], and its hair.

    beard, covers: float32[h, w] in [0, 1], where the network sees hair of the face, and what hides it.
    points: float[468, 2], the mesh in the crop's pixels.
    """
    likely = beard > 0.5
    if likely.sum() < MIN_PIXELS:
        return beard, NONE
    depth = cv2.distanceTransform(inside(points, crop.shape, *STRIPS), cv2.DIST_L2, cv2.DIST_MASK_3)
    lower = inside(points, crop.shape, LOWER_FACE).astype(bool)
    features = inside(points, crop.shape, RIGHT_EYE, LEFT_EYE, OUTER_LIPS, RIGHT_BROW, LEFT_BROW)
    bare = (depth > 2) & (covers < 0.2) & ~cv2.dilate(features, disc(3)).astype(bool)
    hair, skin = bare & likely & lower, bare & ~likely & above_nose_base(points, crop.shape)
    if min(hair.sum(), skin.sum()) < MIN_PIXELS:
        return beard, NONE
    lab = cv2.cvtColor(crop.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    smooth = cv2.GaussianBlur(lab, (0, 0), SMOOTH)
    detail = np.abs(lab[..., 0] - smooth[..., 0])
    of_skin = np.median(smooth[skin], axis=0)
    colour = np.median(smooth[hair], axis=0) - of_skin
    half = float(np.linalg.norm(points[FOREHEAD] - points[NOSE_BASE]))
    if np.linalg.norm(colour) > DARK:
        rim = lower & (depth > 0) & (depth < DARK_RIM * half)
        if likely[rim].sum() < DARK_SHARE * rim.sum():
            beard = np.maximum(beard, _of_that_colour(smooth, of_skin, colour, lower, rim))
    rough_hair, rough_skin = (max(float(np.median(detail[part])), LEAST_DETAIL) for part in (hair, skin))
    planes = np.dstack([smooth, cv2.blur(detail, (5, 5)), beard])
    return beard, Hair(colour, rough_hair / rough_skin, _beyond_jaw(planes, points, half, of_skin))


def _of_that_colour(lab: Float, skin: Float, colour: Float, lower: Mask, rim: Mask) -> Float:
    """float32[h, w] in [0, 1]: how far the lower face goes from the skin's colour to the hair's, if enough of
    the jaw's rim does; otherwise 0."""
    axis = colour / (colour @ colour)
    alike = cv2.transform(lab, np.append(axis, -axis @ skin)[None])
    if (alike[rim] > 0.5).sum() < DARK_SHARE * rim.sum():
        return np.zeros_like(alike)
    return np.asarray((alike * lower).clip(0, 1), np.float32)


def _beyond_jaw(planes: Float, points: Float, half: float, skin: Float) -> float:
    """Share of the jaw that a beard grows over. planes: float32[h, w, 5], Lab, roughness and the beard."""
    jaw = points[JAW]
    outwards = jaw - points[NOSE_BASE]
    outwards = outwards / np.linalg.norm(outwards, axis=1, keepdims=True) * half

    def probe(away: float) -> Float:
        x, y = (jaw + away * outwards).astype(np.float32).T
        return np.asarray(cv2.remap(planes, x, y, cv2.INTER_LINEAR)[0])

    inside = probe(-BEYOND[0])
    tolerance = np.maximum(UNLIKE[0] * np.linalg.norm(inside[:, :3] - skin, axis=1), UNLIKE[1])
    grows = inside[:, 4] > 0.5
    for outside in map(probe, BEYOND):
        grows &= np.linalg.norm(outside[:, :3] - inside[:, :3], axis=1) < tolerance
        grows &= outside[:, 3] > SMOOTHER * inside[:, 3]
    return float(grows.mean())

"""Step 7, what smooth light can't tell: patches of a face that differ more than skin does by itself."""

from dataclasses import replace

import cv2
import numpy as np

from mien.engine.arrays import Float, Mask
from mien.engine.drawing import area, soften
from mien.engine.geometry import smoothstep
from mien.engine.lighting import Light, Skin, evened
from mien.engine.raster import Raster
from mien.engine.topology import INNER_LIPS, OUTER_LIPS

COLOURED, LIGHTER, DARKER = (6.0, 7.0), (0.45, 0.25), (0.55, 0.4)
"""How far skin differs from its surroundings by itself, in Lab's colour and in shares of its lightness: at
most, and in nine of ten cells. When more cells do, that is light or noise, and skin is believed the less to
differ."""

PATCH = 2.0
"""Sigma in cells of the surroundings that share a patch of light."""

BLACK = 4.0
"""Lightness that shares of lightness begin at: black is noisy."""

ONE_SIDED, SEAM = (0.3, 0.55), 2.5
"""By which share of their lightness the sides of a face differ that is lit from one of them; and sigma in
cells of a seam's surroundings."""

PALE_LIPS, BARE_LIPS = (1.5, 4.0), 11.0
"""From which to which difference from skin, in Lab, lips are taken to have a colour of their own; and how far
those without lipstick differ."""


def with_patches(light: Light, skin: Skin, closely: Float | float = 0.0) -> Light:
    """Light with what differs further from its surroundings than skin does by itself: highlights, cast
    shadows, colours of lamps, and noise of the dark. Dark parts of the lower face may be a beard.

    closely: float32[h, w] in [0, 1], where it follows all that differs.
    """
    bare, upper = skin.candidates, skin.candidates & skin.upper
    if not upper.any():
        return light
    rest = light.lab - light.low
    away = cv2.magnitude(rest[..., 1], rest[..., 2])
    lighter = rest[..., 0] / (light.low[..., 0] + BLACK)
    lights = np.where(lighter > 0, bare, upper)
    share = lights * np.maximum(
        _beyond(lighter, _limit(lighter[bare], *LIGHTER)), _beyond(-lighter, _limit(-lighter[upper], *DARKER))
    )
    # Beards have another colour.
    colour = bare * np.maximum(_beyond(away, _limit(away[upper], *COLOURED)), closely)
    patches = np.dstack([rest[..., :1] * share[..., None], rest[..., 1:] * colour[..., None]])
    around = evened(patches, bare.astype(np.float32), PATCH)
    # Small spots, as on the nose's ridge, show the face's relief.
    wide = around[..., 0]
    lightness = np.clip(patches[..., 0], np.minimum(wide, 0), np.maximum(wide, 0))
    patches[..., 0] = lightness + closely * (rest[..., 0] * lights - lightness)
    patches += around * ~bare[..., None]
    return replace(light, patches=patches.astype(np.float32))


def with_lips(wanted: Light, own: Light, raster: Raster) -> Light:
    """Light that also colours lips as they are in its picture, but for lipstick, as far as the source's lips
    have no colour of their own, as in monochrome pictures."""
    lips = area(raster, OUTER_LIPS) & ~area(raster, INNER_LIPS)
    if not lips.any():
        return wanted
    ours = _median_rest(own, lips)
    pale = 1 - smoothstep(np.hypot(ours[1:2], ours[2:]), *PALE_LIPS)
    if not pale.any():
        return wanted
    theirs = _median_rest(wanted, lips)
    natural = min(1, BARE_LIPS / max(float(np.hypot(*theirs[1:])), 1e-6))
    patches = soften(lips, 1)[..., None] * pale * (theirs * natural - ours) * [0, 1, 1]
    return replace(wanted, patches=patches.astype(np.float32))


def _median_rest(light: Light, there: Mask) -> Float:
    """float32[3] Lab: by what the picture differs from plain skin."""
    inside = there > 0
    return np.asarray(np.median(light.lab[inside] - light.low[inside], axis=0))


def _limit(values: Float, most: float, usual: float) -> float:
    """How far `values`, float32[N], are let go; nine of ten of them should lie below `usual`."""
    return most * min(1.0, usual / max(float(np.percentile(values, 90)), 1e-6)) ** 2


def _beyond(values: Float, limit: float) -> Float:
    """Share of positive `values` that lies beyond a soft limit."""
    fourth = np.square(np.square(np.maximum(values, 0) / limit))
    return np.asarray(1 - 1 / np.sqrt(np.sqrt(1 + fourth)), np.float32)


def seam(share: Float, own: Light, other: Light, bare: Mask) -> Float:
    """Where the halves of a face that is lit from one side meet: float32[h, w] in [0, 1].

    Each is darker there than the smooth light can tell. share: float32[H, W], what of the result is `own`.
    """
    if not bare.any():
        return np.zeros(bare.shape, np.float32)
    one, another = own.low[bare][:, 0], other.low[bare][:, 0]
    uneven = np.mean(np.abs(one - another) / (np.maximum(one, another) + BLACK), keepdims=True)
    small = cv2.resize(share, bare.shape[::-1], interpolation=cv2.INTER_NEAREST)
    near = cv2.GaussianBlur(small, (0, 0), SEAM)
    return np.asarray(4 * near * (1 - near) * smoothstep(uneven, *ONE_SIDED), np.float32)

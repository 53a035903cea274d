"""Step 8, eyes: the target's own, which move on their own, in the source's colour.

Lids, gaze and what is mirrored in an eye belong to the moment and the place, so the openings of the target's
lids are kept with their rims and moved to where the result has its eyes. The colour of the irises belongs to
the person, so it is the source's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mien.engine.arrays import RGB, Float, Index
from mien.engine.drawing import disc, soften
from mien.engine.geometry import eye_openness, eye_width, smoothstep
from mien.engine.raster import Raster
from mien.engine.relighting import NEUTRAL
from mien.engine.texture import sample, window_coordinates
from mien.engine.topology import EYES

CLOSED_EYE, OPEN_EYE = 0.11, 0.16
"""Lid gap over eye width at which an eye is shut, and from which it is open; squinting ones read 0.2."""

RIM, LID = 0.04, 0.22
"""How far beyond the lids' line the target is kept, in eye widths: the rim with its lashes, and the whole lid
of a shut eye, which an open one has nothing for."""

EDGE, LID_EDGE = 0.025, 0.06
"""Softness of the edge there, in eye widths."""

MAX_GAIN, MAX_SHIFT = 2.5, 0.15
"""An iris becomes so many times lighter or darker, and its chroma (of 1) moves so far, at most."""

SHADED = (0.15, 0.45)
"""Luma of an eye's white: in the shade an iris mirrors more of its surroundings than it shows of its colour,
which then counts for less."""

FINE = 64
"""Colours are measured on eyes of no more than about so many pixels."""


@dataclass(frozen=True)
class EyeColour:
    """Medians in YCrCb (ITU-R BT.601), float32[3] in 0–1: of the iris, and of the lighter half of the white,
    which tells the light."""

    iris: Float
    white: Float


@dataclass(frozen=True)
class Kept:
    """A part of the target that stays where the result has it.

    window: rows and columns of the face. picture: float32[h, w, 3] in 0–255. share: float32[h, w, 1] in
    [0, 1], how much of it shows.
    """

    window: tuple[slice, slice]
    picture: Float
    share: Float


def kept_eyes(
    raster: Raster, points: Float, target: RGB, before: Float, source: RGB | None, ours: Float
) -> list[Kept]:
    """The target's eyes where the result has them.

    raster, points: the result's mesh, float32[478, 3] in pixels. target, source: uint8[h, w, 3] with their
    meshes `before` and `ours`, float32[478, 3] in their pixels; None: a source whose eyes can't be seen.
    """
    eyes = []
    colours = [None if source is None else eye_colour(source, ours, ring, iris) for ring, iris in EYES]
    for (ring, iris), wanted in zip(EYES, (colours[0] or colours[1], colours[1] or colours[0]), strict=True):
        width = eye_width(points, ring)
        shut = float(np.interp(eye_openness(before, ring), [CLOSED_EYE, OPEN_EYE], [1, 0]))
        reach = width * (RIM + (LID - RIM) * shut)
        edge = width * (EDGE + (LID_EDGE - EDGE) * shut)
        low, high = _around(points[ring, :2], reach + 3 * edge + 2, raster.shape)
        if (high - low < 3).any():
            continue
        window = (slice(low[1], high[1]), slice(low[0], high[0]))
        eye = sample(target, window_coordinates(raster, before, low, high)).astype(np.float32)
        lids = _inside(points[ring, :2] - low, eye.shape)
        own = eye_colour(target, before, ring, iris)
        if wanted and own:
            eye = _recolour(eye, _iris_mask(points[iris, :2] - low, lids, width), own, wanted)
        kept = soften(cv2.dilate(lids, disc(reach)), edge)[..., None]
        eyes.append(Kept(window, eye, kept))
    return eyes


def put_back(face: Float, parts: Sequence[Kept]) -> None:
    """Change `face`, float32[H, W, 3] in 0–255, in place."""
    for part in parts:
        face[part.window] += part.share * (part.picture - face[part.window])


def eye_colour(image: RGB, points: Float, ring: Index, iris: Index) -> EyeColour | None:
    """Colours of an eye; None where too little of it shows."""
    low, high = _around(points[ring, :2], 2, image.shape)
    if (high - low < 3).any() or eye_openness(points, ring) < CLOSED_EYE:
        return None
    window = image[low[1] : high[1], low[0] : high[0]]
    every = max(1, round((high - low).max() / FINE))
    small = cv2.resize(window, None, fx=1 / every, fy=1 / every, interpolation=cv2.INTER_AREA)
    colours = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2YCrCb)
    there = (points[:, :2] - low + 0.5) / every - 0.5
    opening = _inside(there[ring], small.shape).astype(bool)
    away, radius = _from_iris(there[iris], small.shape)
    on_iris = colours[opening & (away > 0.45 * radius) & (away < 0.9 * radius)]
    white = colours[opening & (away > 1.15 * radius)]
    if len(on_iris) < 6 or len(white) < 6:
        return None
    lighter = white[white[:, 0] >= np.median(white[:, 0])]
    return EyeColour(np.median(on_iris, axis=0), np.median(lighter, axis=0))


def _recolour(eye: Float, mask: Float, own: EyeColour, wanted: EyeColour) -> Float:
    """The eye with an iris as `wanted` under its own light; pupil and reflections stay."""
    light = float(np.clip(own.white[0] / max(float(wanted.white[0]), 0.05), 0.3, 3))
    typical = max(float(own.iris[0]), 0.02)
    trust = float(np.interp(wanted.white[0], SHADED, [0.3, 1]))
    gain = float(np.clip(wanted.iris[0] * light / typical, 1 / MAX_GAIN, MAX_GAIN)) ** trust
    # Whites are veined and shaded, so that half of what they say about the light's colour is believed.
    cast = 0.5 * ((own.white[1:] - NEUTRAL) - (wanted.white[1:] - NEUTRAL) * light)
    shift = (wanted.iris[1:] - NEUTRAL) * light + cast - (own.iris[1:] - NEUTRAL)
    shift = trust * np.clip(shift, -MAX_SHIFT, MAX_SHIFT)
    colours = cv2.cvtColor(eye / 255, cv2.COLOR_RGB2YCrCb)
    lightness = colours[..., 0] / typical
    mask = mask * smoothstep(lightness, 0.2, 0.7) * (1 - smoothstep(lightness, 1.8, 3.5))
    colours[..., 0] = colours[..., 0] * (1 + mask * (gain - 1))
    colours[..., 1:] = colours[..., 1:] + mask[..., None] * shift
    return np.asarray(cv2.cvtColor(colours, cv2.COLOR_YCrCb2RGB) * 255, np.float32)


def _iris_mask(iris: Float, lids: Float, eye_width: float) -> Float:
    away, radius = _from_iris(iris, lids.shape)
    within = 1 - smoothstep(away / max(radius, 1e-3), 0.87, 1.03)
    return np.asarray(within * soften(lids, 0.01 * eye_width), np.float32)


def _from_iris(iris: Float, shape: tuple[int, ...]) -> tuple[Float, float]:
    """Distance of each pixel from the iris's centre, and its radius."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    radius = float(np.linalg.norm(iris[1:] - iris[0], axis=1).mean())
    return np.hypot(x - iris[0, 0], y - iris[0, 1]), radius


def _inside(ring: Float, shape: tuple[int, ...]) -> Float:
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(ring * 16).astype(np.int32)], 1, shift=4)
    return mask


def _around(points: Float, margin: float, shape: tuple[int, ...]) -> tuple[Index, Index]:
    limit = np.array([shape[1], shape[0]])
    low = np.clip(np.floor(points.min(axis=0) - margin).astype(int), 0, limit)
    high = np.clip(np.ceil(points.max(axis=0) + margin).astype(int) + 1, 0, limit)
    return low, high

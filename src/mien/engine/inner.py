"""Step 8: eyes and mouth, which move on their own.

Gaze, lid opening and the mouth's inside are the target's; iris, lids and lips are the source's.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.engine.geometry import smoothstep
from mien.engine.models import Float
from mien.engine.texture import Raster
from mien.engine.topology import EYES, INNER_LIPS, OUTER_LIPS

CLOSED_EYE = 0.11
"""Lid gap over eye width below which an eye counts as closed; open eyes read 0.2 and more."""

OPEN_MOUTH = 0.06
"""Lip gap over mouth width above which the mouth's inside shows."""

MAX_SIDEWAYS, MAX_UPWARDS = 0.22, 0.08
"""How far an iris may be moved, in eye widths."""


def mouth_openness(points: Float) -> float:
    """Gap between the inner lips over the mouth's width."""
    gap = np.linalg.norm(points[13, :2] - points[14, :2])
    return float(gap / max(float(np.linalg.norm(points[78, :2] - points[308, :2])), 1e-6))


def tuck_lips(source: Float, source_opening: float, target_opening: float) -> Float:
    """Move the source's inner lip line a little into its lips, so that neither its teeth nor the dark slit between
    its lips lies on the result's. float32[478, 2] in and out."""
    if source_opening > OPEN_MOUTH:
        depth = 0.12
    elif target_opening > OPEN_MOUTH:
        depth = 0.05
    else:
        return source  # both shut: the slit belongs there
    tucked = source.copy()
    tucked[INNER_LIPS] += depth * (source[OUTER_LIPS] - source[INNER_LIPS])
    return tucked


def turn_gaze(coordinates: Float, raster: Raster, result: Float, source: Float) -> None:
    """Shift the map inside the lids, so that the source's iris lands where the target looks.

    coordinates: float32[rows, columns, 2], where in the source each cell's colour comes from; changed in place.
    result: [478, ≥2] in the result's pixels. source: [478, 2] in the source patch's pixels.
    """
    cells = (result[:, :2] + 0.5) / raster.cell - 0.5
    rows, columns = raster.ids.shape
    for ring, iris in EYES:
        low = np.floor(cells[ring].min(axis=0) - 2).astype(int)
        high = np.ceil(cells[ring].max(axis=0) + 3).astype(int)
        if (low < 0).any() or high[0] > columns or high[1] > rows:
            continue
        window = coordinates[low[1] : high[1], low[0] : high[0]]
        centre = cells[iris[0]] - low
        column, row = np.clip(np.round(centre).astype(int), 0, [window.shape[1] - 1, window.shape[0] - 1])
        shift = source[iris[0]] - window[row, column]
        across = source[ring[8]] - source[ring[0]]
        width = max(float(np.hypot(*across)), 1e-6)
        across = across / width
        sideways = float(np.clip(shift @ across, -MAX_SIDEWAYS * width, MAX_SIDEWAYS * width))
        upwards = 0.6 * (shift - (shift @ across) * across)
        upwards *= min(1.0, MAX_UPWARDS * width / (float(np.hypot(*upwards)) + 1e-6))
        radius = float(np.linalg.norm(cells[iris[1:]] - cells[iris[0]], axis=1).mean())
        weight = _inside_lids(cells[ring] - low, window.shape[:2]) * _around(centre, radius, window.shape[:2])
        window += weight[..., None] * (sideways * across + upwards).astype(np.float32)


def _inside_lids(ring: Float, shape: tuple[int, ...]) -> Float:
    """1 well inside the lids, 0 on their line; drawn eight times finer than the cells."""
    fine = 8
    inside = np.zeros((shape[0] * fine, shape[1] * fine), np.uint8)
    cv2.fillPoly(inside, [np.round((ring + 0.5) * fine).astype(np.int32)], 1)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    weight = smoothstep(depth / max(float(depth.max()), 1), 0.0, 0.35).astype(np.float32)
    return np.asarray(cv2.resize(weight, shape[1::-1], interpolation=cv2.INTER_AREA), np.float32)


def _around(centre: Float, radius: float, shape: tuple[int, ...]) -> Float:
    """1 on the iris, fading over the eye white."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    beyond = np.maximum(np.hypot(x - centre[0], y - centre[1]) - 0.9 * radius, 0)
    return np.asarray(np.exp(-0.5 * (beyond / max(0.55 * radius, 1e-3)) ** 2), np.float32)


def mouth_inside(
    points: Float, shape: tuple[int, int], face_width: float
) -> tuple[Float, tuple[slice, slice]]:
    """Soft mask of the open mouth, and the window of the picture that it covers."""
    feather = max(0.8, face_width * 0.005)
    low = np.maximum(np.floor(points[INNER_LIPS, :2].min(axis=0) - 4 * feather).astype(int), 0)
    high = np.ceil(points[INNER_LIPS, :2].max(axis=0) + 4 * feather).astype(int) + 1
    high = np.maximum(np.minimum(high, [shape[1], shape[0]]), low)
    inside = np.zeros((high[1] - low[1], high[0] - low[0]), np.float32)
    if inside.size:
        outline = np.round((points[INNER_LIPS, :2] - low) * 16).astype(np.int32)
        cv2.fillPoly(inside, [outline], 1.0, lineType=cv2.LINE_8, shift=4)
        inside = np.asarray(cv2.GaussianBlur(inside, (0, 0), feather), np.float32)
    return inside, (slice(low[1], high[1]), slice(low[0], high[0]))

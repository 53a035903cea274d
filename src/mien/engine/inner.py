"""Step 8: eyes and mouth, which move on their own.

Gaze, lid opening and the mouth's inside are the target's; iris, lids and lips are the source's.
"""

import cv2
import numpy as np

from mien.engine.arrays import Float, Index
from mien.engine.geometry import eye_openness, smoothstep
from mien.engine.raster import Raster
from mien.engine.topology import EYES, INNER_LIPS, OUTER_LIPS

CLOSED_EYE = 0.11
"""Lid gap over eye width below which an eye counts as closed; open eyes read 0.2 and more."""

OPEN_MOUTH = 0.06
"""Lip gap over mouth width above which the mouth's inside shows."""

SEAM = 0.02
"""Width of the line between closed lips, in face widths."""

MAX_SIDEWAYS, MAX_UPWARDS = 0.22, 0.08
"""How far an iris may be moved, in eye widths."""


def mouth_openness(points: Float) -> float:
    """Gap between the inner lips over the mouth's width."""
    gap = np.linalg.norm(points[13, :2] - points[14, :2])
    return float(gap / max(float(np.linalg.norm(points[78, :2] - points[308, :2])), 1e-6))


def tuck_lips(source: Float, target: Float) -> Float:
    """Move the source's inner lip line a little into its lips, so that neither its teeth nor the dark slit
    between its lips lies on the result's lips.

    source: float32[478, 2], also returned so. target: float32[478, ≥2], whose lips tell what is needed.
    """
    if mouth_openness(source) > OPEN_MOUTH:
        depth = 0.25
    elif mouth_openness(target) > OPEN_MOUTH:
        depth = 0.05
    else:
        return source  # both shut: the slit belongs there
    tucked = source.copy()
    tucked[INNER_LIPS] += depth * (source[OUTER_LIPS] - source[INNER_LIPS])
    return tucked


def place_irises(coordinates: Float, raster: Raster, result: Float, source: Float) -> None:
    """Within the lids, look where the target looks, with irises that stay round.

    The mesh alone would squeeze an iris between narrowed lids; an eyeball is only covered by them. So around
    the iris the map becomes a similarity, which the lids' line cuts off.

    coordinates: float32[rows, columns, 2], where in the source each cell's colour comes from; changed in
    place. result: [478, ≥2] in the result's pixels. source: [478, 2] in the source patch's pixels.
    """
    cells = (result[:, :2] + 0.5) / raster.cell - 0.5
    rows, columns = raster.ids.shape
    for ring, iris in EYES:
        low = np.floor(cells[ring].min(axis=0) - 2).astype(int)
        high = np.ceil(cells[ring].max(axis=0) + 3).astype(int)
        if (low < 0).any() or high[0] > columns or high[1] > rows:
            continue
        window = coordinates[low[1] : high[1], low[0] : high[0]]
        shape = window.shape[:2]
        centre = cells[iris[0]] - low
        source_from_cells = _eyeball(cells, source, ring)
        column, row = np.clip(np.round(centre).astype(int), 0, [shape[1] - 1, shape[0] - 1])
        looked_at = window[row, column] + _gaze_shift(source, ring, iris, window[row, column])
        y, x = np.mgrid[: shape[0], : shape[1]]
        from_iris = np.stack([x, y], axis=-1) - centre
        eyeball = from_iris @ source_from_cells.T + looked_at
        radius = float(np.linalg.norm(cells[iris[1:]] - cells[iris[0]], axis=1).mean())
        weight = _inside_lids(cells[ring] - low, shape) * _around(centre, radius, shape)
        window += weight[..., None] * (eyeball - window).astype(np.float32)


def _eyeball(cells: Float, source: Float, ring: Index) -> Float:
    """`source_from_cells`, float64[2, 2]: a similarity by the eye's width; flatter where the source's lids
    are less open than the result's, or its lid skin would show between them."""
    across_cells, across_source = (p[ring[8]] - p[ring[0]] for p in (cells, source))
    width_cells, width_source = max(np.hypot(*across_cells), 1e-6), max(np.hypot(*across_source), 1e-6)
    axes_cells = np.array([across_cells, [-across_cells[1], across_cells[0]]]) / width_cells
    axes_source = np.array([across_source, [-across_source[1], across_source[0]]]) / width_source
    flatter = min(1.0, eye_openness(source, ring) / max(eye_openness(cells, ring), 1e-3))
    scale = width_source / width_cells
    return np.asarray(axes_source.T @ np.diag([scale, scale * flatter]) @ axes_cells)


def _gaze_shift(source: Float, ring: Index, iris: Index, seen: Float) -> Float:
    """From what the mesh puts where the target's iris is, to the source's iris, within the eye's limits."""
    shift = source[iris[0]] - seen
    across = source[ring[8]] - source[ring[0]]
    width = max(float(np.hypot(*across)), 1e-6)
    across = across / width
    sideways = float(np.clip(shift @ across, -MAX_SIDEWAYS * width, MAX_SIDEWAYS * width))
    upwards = shift - (shift @ across) * across
    upwards *= min(1.0, MAX_UPWARDS * width / (float(np.hypot(*upwards)) + 1e-6))
    return np.asarray(sideways * across + upwards, np.float32)


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
    points: Float, target: Float, source: Float, shape: tuple[int, int], face_width: float
) -> Float:
    """Soft mask, float32 of `shape`, of what the mouth keeps of the target.

    Between the lips of an open mouth that is all. Where only the source is open it is the line along which
    lips meet, or its teeth would show there. points: the result's mesh in pixels. target, source: the faces'
    own.
    """
    mask = np.zeros(shape, np.float32)
    if mouth_openness(target) > OPEN_MOUTH:
        stroke = 0
    elif mouth_openness(source) > OPEN_MOUTH:
        stroke = max(1, round(face_width * SEAM))
    else:
        return mask
    feather = max(0.8, face_width * 0.005)
    margin = 4 * feather + stroke
    low = np.maximum(np.floor(points[INNER_LIPS, :2].min(axis=0) - margin).astype(int), 0)
    high = np.ceil(points[INNER_LIPS, :2].max(axis=0) + margin).astype(int) + 1
    inside = np.ascontiguousarray(mask[low[1] : high[1], low[0] : high[0]])
    if inside.size:
        outline = np.round((points[INNER_LIPS, :2] - low) * 16).astype(np.int32)
        cv2.fillPoly(inside, [outline], 1.0, shift=4)
        if stroke:
            cv2.polylines(inside, [outline], True, 1.0, stroke, shift=4)
        mask[low[1] : high[1], low[0] : high[0]] = cv2.GaussianBlur(inside, (0, 0), feather)
    return mask

"""Step 8, mouth: its inside is the target's, the lips are the source's."""

import cv2
import numpy as np

from mien.engine.arrays import Float
from mien.engine.topology import INNER_LIPS, OUTER_LIPS

OPEN_MOUTH = 0.06
"""Lip gap over mouth width above which the mouth's inside shows."""

SEAM = 0.02
"""Width of the line between closed lips, in face widths."""


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
        soft = cv2.GaussianBlur(inside, (0, 0), feather)
        mask[low[1] : high[1], low[0] : high[0]] = np.minimum(soft, 1)  # rounding may exceed it
    return mask

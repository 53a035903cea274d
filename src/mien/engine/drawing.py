"""Small drawing helpers for masks."""

import cv2
import numpy as np

from mien.engine.arrays import Float, Index, Mask
from mien.engine.raster import Raster
from mien.engine.topology import FOREHEAD, LEFT_EYE, NOSE_BASE, OUTER_LIPS, OVAL, RIGHT_EYE, STRIPS


def area(raster: Raster, *rings: Index, hull: bool = False) -> Mask:
    """uint8[rows, columns], 1 inside any of the rings of mesh points (or inside their convex hulls)."""
    return inside(raster.points, raster.ids.shape, *rings, hull=hull)


def inside(points: Float, shape: tuple[int, ...], *rings: Index, hull: bool = False) -> Mask:
    """The same for `points`, [N, 2] in pixels of a picture that begins with `shape`: uint8[h, w]."""
    canvas = np.zeros(shape[:2], np.uint8)
    for ring in rings:
        outline = np.round(points[ring]).astype(np.int32)
        cv2.fillPoly(canvas, [cv2.convexHull(outline) if hull else outline], 1)
    return canvas


def above_nose_base(points: Float, shape: tuple[int, ...]) -> Mask:
    """bool[h, w]; above as the face goes, which may lie on its side. points, shape: as in `inside`."""
    base, up = points[NOSE_BASE], points[FOREHEAD] - points[NOSE_BASE]
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.asarray((x - base[0]) * up[0] + (y - base[1]) * up[1] > 0)


def disc(radius: float) -> Mask:
    """A round structuring element, at least 3 × 3."""
    size = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))


def soften(mask: Mask, sigma: float) -> Float:
    """float32 of the same shape, with soft edges."""
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), max(0.6, sigma))


def face_outline(points: Float, size: int) -> Float:
    """Where the mesh is, as the occlusion network is told: ½ on the face, 1 on eyes and lips.

    float32[size, size]. points: [468, 2] in pixels of the crop.
    """
    return (filled(points, size, OVAL, *STRIPS) + filled(points, size, RIGHT_EYE, LEFT_EYE, OUTER_LIPS)) / 2


def filled(points: Float, size: int, *rings: Index) -> Float:
    """float32[size, size] in [0, 1], 1 inside any of the rings of `points`, [N, 2] in pixels."""
    layers = []
    for ring in rings:  # by itself, or their soft edges would add up
        canvas = np.zeros((size, size), np.uint8)
        layers.append(
            cv2.fillPoly(canvas, [np.round(points[ring] * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        )
    return np.asarray(np.maximum.reduce(layers), np.float32) / 255

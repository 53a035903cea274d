"""Small drawing helpers for masks on a raster's cells."""

import cv2
import numpy as np

from mien.engine.arrays import Float, Index, Mask
from mien.engine.raster import Raster


def area(raster: Raster, *rings: Index, hull: bool = False) -> Mask:
    """uint8[rows, columns], 1 inside any of the rings of mesh points (or inside their convex hulls)."""
    canvas = np.zeros(raster.ids.shape, np.uint8)
    for ring in rings:
        outline = np.round(raster.points[ring]).astype(np.int32)
        cv2.fillPoly(canvas, [cv2.convexHull(outline) if hull else outline], 1)
    return canvas


def disc(radius: float) -> Mask:
    """A round structuring element, at least 3 × 3."""
    size = 2 * max(1, round(radius)) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))


def soften(mask: Mask, sigma: float) -> Float:
    """float32 of the same shape, with soft edges."""
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), max(0.6, sigma))

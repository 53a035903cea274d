"""Whose face is it? Embeddings for the report."""

import numpy as np

from mien.engine.arrays import RGB, Float
from mien.engine.landmarks import square_crop, warp_crop
from mien.engine.models import Network
from mien.engine.topology import LEFT_EYE_OUTER, MESH_POINTS, RIGHT_EYE_OUTER

CROP = 224
CROP_EXTENT = 1.4

SAME_PERSON = 0.674
"""Cosine at which false matches and false rejections are equally frequent (2.3 % each on frontal faces)."""


def embed(image: RGB, landmarks: Float, network: Network) -> Float:
    """float32[1024] of unit length; compare two by their dot product."""
    points = landmarks[:MESH_POINTS, :2].astype(np.float64)
    right, left = points[RIGHT_EYE_OUTER], points[LEFT_EYE_OUTER]
    angle = float(np.arctan2(left[1] - right[1], left[0] - right[0]))
    upright = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turned = points @ upright.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    centre = ((low + high) / 2) @ upright
    crop_from_image = square_crop(centre, float((high - low).max()) * CROP_EXTENT, angle, CROP)
    crop = warp_crop(image, crop_from_image, CROP)
    return np.asarray(network(crop[None].astype(np.float32))["embedding"][0])

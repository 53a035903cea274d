"""Whose face is it? Embeddings for the report."""

import numpy as np

from mien.engine.arrays import RGB, Float
from mien.engine.landmarks import aligned_crop, warp_crop
from mien.engine.models import Network
from mien.engine.scaling import Pyramid

CROP = 224
CROP_EXTENT = 1.4

SAME_PERSON = 0.674
"""Cosine at which false matches and false rejections are equally frequent (2.3 % each on frontal faces)."""


def embed(picture: Pyramid, landmarks: Float, network: Network) -> Float:
    """float32[1024] of unit length; compare two by their dot product."""
    crop = warp_crop(picture, aligned_crop(landmarks.astype(np.float64), CROP, CROP_EXTENT), CROP)
    return np.asarray(network(crop[None].astype(np.float32))["embedding"][0])


def embed_result(image: RGB, landmarks: Float, network: Network) -> Float:
    """The same for a picture, uint8[H, W, 3] RGB, that nothing else looks at: only the face is shrunk."""
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    margin = CROP_EXTENT / 2 * float((high - low).max())  # the crop may be turned by 45°
    left, top = np.maximum(np.floor(low - margin).astype(int), 0)
    right, bottom = np.ceil(high + margin).astype(int)
    corner = np.array([left, top, 0], np.float32)
    return embed(Pyramid(image[top:bottom, left:right]), landmarks - corner, network)

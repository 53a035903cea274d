"""Step 3: 478 points on a face (Grishchenko et al. 2020, "Attention Mesh").

Points are float32[478, 3] in pixels of the picture: x to the right, y down, z away from the viewer on the
same scale. Pixel centres lie at whole numbers, as OpenCV counts.
"""

import cv2
import numpy as np

from mien.engine.arrays import RGB, Float
from mien.engine.models import Network
from mien.engine.scaling import shrink
from mien.engine.topology import LEFT_EYE_OUTER, MESH_POINTS, RIGHT_EYE_OUTER

CROP = 192
SURROUNDINGS = 1.4
"""How far, in lengths of the detector's box, the passes may look from its centre."""

EVEN = 8
"""Windows have sides of so many pixels, so that halving them twice or thrice loses no row."""

CROP_EXTENTS = (1.5, 1.35, 1.35)
"""Sides of the crops of the passes, in lengths of the face. The first comes from the detector and is loose;
closer ones read lids and lips a tenth more truly."""


def find_landmarks(image: RGB, box: Float, keypoints: Float, network: Network) -> tuple[Float, float]:
    """Points of the face in `box` and how far (in eye distances) they still moved in the last pass."""
    window, image_from_window = _surroundings(image, box)
    to_window = 1 / image_from_window[0]
    centre = ((box[:2] + box[2:]) / 2 - image_from_window[1]) * to_window
    extent = float((box[2:] - box[:2]).max()) * float(to_window.max())
    angle = _angle(keypoints[0], keypoints[1])
    points: Float = np.zeros((478, 3), np.float32)
    for crop_extent in CROP_EXTENTS:
        previous = points
        points = _run(window, centre, extent * crop_extent, angle, network)
        low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        centre, extent = (low + high) / 2, float((high - low).max())
        angle = _angle(points[RIGHT_EYE_OUTER], points[LEFT_EYE_OUTER])
    moved = np.linalg.norm(points[:, :2] - previous[:, :2], axis=1).mean() / eye_distance(points)
    points = (previous + points) / 2  # two looks err less than one
    zoom, shift = image_from_window
    there = np.column_stack([points[:, :2] * zoom + shift, points[:, 2] * zoom.mean()])
    return there.astype(np.float32), float(moved)


def _surroundings(image: RGB, box: Float) -> tuple[RGB, tuple[Float, Float]]:
    """The part of the picture that all passes look at, at no more than twice their resolution; and zoom and
    shift, float64[2] each, that bring its pixels back to the picture's."""
    centre, extent = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max())
    height, width = image.shape[:2]
    low = np.clip(np.floor(centre - SURROUNDINGS * extent).astype(int), 0, [width - 1, height - 1])
    high = np.clip(np.ceil(centre + SURROUNDINGS * extent).astype(int), low + 1, [width, height])
    high = np.maximum(low + (high - low) // EVEN * EVEN, low + 1)
    window = image[low[1] : high[1], low[0] : high[0]]
    scale = 2 * CROP / (min(CROP_EXTENTS) * extent)
    if scale >= 1:
        return window, (np.ones(2), low.astype(np.float64))
    size = np.maximum(1, np.round((high - low) * scale).astype(int))
    zoom = (high - low) / size
    small = shrink(window, int(size[0]), int(size[1]))
    # picture pixel = zoom × (small pixel + ½) − ½ + corner
    return small, (zoom, zoom / 2 - 0.5 + low)


def eye_distance(points: Float) -> float:
    """Between the outer eye corners, in pixels; depth counts, so that a turned head reads the same."""
    return max(float(np.linalg.norm(points[RIGHT_EYE_OUTER] - points[LEFT_EYE_OUTER])), 1e-3)


def _angle(right_eye: Float, left_eye: Float) -> float:
    return float(np.arctan2(left_eye[1] - right_eye[1], left_eye[0] - right_eye[0]))


def _run(image: RGB, centre: Float, side: float, angle: float, network: Network) -> Float:
    crop_from_image = square_crop(centre, side, angle, CROP)
    crop = warp_crop(image, crop_from_image, CROP)
    raw = network(crop[None].astype(np.float32) / 255)["landmarks"][0]
    image_from_crop = cv2.invertAffineTransform(crop_from_image)
    # The network counts from the pixel's corner, we from its centre.
    xy = (raw[:, :2] - 0.5) @ image_from_crop[:, :2].T + image_from_crop[:, 2]
    return np.column_stack([xy, raw[:, 2] * side / CROP]).astype(np.float32)


def square_crop(centre: Float, side: float, angle: float, size: int) -> Float:
    """`crop_from_image`, float64[2, 3]: a turned square of `side` pixels becomes size × size, upright."""
    scale = size / side
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    linear = np.array([[cos, sin], [-sin, cos]])
    middle = (size - 1) / 2
    return np.column_stack([linear, middle - linear @ np.asarray(centre, np.float64)])


def aligned_crop(points: Float, size: int, extent: float) -> Float:
    """`crop_from_picture`, float64[2, 3]: the face upright in the middle of size × size pixels, whose sides
    are `extent` lengths of the face."""
    across = points[LEFT_EYE_OUTER, :2] - points[RIGHT_EYE_OUTER, :2]
    angle = float(np.arctan2(across[1], across[0]))
    cos, sin = np.cos(angle), np.sin(angle)
    upright = points[:MESH_POINTS, :2] @ np.array([[cos, -sin], [sin, cos]])
    low, high = upright.min(axis=0), upright.max(axis=0)
    centre = (low + high) / 2 @ np.array([[cos, sin], [-sin, cos]])
    return square_crop(centre, float((high - low).max()) * extent, angle, size)


def warp_crop(image: RGB, crop_from_image: Float, size: int) -> RGB:
    """The crop, uint8[size, size, 3]; averaged, not sampled, where the picture is much larger."""
    scale = float(np.hypot(*crop_from_image[:, 0]))
    if scale < 0.5:
        image, crop_from_image = _shrunk(image, crop_from_image, size, scale)
    crop = cv2.warpAffine(
        image, crop_from_image, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(crop, np.uint8)


def _shrunk(image: RGB, crop_from_image: Float, size: int, scale: float) -> tuple[RGB, Float]:
    """The window that the crop looks at, at about twice the crop's resolution, and the way from there."""
    corners = np.array([[-1, -1], [size, -1], [-1, size], [size, size]], np.float64)
    image_from_crop = cv2.invertAffineTransform(crop_from_image)
    seen = corners @ image_from_crop[:, :2].T + image_from_crop[:, 2]
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(seen.min(axis=0)).astype(int), 0, [width - 1, height - 1])
    right, bottom = np.clip(np.ceil(seen.max(axis=0)).astype(int) + 1, [left + 1, top + 1], [width, height])
    right, bottom = (
        max(end - (end - start) % EVEN, start + 1) for start, end in ((left, right), (top, bottom))
    )
    window = image[top:bottom, left:right]
    columns, rows = (max(1, round(side * scale * 2)) for side in (right - left, bottom - top))
    small = shrink(window, columns, rows)
    zoom = np.array([(right - left) / columns, (bottom - top) / rows])
    # picture pixel = zoom × (small pixel + ½) − ½ + corner
    shift = zoom / 2 - 0.5 + [left, top]
    linear = crop_from_image[:, :2] * zoom
    offset = crop_from_image[:, :2] @ shift + crop_from_image[:, 2]
    return small, np.column_stack([linear, offset])

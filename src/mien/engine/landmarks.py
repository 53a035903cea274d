"""Step 3: 478 points on a face (Grishchenko et al. 2020, "Attention Mesh").

Points are float32[478, 3] in pixels of the picture: x to the right, y down, z away from the viewer on the
same scale. Pixel centres lie at whole numbers, as OpenCV counts.
"""

import cv2
import numpy as np

from mien.engine.arrays import RGB, Float
from mien.engine.models import Network
from mien.engine.scaling import Pyramid
from mien.engine.topology import LEFT_EYE_OUTER, MESH_POINTS, RIGHT_EYE_OUTER, mirror_with_irises

CROP = 192
PASSES = ((1.5, False), (1.35, False), (1.35, True))
"""The side of each pass's crop in lengths of the face, and whether it's mirrored. The first crop comes from
the detector and is loose; closer ones read lids and lips a tenth more truly. What the network reads of a face
and of its mirror image errs each in its own way, so that their mean is truer."""


def find_landmarks(picture: Pyramid, box: Float, keypoints: Float, network: Network) -> tuple[Float, float]:
    """Points of the face in `box` and how far apart (in eye distances) the last two passes saw them."""
    centre, extent = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max())
    angle = _angle(keypoints[0], keypoints[1])
    points: Float = np.zeros((478, 3), np.float32)
    for crop_extent, mirrored in PASSES:
        previous = points
        points = _run(picture, centre, extent * crop_extent, angle, network, mirrored)
        low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
        centre, extent = (low + high) / 2, float((high - low).max())
        angle = _angle(points[RIGHT_EYE_OUTER], points[LEFT_EYE_OUTER])
    apart = np.linalg.norm(points[:, :2] - previous[:, :2], axis=1).mean() / eye_distance(points)
    return (previous + points) / 2, float(apart)


def eye_distance(points: Float) -> float:
    """Between the outer eye corners, in pixels; depth counts, so that a turned head reads the same."""
    return max(float(np.linalg.norm(points[RIGHT_EYE_OUTER] - points[LEFT_EYE_OUTER])), 1e-3)


def _angle(right_eye: Float, left_eye: Float) -> float:
    return float(np.arctan2(left_eye[1] - right_eye[1], left_eye[0] - right_eye[0]))


def _run(
    picture: Pyramid, centre: Float, side: float, angle: float, network: Network, mirrored: bool
) -> Float:
    crop_from_image = square_crop(centre, side, angle, CROP)
    crop = warp_crop(picture, crop_from_image, CROP)
    seen = crop[:, ::-1] if mirrored else crop
    raw = network(seen[None].astype(np.float32) / 255)["landmarks"][0]
    if mirrored:
        raw = raw[mirror_with_irises()]
        raw[:, 0] = CROP - raw[:, 0]
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


def warp_crop(picture: Pyramid, crop_from_picture: Float, size: int) -> RGB:
    """The crop, uint8[size, size, 3]; averaged, not sampled, where the picture is much larger."""
    halvings = picture.halvings(float(np.hypot(*crop_from_picture[:, 0])))
    # picture pixel = zoom × (level's pixel + ½) − ½
    zoom = 2**halvings
    linear = crop_from_picture[:, :2]
    offset = crop_from_picture[:, 2] + linear.sum(axis=1) * (zoom / 2 - 0.5)
    crop = cv2.warpAffine(
        picture.level(halvings),
        np.column_stack([linear * zoom, offset]),
        (size, size),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(crop, np.uint8)

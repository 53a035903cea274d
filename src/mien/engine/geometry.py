"""Step 5: the result's shape, with the source's proportions and the target's expression, pose and place."""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from mien.engine.arrays import RGB, Float, Index
from mien.engine.models import load_table
from mien.engine.pose import Pose, angle_between
from mien.engine.topology import (
    EYES,
    INNER_LIPS,
    LEFT_BROW,
    MESH_POINTS,
    OUTER_LIPS,
    OVAL,
    RIGHT_BROW,
    STRIPS,
    triangles,
)

UPPER, LOWER = 1.0, 1.3
"""How many times the difference itself the eyes' and the mouth's surroundings move. Expression lives in the
lower face, so that its filter takes more of the difference between people with it there."""

BELOW_EYES = (0.3, 0.6)
"""Where the lower face begins, in eye distances."""

MAX_SHIFT = 0.16
"""Longest displacement that a plausible pair of faces asks for, in eye distances."""

FADE = 0.3
"""Beyond this many eye distances from the face the picture stays as it is."""

LID_REACH = 0.35

WIDE_EYES = 0.5
"""A wider eye looks more open, so its lids' gap shrinks by this power of its width."""

LIP_FOLLOWING = 0.7


@dataclass(frozen=True)
class ResultShape:
    """points: float32[478, 3] in pixels of the target picture.
    expression: float64[478, 3], source minus target in the canonical frame, in eye distances."""

    points: Float
    expression: Float


def result_shape(
    source: Float,
    target: Float,
    source_pose: Pose,
    target_pose: Pose,
    strength: float,
    proportions: Float | None = None,
) -> ResultShape:
    """Give the target's face the source's identity. `strength` 0 keeps the target's shape, 1 is natural.

    proportions: float64[478, 3] in the canonical frame, where more is known of them than `source` shows.
    """
    rest = target_pose.canonical_from_image(target)
    shown = source_pose.canonical_from_image(source)
    expression = expression_part(shown - rest)
    difference = (shown if proportions is None else proportions) - rest
    identity = _plausible(difference - expression_part(difference))
    # Depth of a turned face is guessed, and what it hides more so.
    trust = np.interp(angle_between(source_pose, target_pose), [10, 60], [1, 0.4])
    points = target_pose.image_from_canonical(rest + strength * trust * _exaggeration() * identity)
    _keep_openings(points, target)
    return ResultShape(points, expression)


def expression_part(difference: Float) -> Float:
    """What of a displacement [478, 3] in the canonical frame is expression (Wiener filter)."""
    basis = load_table("expression_basis.npz")
    components = basis["components"]
    coefficients = basis["expression_gain"] @ (components @ difference.ravel())
    return np.asarray((components.T @ coefficients).reshape(difference.shape))


@cache
def _exaggeration() -> Float:
    """float64[478, 1]."""
    height = load_table("expression_basis.npz")["mean_face"][:, 1]
    below = np.mean([height[ring].mean() for ring, _ in EYES]) - height
    return np.asarray(UPPER + (LOWER - UPPER) * smoothstep(below, *BELOW_EYES))[:, None]


def _plausible(displacement: Float) -> Float:
    length = np.linalg.norm(displacement, axis=1, keepdims=True)
    # Soft limit: small displacements pass unchanged, large ones approach MAX_SHIFT.
    return np.asarray(displacement / np.sqrt(np.maximum(1, length / MAX_SHIFT)))


def eye_openness(points: Float, ring: Index) -> float:
    """Gap between the lids over the eye's width."""
    gap = np.mean([np.linalg.norm(points[ring[8 + k], :2] - points[ring[8 - k], :2]) for k in (3, 4, 5)])
    return float(gap) / max(eye_width(points, ring), 1e-6)


def eye_width(points: Float, ring: Index) -> float:
    """Between the corners of an eye, in pixels of the picture."""
    return float(np.linalg.norm(points[ring[0], :2] - points[ring[8], :2]))


def _between_eyes(points: Float) -> float:
    right, left = (points[ring, :2].mean(axis=0) for ring, _ in EYES)
    return max(float(np.linalg.norm(left - right)), 1e-6)


def _keep_openings(points: Float, target: Float) -> None:
    """Lids open as far as the target's for the eyes' distance, and lips as far as the target's."""
    closer = _between_eyes(points) / _between_eyes(target)
    for ring, iris in EYES:
        wider = eye_width(points, ring) / max(eye_width(target, ring), 1e-6) / closer
        linear, offset = _between_corners(target, points, ring[0], ring[8], closer * wider**-WIDE_EYES)
        moved = target[ring, :2] @ linear.T + offset
        reach = LID_REACH * eye_width(points, ring)
        _drag(points, ring, moved, reach)
        points[iris, :2] = target[iris, :2] @ linear.T + offset
    linear, offset = _between_corners(target, points, INNER_LIPS[0], INNER_LIPS[10], 1.0)
    moved = target[INNER_LIPS, :2] @ linear.T + offset
    shift = moved - points[INNER_LIPS, :2]
    points[INNER_LIPS, :2] = moved
    points[OUTER_LIPS, :2] += LIP_FOLLOWING * shift


def _between_corners(
    before: Float, after: Float, first: np.intp, second: np.intp, across: float
) -> tuple[Float, Float]:
    """The map that takes both corners along; across the line between them lengths grow by `across`."""
    old, new = (points[second, :2] - points[first, :2] for points in (before, after))
    old_length, new_length = max(np.hypot(*old), 1e-6), max(np.hypot(*new), 1e-6)
    old_axes = np.array([old, [-old[1], old[0]]]) / old_length
    new_axes = np.array([new, [-new[1], new[0]]]) / new_length
    along = new_length / old_length
    linear = new_axes.T @ np.diag([along, across]) @ old_axes
    middle_before, middle_after = ((p[first, :2] + p[second, :2]) / 2 for p in (before, after))
    return linear, middle_after - linear @ middle_before


def _drag(points: Float, ring: Index, moved: Float, reach: float) -> None:
    """Move a lid line; creases and lashes follow, brows stay."""
    shift = moved - points[ring, :2]
    away = np.linalg.norm(points[:MESH_POINTS, None, :2] - points[None, ring, :2], axis=2)  # 468,16
    near = np.exp(-0.5 * (away / (0.35 * reach)) ** 2) + 1e-9
    follow = smoothstep(1 - away.min(axis=1) / reach)
    follow[np.concatenate([RIGHT_BROW, LEFT_BROW])] = 0
    points[:MESH_POINTS, :2] += (near @ shift) / near.sum(axis=1, keepdims=True) * follow[:, None]
    points[ring, :2] = moved


def normals(points: Float) -> Float:
    """Unit normals at the 468 points: x to the picture's right, y up, z to the viewer."""
    vertices = points[:MESH_POINTS].astype(np.float64) * [1, -1, -1]
    a, b, c = (vertices[triangles()[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    total = np.zeros((MESH_POINTS, 3))
    for k in range(3):
        np.add.at(total, triangles()[:, k], across)
    return np.asarray(total / (np.linalg.norm(total, axis=1, keepdims=True) + 1e-9))


def smoothstep(x: Float, low: float = 0.0, high: float = 1.0) -> Float:
    """0 up to `low`, 1 from `high`, smooth between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def bend(image: RGB, before: Float, after: Float, eye_distance: float, freedom: Float | None = None) -> RGB:
    """The picture around the face follows its new shape.

    image: uint8[H, W, 3]. before, after: float32[N, ≥2], the target's mesh and the result's, in its pixels.
    freedom: float32[H, W] in [0, 1], 0 where the picture must stay as it is; None: nowhere.
    A thin-plate spline (Bookstein 1989) through face outline and inner lips, faded to nothing within `FADE`
    eye distances of the face.
    """
    height, width = image.shape[:2]
    anchors = np.concatenate([OVAL, INNER_LIPS])
    nodes = 24
    x, y = np.linspace(0, width - 1, nodes), np.linspace(0, height - 1, nodes)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    shift = _thin_plate(after[anchors, :2], (before - after)[anchors, :2], grid, eye_distance)
    small = max(1, round(eye_distance / 48))
    size = (-(-width // small), -(-height // small))
    coarse = cv2.resize(
        shift.reshape(nodes, nodes, 2).astype(np.float32), size, interpolation=cv2.INTER_CUBIC
    )
    coarse *= _fade(before, after, size, small, eye_distance)[..., None]
    if freedom is not None:
        coarse = coarse * cv2.resize(freedom, size, interpolation=cv2.INTER_AREA)[..., None]
    full = cv2.resize(coarse, (size[0] * small, size[1] * small), interpolation=cv2.INTER_LINEAR)
    how = cv2.INTER_CUBIC | cv2.WARP_RELATIVE_MAP
    bent = cv2.remap(image, full[:height, :width], np.empty(0), how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(bent, np.uint8)


def _thin_plate(centres: Float, values: Float, at: Float, unit: float) -> Float:
    """Interpolate `values` [N, 2] given at `centres` [N, 2] at other places [M, 2]."""
    centres, at = centres.astype(np.float64) / unit, at / unit

    def kernel(a: Float, b: Float) -> Float:
        squared = ((a[:, None] - b[None]) ** 2).sum(axis=2)
        result: Float = squared * np.log(squared + 1e-12)
        return result

    count = len(centres)
    affine = np.column_stack([np.ones(count), centres])
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = kernel(centres, centres) + 1e-3 * np.eye(count)
    system[:count, count:], system[count:, :count] = affine, affine.T
    right = np.zeros((count + 3, 2))
    right[:count] = values
    weights = np.linalg.solve(system, right)
    evaluated: Float = np.column_stack([kernel(at, centres), np.ones(len(at)), at]) @ weights
    return evaluated


def _fade(before: Float, after: Float, size: tuple[int, int], small: int, eye_distance: float) -> Float:
    """float32[rows, columns] of the reduced picture: 1 on the face, 0 far from it."""
    outside = np.full((size[1], size[0]), 255, np.uint8)
    for points in (before, after):
        for strip in STRIPS:
            outline = np.round((points[strip, :2] + 0.5) / small - 0.5).astype(np.int32)
            cv2.fillPoly(outside, [outline], 0)
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, 5) * (small / eye_distance)
    return smoothstep(1 - distance / FADE).astype(np.float32)

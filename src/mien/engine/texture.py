"""Step 6: bring the source's pixels to where the result's mesh wants them.

Maps are made per triangle at a fraction of the resolution and then enlarged; pixels are sampled once.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.engine.geometry import smoothstep
from mien.engine.models import Float
from mien.engine.topology import MESH_POINTS, triangles

GRID = 220
"""Aim for about so many map cells across the face: triangles are a few cells wide."""


@dataclass(frozen=True)
class Raster:
    """Which triangle covers which cell.

    ids: int32[rows, columns], −1 off the mesh (and a rim around it, which continues the nearest triangle).
    covered: bool[rows, columns], the mesh without the rim. cell: picture pixels per cell.
    points: float64[468, 2], the mesh in cells.
    """

    ids: NDArray[np.int32]
    covered: NDArray[np.bool_]
    cell: int
    points: NDArray[np.float64]

    def interpolate(self, values: NDArray[np.floating]) -> Float:
        """Values at the mesh's points, [468, K], spread over the cells: float32[rows, columns, K]."""
        affine = self._affine(values)
        rows, columns = self.ids.shape
        x = np.arange(columns, dtype=np.float32)[None, :, None]
        y = np.arange(rows, dtype=np.float32)[:, None, None]
        picked = affine[np.maximum(self.ids, 0)]  # rows,columns,K,3
        spread: Float = picked[..., 0] * x + picked[..., 1] * y + picked[..., 2]
        return spread

    def _affine(self, values: NDArray[np.floating]) -> Float:
        """Per triangle: value = a·x + b·y + c; float32[898, K, 3]."""
        corners = np.concatenate([self.points[triangles()], np.ones((len(triangles()), 3, 1))], axis=2)
        flat = np.abs(np.linalg.det(corners)) < 1e-3
        corners[flat] = np.eye(3)
        at_corners = values[triangles()]  # 898,3,K
        affine = np.linalg.solve(corners, at_corners).transpose(0, 2, 1)
        affine[flat] = 0  # seen edge-on: one value for all of it
        affine[flat, :, 2] = at_corners[flat].mean(axis=1)
        return affine.astype(np.float32)

    def coarser(self, every: int) -> "Raster":
        """The same with only every so-manieth cell."""
        first = every // 2
        inside = (slice(first, None, every), slice(first, None, every))
        return Raster(
            self.ids[inside], self.covered[inside], self.cell * every, (self.points - first) / every
        )

    def enlarge(self, cells: Float, shape: tuple[int, int]) -> Float:
        """Cells to pixels, linearly."""
        rows, columns = self.ids.shape
        size = (columns * self.cell, rows * self.cell)
        return np.asarray(cv2.resize(cells, size, interpolation=cv2.INTER_LINEAR))[: shape[0], : shape[1]]


def rasterise(points: Float, shape: tuple[int, int], face_width: float) -> Raster:
    """Draw the mesh, far triangles first. points: float32[478, 3] in pixels of a picture of `shape`."""
    cell = max(1, round(face_width / GRID))
    rows, columns = (-(-side // cell) for side in shape)
    cells = (points[:MESH_POINTS, :2].astype(np.float64) + 0.5) / cell - 0.5
    ids = np.full((rows, columns), -1, np.int32)
    corners = np.round(cells[triangles()] * 16).astype(np.int32)
    depth = points[:MESH_POINTS, 2][triangles()].mean(axis=1)
    for triangle in np.argsort(-depth):
        cv2.fillConvexPoly(ids, corners[triangle], int(triangle), shift=4)
    covered = ids >= 0
    for _ in range(3):
        grown = cv2.dilate(ids.astype(np.float32), np.ones((3, 3), np.uint8)).astype(np.int32)
        ids = np.where(ids < 0, grown, ids)
    return Raster(ids, covered, cell, cells)


def sample(source: NDArray[np.uint8], coordinates: Float) -> NDArray[np.uint8]:
    """The source's colours at `coordinates`, float32[H, W, 2] as x, y."""
    sampled = cv2.remap(
        source,
        np.ascontiguousarray(coordinates[..., 0]),
        np.ascontiguousarray(coordinates[..., 1]),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(sampled, np.uint8)


@dataclass(frozen=True)
class SourcePatch:
    """The source's face cut out, at most as fine as the result needs.

    image: uint8[h, w, 3]. points: float32[478, 2] in its pixels. scale: result pixels per source pixel
    before any shrinking (above 1: the source is coarser than the result).
    """

    image: NDArray[np.uint8]
    points: Float
    scale: float


def cut_source(image: NDArray[np.uint8], points: Float, scale: float) -> SourcePatch:
    """Cut the face out; average it down where the result is smaller, or fine detail would alias."""
    height, width = image.shape[:2]
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    margin = 0.15 * (high - low).max()
    left, top = np.clip(np.floor(low - margin).astype(int), 0, [width - 2, height - 2])
    right, bottom = np.clip(np.ceil(high + margin).astype(int), [left + 2, top + 2], [width, height])
    patch, moved = image[top:bottom, left:right], points[:, :2] - [left, top]
    if scale < 0.9:
        columns, rows = (max(2, round(side * scale)) for side in (right - left, bottom - top))
        zoom = np.array([columns / (right - left), rows / (bottom - top)])
        patch = cv2.resize(patch, (columns, rows), interpolation=cv2.INTER_AREA)
        moved = (moved + 0.5) * zoom - 0.5
    return SourcePatch(np.ascontiguousarray(patch), moved.astype(np.float32), scale)


def normals(points: Float) -> NDArray[np.float64]:
    """Unit normals at the 468 points: x to the picture's right, y up, z to the viewer."""
    vertices = points[:MESH_POINTS].astype(np.float64) * [1, -1, -1]
    a, b, c = (vertices[triangles()[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    total = np.zeros((MESH_POINTS, 3))
    for k in range(3):
        np.add.at(total, triangles()[:, k], across)
    return np.asarray(total / (np.linalg.norm(total, axis=1, keepdims=True) + 1e-9))


def visibility(normals: NDArray[np.float64]) -> NDArray[np.floating]:
    """float[468] in [0, 1]: 0 for skin seen edge-on or from behind."""
    return smoothstep(normals[:, 2], 0.12, 0.45)

"""The result's mesh drawn on a grid of cells: whatever is known at its points is then known everywhere."""

from dataclasses import dataclass

import cv2
import numpy as np

from mien.engine.arrays import Float, Index, Mask
from mien.engine.topology import MESH_POINTS, triangles

GRID = 220
"""Aim for about so many map cells across the face: triangles are a few cells wide."""


@dataclass(frozen=True)
class Raster:
    """Which triangle covers which cell.

    ids: int32[rows, columns], −1 off the mesh (and a rim around it, which continues the nearest triangle).
    covered: bool[rows, columns], the mesh without the rim. cell: picture pixels per cell.
    points: float64[468, 2], the mesh in cells. shape: height and width of the picture in pixels.
    """

    ids: Index
    covered: Mask
    cell: int
    points: Float
    shape: tuple[int, int]

    def interpolate(self, values: Float) -> Float:
        """Values at the mesh's points, [468, K], spread over the cells: float32[rows, columns, K]."""
        affine = self._affine(values)
        rows, columns = self.ids.shape
        x = np.arange(columns, dtype=np.float32)[None, :, None]
        y = np.arange(rows, dtype=np.float32)[:, None, None]
        picked = affine[np.maximum(self.ids, 0)]  # rows,columns,K,3
        spread: Float = picked[..., 0] * x + picked[..., 1] * y + picked[..., 2]
        return spread

    def _affine(self, values: Float) -> Float:
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
        """The same with only one cell of so many."""
        first = every // 2
        inside = (slice(first, None, every), slice(first, None, every))
        return Raster(
            self.ids[inside],
            self.covered[inside],
            self.cell * every,
            (self.points - first) / every,
            self.shape,
        )

    def part(self, rows: slice, columns: slice) -> "Raster":
        """The same of these cells only."""
        height, width = self.shape
        return Raster(
            self.ids[rows, columns],
            self.covered[rows, columns],
            self.cell,
            self.points - [columns.start, rows.start],
            (
                min(rows.stop * self.cell, height) - rows.start * self.cell,
                min(columns.stop * self.cell, width) - columns.start * self.cell,
            ),
        )

    def enlarge(self, cells: Float) -> Float:
        """Cells to pixels, linearly: [rows, columns] or [rows, columns, K] to the picture's `shape`."""
        rows, columns = self.ids.shape
        size = (columns * self.cell, rows * self.cell)
        enlarged = cv2.resize(cells, size, interpolation=cv2.INTER_LINEAR)
        return np.asarray(enlarged[: self.shape[0], : self.shape[1]])


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
    return Raster(ids, covered, cell, cells, (shape[0], shape[1]))

"""The result's mesh drawn on a grid of cells: whatever is known at its points is then known everywhere."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from mien.engine.arrays import RGB, Float, Index, Mask
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
        by_x, by_y, constant = self._affine(values)
        rows, columns = self.ids.shape
        spread, down, rest = (self._of_triangles(values) for values in (by_x, by_y, constant))
        spread *= np.arange(columns, dtype=np.float32)[None, :, None]
        down *= np.arange(rows, dtype=np.float32)[:, None, None]
        spread += down
        spread += rest
        return spread

    def _of_triangles(self, values: Float) -> Float:
        """Each cell's triangle's values, [898, K]: [rows, columns, K]. Nothing is out of range, but NumPy is
        quicker when it need not make sure of that."""
        return np.take(values, self._triangle, axis=0, mode="clip")

    @cached_property
    def _triangle(self) -> Index:
        """int[rows, columns]: `ids` with some triangle everywhere."""
        return np.maximum(self.ids, 0).astype(np.intp)

    @cached_property
    def _from_corners(self) -> Float:
        """float64[898, 3, 3]: what turns the values at a triangle's corners into its affine function. A
        triangle that is seen edge-on has one value for all of it."""
        x, y = np.moveaxis(self.points[triangles()], 2, 0)  # 898,3 each
        x1, y1, x2, y2 = (np.roll(along, -steps, axis=1) for steps in (1, 2) for along in (x, y))
        # Cramer's rule: the adjugate of the corners' matrix, whose rows are x, y, 1
        adjugate = np.stack([y1 - y2, x2 - x1, x1 * y2 - x2 * y1], axis=1)
        determinant = adjugate[:, 2].sum(axis=1)[:, None, None]
        flat = np.abs(determinant) < 1e-3
        one_value = np.array([[0, 0, 0], [0, 0, 0], [1 / 3, 1 / 3, 1 / 3]])
        return np.where(flat, one_value, adjugate / np.where(flat, 1, determinant))

    def _affine(self, values: Float) -> tuple[Float, Float, Float]:
        """Per triangle: value = a·x + b·y + c; a, b and c as float32[898, K]."""
        affine = (self._from_corners @ values[triangles()]).astype(np.float32)
        return affine[:, 0].copy(), affine[:, 1].copy(), affine[:, 2].copy()

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

    def reduce(self, image: RGB) -> RGB:
        """Pixels to cells, averaged: uint8[h, w, 3] of the picture's `shape` to [rows, columns, 3]."""
        rows, columns = self.ids.shape
        below, right = rows * self.cell - self.shape[0], columns * self.cell - self.shape[1]
        whole = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
        return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)

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

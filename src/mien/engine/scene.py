"""The part of the target that changes, cut out so that nothing else is touched."""

from dataclasses import dataclass

import numpy as np

from mien.engine.arrays import RGB, Float
from mien.engine.geometry import FADE, bend
from mien.engine.landmarks import eye_distance
from mien.engine.raster import Raster, rasterise
from mien.engine.topology import MESH_POINTS, OVAL

FACE_WIDTH = 1.45
"""In eye distances; the measure for all feathers, grids and blurs. Unlike the outline it does not shrink when
a head turns."""

Window = tuple[slice, slice]


@dataclass(frozen=True)
class Scene:
    """window: rows and columns of the target. bent: uint8[h, w, 3], the window after the face's surroundings
    followed its new shape. inner: the face within the window. points: float32[478, 3], the result's mesh in
    pixels of `inner`. raster: that mesh, drawn. eye_distance, face_width: in pixels."""

    window: Window
    bent: RGB
    inner: Window
    points: Float
    raster: Raster
    eye_distance: float
    face_width: float

    @property
    def face(self) -> RGB:
        """`bent` where the face is."""
        return self.bent[self.inner]

    def put_into(self, image: RGB, face: RGB) -> None:
        """Change a copy of the target: the new face and its bent surroundings."""
        image[self.window] = self.bent
        image[self.window][self.inner] = face


def set_scene(target: RGB, before: Float, after: Float) -> Scene:
    """before, after: float32[478, 3], the target's mesh and the result's in pixels of `target`."""
    unit = eye_distance(before)
    window = _window(np.concatenate([before[OVAL], after[OVAL]]), FADE * unit + 2, target.shape)
    bent = bend(target[window], _within(before, window), _within(after, window), unit)
    points = _within(after, window)
    inner = _window(points[:MESH_POINTS], 4, bent.shape)
    points = _within(points, inner)
    face_width = FACE_WIDTH * unit
    return Scene(
        window=window,
        bent=bent,
        inner=inner,
        points=points,
        raster=rasterise(points, bent[inner].shape[:2], face_width),
        eye_distance=unit,
        face_width=face_width,
    )


def _window(points: Float, margin: float, shape: tuple[int, ...]) -> Window:
    """Around the points, within a picture of `shape`."""
    limit = np.array([shape[1], shape[0]])
    low = np.clip(np.floor(points[:, :2].min(axis=0) - margin).astype(int), 0, limit - 2)
    high = np.clip(np.ceil(points[:, :2].max(axis=0) + margin).astype(int) + 1, low + 2, limit)
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _within(points: Float, window: Window) -> Float:
    return points - np.array([window[1].start, window[0].start, 0], np.float32)

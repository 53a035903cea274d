"""The part of the target that changes, cut out so that nothing else is touched."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mien.engine.arrays import RGB, Float, Mask
from mien.engine.geometry import FADE, bend, smoothstep
from mien.engine.landmarks import eye_distance
from mien.engine.neighbours import Neighbour, room
from mien.engine.raster import Raster, rasterise
from mien.engine.topology import MESH_POINTS, OVAL

FACE_WIDTH = 1.45
"""In eye distances; the measure for all feathers, grids and blurs. Unlike the outline it does not shrink when
a head turns."""

BORDER = 0.015
"""Next to another face so much of the own ground stays untouched, in eye distances: more than the error with
which the border is drawn."""

SOFT = 0.03
"""Width of the face's edge there."""

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
    room: Float | None
    eye_distance: float
    face_width: float

    @property
    def face(self) -> RGB:
        """`bent` where the face is."""
        return self.bent[self.inner]

    @property
    def ground(self) -> Float | None:
        """float32[h, w] in [0, 1], 0 in `face` where another face is; None where no other face is near."""
        return None if self.room is None else smoothstep(self.room[self.inner], BORDER, BORDER + SOFT)

    def ground_cells(self, shape: tuple[int, int]) -> Mask:
        """bool of `shape`, a grid over `face`: what is no other face's."""
        if self.room is None:
            return np.ones(shape, bool)
        return np.asarray(cv2.resize(self.room[self.inner], shape[::-1], interpolation=cv2.INTER_AREA) > 0)

    def put_into(self, image: RGB, face: RGB) -> None:
        """Change a copy of the target: the new face and its bent surroundings."""
        changed = self.bent.copy()
        changed[self.inner] = face
        if self.room is None:
            image[self.window] = changed
        else:
            np.copyto(image[self.window], changed, where=(self.room > BORDER)[..., None])


def set_scene(target: RGB, before: Float, after: Float, neighbours: Sequence[Neighbour] = ()) -> Scene:
    """before, after: float32[478, 3], the target's mesh and the result's in pixels of `target`."""
    unit = eye_distance(before)
    window = _window(np.concatenate([before[OVAL], after[OVAL]]), FADE * unit + 2, target.shape)
    old, points = _within(before, window), _within(after, window)
    space = _room(old, neighbours, window, unit) if neighbours else None
    freedom = None if space is None else smoothstep(space, BORDER, FADE).astype(np.float32)
    bent = bend(target[window], old, points, unit, freedom)
    inner = _window(points[:MESH_POINTS], 4, bent.shape)
    points = _within(points, inner)
    face_width = FACE_WIDTH * unit
    return Scene(
        window=window,
        bent=bent,
        inner=inner,
        points=points,
        raster=rasterise(points, bent[inner].shape[:2], face_width),
        room=space,
        eye_distance=unit,
        face_width=face_width,
    )


def _room(points: Float, neighbours: Sequence[Neighbour], window: Window, unit: float) -> Float:
    corner = np.array([window[1].start, window[0].start], np.float32)
    there = [Neighbour(neighbour.outline - corner, neighbour.in_front) for neighbour in neighbours]
    shape = (window[0].stop - window[0].start, window[1].stop - window[1].start)
    return room(points[OVAL, :2], there, shape, unit)


def _window(points: Float, margin: float, shape: tuple[int, ...]) -> Window:
    """Around the points, within a picture of `shape`."""
    limit = np.array([shape[1], shape[0]])
    low = np.clip(np.floor(points[:, :2].min(axis=0) - margin).astype(int), 0, limit - 2)
    high = np.clip(np.ceil(points[:, :2].max(axis=0) + margin).astype(int) + 1, low + 2, limit)
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _within(points: Float, window: Window) -> Float:
    return points - np.array([window[1].start, window[0].start, 0], np.float32)

"""A swap's intermediate pictures, for people who tune it and for the manual. They change no result."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

import cv2
import numpy as np

from mien.engine.arrays import RGB, Float, Index
from mien.engine.lighting import Light
from mien.engine.scene import Scene
from mien.engine.texture import Layers, SourcePatch
from mien.engine.topology import INNER_LIPS, LEFT_EYE, MESH_POINTS, OUTER_LIPS, OVAL, RIGHT_EYE

OnPicture = Callable[[str, RGB], None]
"""Hears of each intermediate picture: its name in a few words, and uint8[h, w, 3] RGB."""

OLD, NEW = (255, 200, 60), (60, 230, 255)
TILE, CAPTION = 300, 26
PAPER = 215  # a grey on which white masks can be seen


def show_steps(
    on_picture: OnPicture,
    target: RGB,
    before: Float,
    after: Float,
    scene: Scene,
    patch: SourcePatch,
    layers: Layers,
    lights: Mapping[str, Light],
    relit: Float,
    masks: Mapping[str, Float],
    mask: Float,
    matched: Float,
    face: RGB,
) -> None:
    """Everything that a swap went through, in order.

    before, after: float32[478, 3], the target's mesh and the result's in pixels of `target`. masks: layers on
    the raster's cells, by name; mask: all of them, in pixels. relit, matched: float32[h, w, 3] in 0–255.
    face: uint8[h, w, 3], the end.
    """
    window = target[scene.window]
    corner = np.array([scene.window[1].start, scene.window[0].start])
    old, new = before[:, :2] - corner, after[:, :2] - corner
    result = target.copy()
    scene.put_into(result, face)
    on_picture("the picture", window)
    on_picture("its landmarks", _with_points(window, old))
    on_picture("the face picture", _with_points(patch.image, patch.points))
    on_picture("old and new shape", _with_shapes(window, (old, OLD), (new, NEW)))
    on_picture("surroundings bent", scene.bent)
    on_picture("texture", layers.own)
    if layers.mirrored_side is not None:
        on_picture("mirrored texture", layers.mirrored_side)
        on_picture("share that is not mirrored", _grey(layers.own_share))
    for name, light in lights.items():
        on_picture(name, _from_lab(light.low, scene.raster.shape))
    on_picture("texture in new light", _bytes(relit))
    for name, layer in masks.items():
        on_picture(f"mask: {name}", _grey(scene.raster.enlarge(layer)))
    on_picture("mask", _grey(mask))
    on_picture("sharpness and grain matched", _bytes(matched))
    on_picture("result", result[scene.window])


def contact_sheet(pictures: Sequence[tuple[str, RGB]], columns: int = 5) -> RGB:
    """All pictures with their numbers and names, uint8[h, w, 3]."""
    tiles = [_tile(f"{number} {name}", picture) for number, (name, picture) in enumerate(pictures, start=1)]
    blank = np.full((TILE + CAPTION, TILE, 3), PAPER, np.uint8)
    tiles += [blank] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[first : first + columns]) for first in range(0, len(tiles), columns)]
    return np.vstack(rows) if rows else blank


def _tile(caption: str, picture: RGB) -> RGB:
    scale = (TILE - 8) / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    tile = np.full((TILE + CAPTION, TILE, 3), PAPER, np.uint8)
    left, top = (TILE - size[0]) // 2, (TILE - size[1]) // 2
    tile[top : top + size[1], left : left + size[0]] = cv2.resize(picture, size, interpolation=how)
    place = (6, TILE + CAPTION - 9)
    cv2.putText(tile, caption, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return tile


def _with_points(picture: RGB, points: Float) -> RGB:
    drawn = picture.copy()
    radius = max(1, round(max(picture.shape[:2]) / 300))
    for number, point in enumerate(points):
        colour = NEW if number < MESH_POINTS else OLD
        cv2.circle(drawn, _pixel(point), radius, colour, -1, cv2.LINE_AA)
    return drawn


def _with_shapes(picture: RGB, *shapes: tuple[Float, tuple[int, int, int]]) -> RGB:
    drawn = picture.copy()
    thickness = max(1, round(max(picture.shape[:2]) / 300))
    for points, colour in shapes:
        for ring in (OVAL, RIGHT_EYE, LEFT_EYE, OUTER_LIPS, INNER_LIPS):
            for first, second in _sides(ring):
                cv2.line(drawn, _pixel(points[first]), _pixel(points[second]), colour, thickness, cv2.LINE_AA)
    return drawn


def _sides(ring: Index) -> Iterator[tuple[int, int]]:
    return pairwise([*ring.tolist(), int(ring[0])])


def _pixel(point: Float) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _from_lab(lab: Float, shape: tuple[int, int]) -> RGB:
    rgb = cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB)
    return _bytes(cv2.resize(rgb, shape[::-1], interpolation=cv2.INTER_LINEAR) * 255)


def _grey(mask: Float) -> RGB:
    return _bytes(np.repeat(np.asarray(mask)[..., None] * 255, 3, axis=2))


def _bytes(picture: Float) -> RGB:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)

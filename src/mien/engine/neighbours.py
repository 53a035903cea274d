"""Faces that touch or overlap: which pixel belongs to which of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mien.engine.arrays import Float
from mien.engine.faces import Face, PictureFaces
from mien.engine.topology import OVAL

NEAR = 0.3
"""How far beside a face's box another may be to matter, in sides of the box."""

SAME = 0.3
"""Two meshes whose points lie closer than this, in eye distances, show one face that was found twice."""

STEPS = 64
"""Distances are measured on a grid of so many cells per eye distance."""


BEYOND = 0.6
"""Neighbours' outlines count that far outside of the picture's part, in eye distances."""


@dataclass(frozen=True)
class Neighbour:
    """outline: float32[36, 2] in pixels. in_front: it covers the face whose neighbour it is."""

    outline: Float
    in_front: bool


def neighbours_of(index: int, faces: PictureFaces) -> tuple[Neighbour, ...]:
    """The faces beside face number `index`, whether they are swapped or not."""
    face = faces[index]
    x0, y0, x1, y1 = face.box
    margin = NEAR * max(x1 - x0, y1 - y0)
    boxes = faces.boxes
    near = (boxes[:, 0] < x1 + margin) & (boxes[:, 2] > x0 - margin)
    near &= (boxes[:, 1] < y1 + margin) & (boxes[:, 3] > y0 - margin)
    others = [number for number in np.flatnonzero(near).tolist() if number != index]
    return tuple(
        Neighbour(faces[number].landmarks[OVAL, :2], (faces[number].shown, -number) > (face.shown, -index))
        for number in others
        if faces[number].clear and not _same(faces[number], face)
    )


def _same(first: Face, second: Face) -> bool:
    apart = np.linalg.norm(first.landmarks[:, :2] - second.landmarks[:, :2], axis=1).mean()
    return bool(apart < SAME * min(first.eye_distance, second.eye_distance))


def room(outline: Float, neighbours: Sequence[Neighbour], shape: tuple[int, int], unit: float) -> Float:
    """How clearly each pixel is a face's own: float32 of `shape`, in lengths of `unit`.

    That is how much further inside its outline a pixel lies than inside any neighbour's: negative on the
    neighbours' ground. A face's ground is what it shows, and beside the faces what is nearer
    to it; so the grounds of neighbours don't overlap. outline: float32[36, 2] in pixels, as the neighbours'.
    """
    every = max(1, round(unit / STEPS))
    size = (-(-shape[1] // every), -(-shape[0] // every))
    beyond = round(BEYOND * unit / every)
    own = _depth(outline, size, every, beyond)
    least = np.full(size[::-1], np.inf, np.float32)
    for neighbour in neighbours:
        theirs = _depth(neighbour.outline, size, every, beyond)
        mine = np.minimum(own, 0) - theirs if neighbour.in_front else own - np.minimum(theirs, 0)
        least = np.minimum(least, mine)
    enlarged = cv2.resize(least, (size[0] * every, size[1] * every), interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged[: shape[0], : shape[1]] * np.float32(every / unit))


def _depth(outline: Float, size: tuple[int, int], every: int, beyond: int) -> Float:
    """Cells to the outline, negative outside of it: float32[rows, columns]. `beyond`: how many cells around
    the grid are looked at, too."""
    inside = np.zeros((size[1] + 2 * beyond, size[0] + 2 * beyond), np.uint8)
    cells = np.round(((outline + 0.5) / every - 0.5 + beyond) * 16).astype(np.int32)
    cv2.fillPoly(inside, [cells], 1, shift=4)
    within, without = (cv2.distanceTransform(part, cv2.DIST_L2, 5) for part in (inside, 1 - inside))
    return np.asarray((within - without)[beyond : beyond + size[1], beyond : beyond + size[0]], np.float32)

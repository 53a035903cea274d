"""Step 2: find the faces.

CenterFace (Xu et al. 2020, "CenterFace: Joint Face Detection and Alignment Using Face as Point") sees the
picture at a few hundred pixels; small faces are looked for again at a larger size, and a picture without
faces is turned by quarters.
"""

from dataclasses import dataclass

import numpy as np

from mien.engine.arrays import RGB, Float, Index
from mien.engine.models import Network
from mien.engine.scaling import Pyramid

PORTRAIT_SIDE = 320
FIRST_SIDE = 384
SECOND_SIDE = 1280
LOOK_AGAIN_SIDE = 320
LARGE_FACE, SURE = 64.0, 0.75
"""Pixels of the portrait's input, and a score: such a face is the picture's largest. Where a face has that
score, the picture is the right way up."""

SMALL_FACE = 32.0
"""Pixels of the first look's input; below it boxes and key points get coarse."""

SCORE, HINT = 0.5, 0.25
"""What is a face; and what may be one that is too small for the first look."""

OVERLAP = 0.3


@dataclass(frozen=True)
class Detections:
    """Faces in pixels of the picture, largest box first, ties by x, then y.

    boxes: float32[N, 4] as x0, y0, x1, y1. scores: float32[N] in [0, 1].
    keypoints: float32[N, 5, 2]: eye, eye, nose tip, mouth corner, mouth corner, from the picture's left as
    seen on an upright face.
    """

    boxes: Float
    scores: Float
    keypoints: Float

    def __len__(self) -> int:
        return len(self.boxes)


def detect(picture: Pyramid, network: Network) -> Detections:
    """All faces of a picture, the way up in which one is seen best: on its side or upside down a face may be
    found as well, but askew or as something smaller."""
    found = _detect_upright(picture, network)
    for quarter_turns in (1, 2, 3):
        if (found.scores > SURE).any():
            break
        turned = np.ascontiguousarray(np.rot90(picture.image, quarter_turns))
        other = turned_back(_detect_upright(Pyramid(turned), network), quarter_turns, turned.shape[:2])
        found = max(found, other, key=lambda one: float(one.scores.max(initial=0)))
    return _ordered(found)


def detect_largest(picture: Pyramid, network: Network) -> Detections:
    """The largest face first; others may be missing, which is quicker where one fills the picture."""
    found = _run(picture, network, PORTRAIT_SIDE)
    large = LARGE_FACE * max(1.0, max(picture.image.shape[:2]) / PORTRAIT_SIDE)
    if len(found) == 1 and found.scores[0] > SURE and _sides(found.boxes)[0] >= large:
        return found
    return detect(picture, network)


def look_again(image: RGB, box: Float, quarter_turns: int, network: Network) -> Detections:
    """What a closer look sees of the face in `box`, with its surroundings turned by quarters; best first.

    A face on its side or upside down is often found, but with key points that make no sense.
    """
    centre, side = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max())
    low = np.maximum(np.floor(centre - side).astype(int), 0)
    high = np.ceil(centre + side).astype(int)
    turned = np.ascontiguousarray(np.rot90(image[low[1] : high[1], low[0] : high[0]], quarter_turns))
    found = turned_back(_run(Pyramid(turned), network, LOOK_AGAIN_SIDE), quarter_turns, turned.shape[:2])
    shifted = Detections(found.boxes + np.tile(low, 2), found.scores, found.keypoints + low)
    return _take(shifted, np.argsort(-shifted.scores, kind="stable"))


def _detect_upright(picture: Pyramid, network: Network) -> Detections:
    long_side = max(picture.image.shape[:2])
    hints = _run(picture, network, FIRST_SIDE, HINT)
    found = _take(hints, np.flatnonzero(hints.scores > SCORE))
    if long_side <= FIRST_SIDE:
        return found
    smallest = _sides(found.boxes).min(initial=np.inf) * FIRST_SIDE / long_side
    if 0 < len(found) == len(hints) and smallest >= SMALL_FACE:
        return found
    finer = _run(picture, network, SECOND_SIDE)
    return _merge(found, finer)


def _run(picture: Pyramid, network: Network, long_side: int, score: float = SCORE) -> Detections:
    height, width = picture.image.shape[:2]
    scale = min(1.0, long_side / max(height, width))
    rows, columns = (max(32, round(side * scale / 32) * 32) for side in (height, width))
    small = picture.shrunk(columns, rows)
    outputs = network(small.transpose(2, 0, 1)[None].astype(np.float32))
    found = _decode(outputs, rows, columns, score)
    ratio = np.array([width / columns, height / rows], np.float32)
    return Detections(found.boxes * np.tile(ratio, 2), found.scores, found.keypoints * ratio)


def _decode(outputs: dict[str, Float], rows: int, columns: int, score: float) -> Detections:
    """Peaks of the heat map, above `score`, to boxes and key points in pixels of the network's input (stride
    4)."""
    heat, scale, offset, points = (outputs[name][0] for name in ("heatmap", "scale", "offset", "landmarks"))
    y, x = np.nonzero(heat[0] > score)
    height, width = np.exp(scale[0, y, x]) * 4, np.exp(scale[1, y, x]) * 4
    left = (x + offset[1, y, x] + 0.5) * 4 - width / 2
    top = (y + offset[0, y, x] + 0.5) * 4 - height / 2
    boxes = np.stack([left, top, left + width, top + height], axis=1).astype(np.float32)
    boxes = np.clip(boxes, 0, np.array([columns, rows, columns, rows], np.float32))
    keypoints = np.stack(
        [points[1::2, y, x] * width + left, points[0::2, y, x] * height + top], axis=-1
    ).transpose(1, 0, 2)  # 5,N,2 -> N,5,2
    return _suppress(Detections(boxes, heat[0, y, x], keypoints.astype(np.float32)))


def _suppress(found: Detections) -> Detections:
    """Greedy non-maximum suppression on a matrix of overlaps."""
    order = np.argsort(-found.scores, kind="stable")
    overlaps = _overlap(found.boxes[order]) > OVERLAP
    keep = np.ones(len(order), bool)
    for i in range(len(order)):
        if keep[i]:
            keep[i + 1 :] &= ~overlaps[i, i + 1 :]
    return _take(found, order[keep])


def _overlap(boxes: Float) -> Float:
    """Intersection over union of every pair: float32[N, N]."""
    top_left = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    bottom_right = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    inter = np.prod(np.maximum(bottom_right - top_left, 0), axis=2)
    area = _areas(boxes)
    union = area[:, None] + area[None] - inter
    return np.asarray(inter / np.maximum(union, 1e-9), np.float32)


def _merge(coarse: Detections, fine: Detections) -> Detections:
    """Large faces as the small picture shows them, small ones as the large picture does."""
    both = Detections(
        np.concatenate([coarse.boxes, fine.boxes]),
        np.concatenate([coarse.scores, fine.scores]),
        np.concatenate([coarse.keypoints, fine.keypoints]),
    )
    return _suppress(both)


def turned_back(found: Detections, quarter_turns: int, shape: tuple[int, ...]) -> Detections:
    """Undo `np.rot90(image, quarter_turns)`; `shape` is the turned picture's."""
    boxes, keypoints = found.boxes.reshape(-1, 2, 2), found.keypoints
    height, width = shape
    for _ in range(quarter_turns):
        boxes, keypoints = (
            np.stack([height - points[..., 1], points[..., 0]], axis=-1) for points in (boxes, keypoints)
        )
        height, width = width, height
    corners = np.concatenate([boxes.min(axis=1), boxes.max(axis=1)], axis=1)
    return Detections(corners, found.scores, keypoints)


def _ordered(found: Detections) -> Detections:
    x, y = found.boxes[:, 0], found.boxes[:, 1]
    return _take(found, np.lexsort((y, x, -_areas(found.boxes))))


def _take(found: Detections, index: Index) -> Detections:
    return Detections(found.boxes[index], found.scores[index], found.keypoints[index])


def _sides(boxes: Float) -> Float:
    return np.asarray(np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]))


def _areas(boxes: Float) -> Float:
    return np.asarray(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), np.float32)

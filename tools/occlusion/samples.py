"""Training samples: a face, things painted over it, and what a camera does to both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.engine.arrays import RGB, Float, Mask
from mien.engine.drawing import face_outline
from mien.engine.occlusion import CROP
from mien.engine.topology import (
    LEFT_BROW,
    LEFT_EYE,
    LOWER_FACE,
    OUTER_LIPS,
    OVAL,
    RIGHT_BROW,
    RIGHT_EYE,
    STRIPS,
    mirror,
)
from occlusion.faces import ROOM, SIZE, FaceCrop
from occlusion.occluders import IN_FRONT, UNDERNEATH, Canvas, Painters, Random, grow_beard, polygon

Labels: TypeAlias = NDArray[Any]
"""uint8[h, w, 5] of 0–255: covers, glasses, beard; then, where the first two and the third are known."""

BARE_SHARE = 0.15
"""Faces with nothing painted before them."""

RIM = 0.05
"""The network answers for the face's outline and this many face widths around it."""


FULL_BEARD = np.array(
    [58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 435, 434, 432, 287, 393, 164,
     167, 57, 212, 214, 215]
)  # fmt: skip
"""Around the jaw's rim from ear to ear, and around the mouth up to the nose: hair on every full beard."""


@dataclass(frozen=True)
class Base:
    """A face and what is known of it before anything is painted: `labels` of the crop's size."""

    face: FaceCrop
    labels: Labels


def no_labels(face: FaceCrop) -> Labels:
    """For pictures in which anything may stand before the face."""
    return np.zeros((*face.image.shape[:2], 5), np.uint8)


def plain_labels(face: FaceCrop, bare_forehead: bool, bearded: bool, smooth: bool) -> Labels:
    """What can be said without a network: skin that looks like the face's skin is bare.

    What doesn't may be anything, and so is unknown, but for eyes, brows and lips, and for dark hair where a
    beard grows on pictures that are known to show one. Who is `smooth` has no beard anywhere.
    """
    points, size = face.points, face.image.shape[0]
    width = float(np.linalg.norm(points[454] - points[234]))
    oval = seen_of(points, size) > 0.5
    features = polygon(
        size,
        *(cv2.convexHull(points[r])[:, 0] for r in (RIGHT_BROW, LEFT_BROW, RIGHT_EYE, LEFT_EYE, OUTER_LIPS)),
    )
    features = cv2.dilate(features, np.ones((5, 5), np.uint8)) > 0.5
    odd, dark = _unlike_skin(face.image, oval & ~features)
    odd_wide = cv2.dilate(_reaching_in(odd & ~features, oval).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    known = oval & (~odd_wide | features)
    if not bare_forehead:
        brows = points[[70, 105, 107, 336, 334, 300]].mean(axis=0)
        up = points[10] - points[152]
        y, x = np.mgrid[:size, :size]
        above = (np.stack([x, y], axis=-1) - brows) @ (up / np.linalg.norm(up)) > -0.02 * width
        known &= ~above
        near_edge = ~(
            cv2.erode(oval.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=round(width * 0.05)) > 0
        )
        known &= ~near_edge
    lower = cv2.dilate(polygon(size, points[LOWER_FACE]), np.ones((5, 5), np.uint8)) > 0.5
    lips = polygon(size, points[OUTER_LIPS]) > 0.5
    hair = (
        cv2.morphologyEx(
            (dark & lower & oval & ~lips).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)
        )
        > 0
    )
    share = (hair & lower).sum() / max(lower.sum(), 1)
    beard = hair if bearded else np.zeros_like(hair)
    beard_known = oval if smooth else oval & ~odd_wide if share < 0.04 and not bearded else oval & ~lower
    if bearded and share > 0.2:
        beard_known = oval & (hair | ~odd_wide)
        known |= hair
    return (
        np.stack([np.zeros_like(oval), np.zeros_like(oval), beard, known, beard_known], axis=-1).astype(
            np.uint8
        )
        * 255
    )


def with_full_beard(labels: Labels, face: FaceCrop, in_doubt: bool) -> Labels:
    """The same of a picture that is known to show a full beard: hair from ear to ear, over and under lips.

    in_doubt: whether anything else may stand before the face.
    """
    points, size = face.points, face.image.shape[0]
    lips = cv2.dilate(polygon(size, points[OUTER_LIPS]), np.ones((5, 5), np.uint8)) > 0.5
    hair = (polygon(size, points[FULL_BEARD]) > 0.5) & ~lips
    marked = labels.copy()
    marked[hair, 2] = marked[hair, 4] = 255
    if not in_doubt:
        marked[hair, 0] = 0
        marked[hair, 3] = 255
    return marked


def _reaching_in(odd: Mask, oval: Mask) -> Mask:
    """What of `odd` hangs together with the outline's rim: hair and hats do, shadows of the nose don't."""
    inner = cv2.erode(oval.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    _, parts = cv2.connectedComponents((odd & oval).astype(np.uint8))
    touching = np.unique(parts[oval & ~inner])
    return np.asarray(np.isin(parts, touching[touching > 0]))


def _unlike_skin(image: RGB, skin: Mask) -> tuple[Mask, Mask]:
    """Where a picture is off the smooth colours fitted to the region `skin`; and where it is too dark."""
    lab = cv2.cvtColor(cv2.GaussianBlur(image, (0, 0), 1.2).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    size = image.shape[0]
    y, x = (np.mgrid[:size, :size].astype(np.float32) - size / 2) / (size / 2)
    basis = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1)
    samples, places = lab[skin], basis[skin]
    weight = np.ones(len(samples))
    for _ in range(6):
        scaled = places * weight[:, None]
        fit = np.linalg.solve(scaled.T @ places + 1e-3 * np.eye(6), scaled.T @ samples)
        rest = samples - places @ fit
        spread = (
            np.maximum(1.48 * np.median(np.abs(rest[weight > 0.3]), axis=0), [4, 2, 2])
            if (weight > 0.3).sum() > 20
            else np.array([8, 4, 4])
        )
        weight = np.clip(1 - ((rest / (3 * spread)) ** 2).sum(axis=1), 0, 1) ** 2 + 1e-4
    rest = (lab - basis @ fit) / np.maximum(spread, [5, 2.5, 2.5])
    rest[..., 0] = np.where(rest[..., 0] > 0, rest[..., 0] * 0.5, rest[..., 0])
    return (np.abs(rest) > 3.2).any(axis=-1), rest[..., 0] < -2.2


def unposed(face: FaceCrop) -> tuple[RGB, Float]:
    """The network's input for a face as it is, uint8[CROP, CROP, 4], and `crop_from_face`, float64[2, 3]."""
    scale = CROP / SIZE * ROOM
    shift = (CROP - 1) / 2 - scale * (SIZE - 1) / 2
    crop_from_face = np.array([[scale, 0, shift], [0, scale, shift]])
    image = cv2.warpAffine(face.image, crop_from_face, (CROP, CROP), flags=cv2.INTER_AREA)
    outline = face_outline(face.points * scale + shift, CROP)
    return np.dstack([image, np.round(outline * 255).astype(np.uint8)]), crop_from_face


def learnt_labels(
    base: Base, answer: Float, bearded: bool, lenses: Literal["dark", "clear"] | None
) -> Labels:
    """Labels after a first network has looked: where nothing was known, what it is sure of.

    answer: float32[CROP, CROP, 3], its probabilities. bearded: the face is known to be. lenses: of the
    glasses that the picture shows and the network found whole; only their frames are then in doubt.
    """
    _, crop_from_face = unposed(base.face)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    answer = cv2.warpAffine(answer, crop_from_face, (SIZE, SIZE), flags=flags)
    sure = (answer < 0.12) | (answer > 0.88)
    covers, glasses = answer[..., 0] > 0.5, answer[..., 1] > 0.5
    known, beard_known = base.labels[..., 3] > 0, base.labels[..., 4] > 0
    # What was taken for bare skin may be a fringe of its colour.
    contradicted = known & (answer[..., 0] > 0.9)
    seen = sure[..., 0] & sure[..., 1]
    if lenses:
        worn = glasses.astype(np.uint8)
        inner = cv2.erode(worn, np.ones((13, 13), np.uint8)) > 0
        covers = covers | glasses if lenses == "dark" else covers & ~inner
        seen |= inner if lenses == "clear" else cv2.erode(worn, np.ones((3, 3), np.uint8)) > 0
    labels = base.labels > 0
    labels[..., 0] = covers & ~known
    labels[..., 1] = glasses & ~known
    labels[..., 2] = np.where(beard_known, labels[..., 2], bearded & (answer[..., 2] > 0.5))
    labels[..., 3] = (known & ~contradicted) | (seen & ~known)
    # Of beards the first network sees too many on shaven faces, and too little of those that are not dark.
    labels[..., 4] = beard_known | ((answer[..., 2] > 0.6) if bearded else (answer[..., 2] < 0.12))
    return np.asarray(labels, np.uint8) * 255


def make_sample(
    random: Random,
    bases: Sequence[Base],
    scraps: Sequence[RGB],
    in_front: Painters = IN_FRONT,
    underneath: Painters = UNDERNEATH,
) -> tuple[RGB, Labels]:
    """The network's input, uint8[CROP, CROP, 4], and its labels, uint8[CROP, CROP, 5]."""
    base = bases[int(random.integers(len(bases)))]
    canvas, beard_known = _posed(random, base)
    oval = seen_of(canvas.points, CROP)
    bearded = bool((canvas.beard > 0.5).any())
    painted_beard: Float = np.zeros((CROP, CROP), np.float32)
    for painter, share in underneath:
        if random.random() < share and not (painter is grow_beard and bearded):
            painter(canvas, random, scraps)
            if painter is grow_beard:
                painted_beard = cv2.dilate(canvas.beard, np.ones((9, 9), np.uint8))
    beard_known = np.maximum(beard_known, (painted_beard > 0.02).astype(np.float32))
    if random.random() > BARE_SHARE or len(in_front) == 1:
        shares = np.array([share for _, share in in_front])
        wanted = random.random(len(shares)) < shares
        if len(shares) and not wanted.any():
            wanted[random.choice(len(shares), p=shares / shares.sum())] = True
        for (painter, _), go in zip(in_front, wanted, strict=True):
            if go:
                painter(canvas, random, scraps)
    image = photographed(random, canvas.image)
    points = canvas.points + random.normal(0, 0.012, 2) * canvas.width
    outline = face_outline(points, CROP)
    # Outside of the outline the network need not answer, but what was painted there helps it to learn.
    room = cv2.dilate(
        oval, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(canvas.width * RIM) + 1,) * 2)
    )
    painted = (canvas.covers > 0.02).astype(np.float32)
    known = np.maximum(canvas.known * oval, painted * (0.35 + 0.65 * room))
    labels = np.stack(
        [canvas.covers, canvas.glasses, canvas.beard, known, np.maximum(beard_known * oval, painted)], axis=-1
    )
    inputs = np.dstack([image, np.round(outline * 255).astype(np.uint8)])
    return inputs, np.round(np.clip(labels, 0, 1) * 255).astype(np.uint8)


def seen_of(points: Float, size: int) -> Float:
    """All that is seen of a face, float32[size, size]."""
    return polygon(size, points[OVAL], *(points[strip] for strip in STRIPS))


def _posed(random: Random, base: Base) -> tuple[Canvas, Float]:
    """The face turned, moved and scaled a little, perhaps mirrored, at the network's resolution."""
    image, points, labels = base.face.image, base.face.points, base.labels
    if random.random() < 0.5:
        image, labels = image[:, ::-1], labels[:, ::-1]
        points = points[mirror()] * np.array([-1, 1], np.float32) + np.array([SIZE - 1, 0], np.float32)
    angle = np.radians(random.normal(0, 5))
    scale = CROP / SIZE * ROOM * random.uniform(0.9, 1.08)
    stretch = random.uniform(0.95, 1.05)
    linear = scale * np.array(
        [[np.cos(angle) * stretch, -np.sin(angle)], [np.sin(angle), np.cos(angle) / stretch]]
    )
    middle = np.full(2, (SIZE - 1) / 2)
    matrix = np.column_stack(
        [linear, np.full(2, (CROP - 1) / 2) + random.normal(0, 0.02, 2) * CROP - linear @ middle]
    )
    size = (CROP, CROP)
    turned = cv2.warpAffine(
        np.ascontiguousarray(image), matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    marks = (
        cv2.warpAffine(np.ascontiguousarray(labels), matrix, size, flags=cv2.INTER_LINEAR).astype(np.float32)
        / 255
    )
    points = (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    canvas = Canvas(
        turned.astype(np.float32),
        points,
        marks[..., 0],
        marks[..., 1],
        marks[..., 2],
        (marks[..., 3] > 0.99).astype(np.float32),
    )
    return canvas, (marks[..., 4] > 0.99).astype(np.float32)


def photographed(random: Random, image: Float) -> RGB:
    """Light, colour, blur, grain and compression."""
    size = image.shape[0]
    picture: Float = np.clip(image, 0, 255) / 255
    if random.random() < 0.3:
        ramp = np.linspace(-1, 1, size, dtype=np.float32)
        angle = random.uniform(0, 2 * np.pi)
        slope = np.cos(angle) * ramp[None] + np.sin(angle) * ramp[:, None]
        picture = picture * np.clip(1 + random.uniform(0, 0.6) * slope, 0.2, 1.8)[..., None]
    picture = np.clip(picture, 0, 1) ** random.uniform(0.65, 1.6) * random.uniform(0.6, 1.25)
    if random.random() < 0.5:
        picture = picture * random.uniform(0.8, 1.2, 3)
    grey = picture.mean(axis=2, keepdims=True)
    if random.random() < 0.12:
        picture = np.repeat(grey, 3, axis=2)
    elif random.random() < 0.4:
        picture = grey + (picture - grey) * random.uniform(0.4, 1.5)
    picture = np.clip(picture, 0, 1).astype(np.float32)
    chance = random.random()
    if chance < 0.25:
        picture = cv2.GaussianBlur(picture, (0, 0), random.uniform(0.4, 1.4))
    elif chance < 0.4:
        small = int(size * random.uniform(0.35, 0.8))
        picture = cv2.resize(cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA), (size, size))
    if random.random() < 0.4:
        picture = picture + random.standard_normal(picture.shape, np.float32) * np.float32(
            random.uniform(0.003, 0.035)
        )
    result: RGB = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    if random.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(35, 92))]
        result = np.asarray(cv2.imdecode(cv2.imencode(".jpg", result, quality)[1], cv2.IMREAD_COLOR))
    return np.asarray(result, np.uint8)


def find_scraps(faces: Sequence[FaceCrop]) -> list[RGB]:
    """Corners of the crops: clothes, hair, walls, trees."""
    side = SIZE // 4
    return [
        np.ascontiguousarray(face.image[rows, columns])
        for face in faces
        for rows in (slice(0, side), slice(SIZE - side, SIZE))
        for columns in (slice(0, side), slice(SIZE - side, SIZE))
    ]

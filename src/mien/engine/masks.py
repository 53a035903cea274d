"""Step 9: where the source's face shows. Masks are float32 in [0, 1] on the raster's cells, joined by minimum."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.engine.geometry import eye_openness
from mien.engine.inner import CLOSED_EYE
from mien.engine.lighting import Light, Skin
from mien.engine.models import Float
from mien.engine.texture import Raster
from mien.engine.topology import EYES, LOWER_FACE, NOSE_BASE, OUTER_LIPS, OVAL

ERODE, FEATHER = 0.03, 0.015
"""How far the mask stays inside the face's outline and how soft its edge is, in face widths."""

BEARD_DARKNESS, BEARD_SHARE = 0.58, 0.45
"""A face wears a beard when this share of its lower skin is darker than so much of the upper face's lightness."""


@dataclass(frozen=True)
class Masks:
    """face: all joined. beard: whether the target's beard was kept. covered: share of the face that something
    stands in front of. eyes_kept: how many of the target's eyes were kept."""

    face: Float
    beard: bool
    covered: float
    eyes_kept: int


def face_masks(
    raster: Raster,
    points: Float,
    target: Float,
    source: Float,
    target_light: Light,
    source_light: Light,
    skin: Skin,
    seen: Float,
    face_width: float,
) -> Masks:
    """All layers joined.

    points: the result's mesh in pixels. target, source: the faces' own meshes. seen: float32[468], how well
    a point is known from either side of the source.
    """
    width = face_width / raster.cell
    outline = _outline(raster, width)
    layers = [outline, raster.interpolate(seen[:, None])[..., 0].clip(0, 1)]
    eyes, eyes_kept = _eyes(raster, points, target, source, width)
    layers.append(1 - eyes)
    in_front = _in_front(raster, target_light, skin, width)
    layers.append(1 - in_front)
    beard = wears_beard(target_light, skin) and not wears_beard(source_light, skin)
    if beard:
        layers.append(1 - _beard(raster, target_light, skin, width))
    face = np.minimum.reduce(layers).astype(np.float32)
    covered = float((in_front * outline).sum() / max(float(outline.sum()), 1e-6))
    return Masks(face, beard, covered, eyes_kept)


def _outline(raster: Raster, width: float) -> Float:
    face = np.zeros(raster.ids.shape, np.float32)
    cv2.fillPoly(face, [np.round(raster.points[OVAL] * 16).astype(np.int32)], 1.0, shift=4)
    kernel = _disc(width * ERODE)
    # Beyond the picture's border there is no edge to hide.
    face = cv2.erode(face, kernel, borderType=cv2.BORDER_REPLICATE)
    return _blur(face, width * FEATHER)


def _eyes(raster: Raster, points: Float, target: Float, source: Float, width: float) -> tuple[Float, int]:
    """Eyes that stay the target's: shut ones with their lids, and open ones that the source has shut."""
    keep = np.zeros(raster.ids.shape, np.float32)
    kept = 0
    for ring, _ in EYES:
        target_shut, source_shut = (eye_openness(p, ring) < CLOSED_EYE for p in (target, source))
        if not target_shut and not source_shut:
            continue
        kept += 1
        outline = (points[ring, :2] + 0.5) / raster.cell - 0.5
        cv2.fillPoly(keep, [cv2.convexHull(np.round(outline).astype(np.int32))], 1.0)
        eye_width = float(np.linalg.norm(outline[0] - outline[8]))
        keep = cv2.dilate(keep, _disc(eye_width * (0.22 if target_shut else 0.08)))
    return _blur(keep, width * 0.012), kept


def _in_front(raster: Raster, light: Light, skin: Skin, width: float) -> Float:
    """What covers the face from its edge inwards: hair, a hand's sleeve, a microphone.

    Cells that neither light nor the skin's own spread explain, connected to the outline.
    """
    rest = light.lab - light.low
    plain = light.weight > 0.5
    if plain.sum() < 50:
        return np.zeros(raster.ids.shape, np.float32)
    spread = 1.48 * np.median(np.abs(rest[plain]), axis=0)
    colour = np.hypot(rest[..., 1], rest[..., 2]) / max(4.0, 4 * float(np.hypot(*spread[1:])))
    dark = -rest[..., 0] / max(22.0, 5 * float(spread[0]))
    bright = rest[..., 0] / max(30.0, 6 * float(spread[0]))
    odd = (np.maximum.reduce([colour, dark, bright]) > 1) & skin.candidates
    odd = cv2.morphologyEx(odd.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    edge = skin.face & ~cv2.erode(skin.face.astype(np.uint8), _disc(2)).astype(bool)
    _, labels = cv2.connectedComponents(odd)
    touching = np.unique(labels[edge & (odd > 0)])
    covering = np.isin(labels, touching[touching > 0]).astype(np.uint8)
    lower = np.zeros_like(covering)
    cv2.fillPoly(lower, [np.round(skin.raster.points[LOWER_FACE]).astype(np.int32)], 1)
    covering[(lower > 0) & (dark > colour)] = 0  # stubble and beards are somebody else's business
    covering = cv2.dilate(covering, _disc(1)).astype(np.float32)
    rows, columns = raster.ids.shape
    return _blur(cv2.resize(covering, (columns, rows), interpolation=cv2.INTER_LINEAR), width * 0.01)


def wears_beard(light: Light, skin: Skin) -> bool:
    """Whether the lower face is dark with hair."""
    lower, upper = _lower(skin), _upper(skin)
    if lower.sum() < 20 or upper.sum() < 20:
        return False
    reference = np.median(light.lab[upper][:, 0])
    return bool((light.lab[lower][:, 0] < BEARD_DARKNESS * reference).mean() > BEARD_SHARE)


def _beard(raster: Raster, light: Light, skin: Skin, width: float) -> Float:
    """The target's beard, closed, with the lips that it surrounds."""
    reference = np.median(light.lab[_upper(skin)][:, 0])
    cells = width * raster.cell / skin.raster.cell
    area = np.zeros(skin.candidates.shape, np.uint8)
    cv2.fillPoly(area, [np.round(skin.raster.points[LOWER_FACE]).astype(np.int32)], 1)
    area = cv2.dilate(area, _disc(cells * 0.06))
    hair = ((light.lab[..., 0] < 0.68 * reference) & (area > 0)).astype(np.uint8)
    hair = cv2.morphologyEx(hair, cv2.MORPH_CLOSE, _disc(cells * 0.06)).astype(np.float32)
    hair[: int(skin.raster.points[NOSE_BASE, 1])] = 0
    lips = np.zeros_like(area)
    cv2.fillConvexPoly(lips, cv2.convexHull(np.round(skin.raster.points[OUTER_LIPS]).astype(np.int32)), 1)
    hair = np.maximum(hair, lips * (_blur(hair, cells * 0.08) > 0.3))
    rows, columns = raster.ids.shape
    return _blur(cv2.resize(hair, (columns, rows), interpolation=cv2.INTER_LINEAR), width * 0.02)


def _lower(skin: Skin) -> NDArray[np.bool_]:
    area = np.zeros(skin.candidates.shape, np.uint8)
    cv2.fillPoly(area, [np.round(skin.raster.points[LOWER_FACE]).astype(np.int32)], 1)
    return skin.candidates & (area > 0)


def _upper(skin: Skin) -> NDArray[np.bool_]:
    above = np.arange(skin.candidates.shape[0])[:, None] < skin.raster.points[NOSE_BASE, 1]
    return skin.candidates & above


def _blur(mask: Float, sigma: float) -> Float:
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(0.6, sigma)), np.float32)


def _disc(radius: float) -> NDArray[np.uint8]:
    size = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)

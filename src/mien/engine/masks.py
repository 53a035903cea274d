"""Step 9: where the source's face shows. Masks are float32[rows, columns] in [0, 1] on the raster's cells,
joined by minimum."""

from dataclasses import dataclass

import cv2
import numpy as np

from mien.engine.arrays import Float
from mien.engine.drawing import area, disc, soften, spread
from mien.engine.lighting import Light, Skin
from mien.engine.raster import Raster
from mien.engine.topology import OUTER_LIPS, OVAL

ERODE, FEATHER = 0.03, 0.015
"""How far the mask stays inside the face's outline and how soft its edge is, in face widths."""

BEARD_DARKNESS, BEARD_SHARE = 0.58, 0.45
"""A face wears a beard when this share of its lower skin is darker than so much of the upper face's
lightness."""

BEARD_EDGE = 0.68
"""What is darker than so much of the upper face belongs to a beard that is there."""


@dataclass(frozen=True)
class Masks:
    """face: all layers joined. layers: each by its name. covered: share of the face that something stands in
    front of. beard_kept: whether the target's beard stays."""

    face: Float
    layers: dict[str, Float]
    covered: float
    beard_kept: bool


def face_masks(
    raster: Raster,
    skin: Skin,
    target_light: Light,
    source_light: Light,
    seen: Float,
    face_width: float,
) -> Masks:
    """All layers joined.

    raster: the result's mesh, drawn. seen: float[468] in [0, 1], how well the source shows a point on either
    side. face_width: in pixels.
    """
    width = face_width / raster.cell
    outline = outline_mask(raster, width)
    front = in_front(raster, skin, target_light, width)
    layers = {
        "outline": outline,
        "what the face picture shows": raster.interpolate(seen[:, None])[..., 0].clip(0, 1),
        "nothing in front": 1 - front,
    }
    beard_kept = wears_beard(target_light, skin) and not wears_beard(source_light, skin)
    if beard_kept:
        layers["no beard to keep"] = 1 - beard_mask(raster, skin, target_light, width)
    covered = float((front * outline).sum() / max(float(outline.sum()), 1e-6))
    face = np.minimum.reduce(list(layers.values())).astype(np.float32)
    return Masks(face, layers, covered, beard_kept)


def outline_mask(raster: Raster, width: float) -> Float:
    """The face's oval, a little inside of its outline. `width`: of the face, in cells, here and below."""
    face = np.zeros(raster.ids.shape, np.uint8)
    cv2.fillPoly(face, [np.round(raster.points[OVAL] * 16).astype(np.int32)], 1, shift=4)
    # Beyond the picture's border there is no edge to hide.
    return soften(cv2.erode(face, disc(width * ERODE), borderType=cv2.BORDER_REPLICATE), width * FEATHER)


def in_front(raster: Raster, skin: Skin, light: Light, width: float) -> Float:
    """What covers the face from its edge inwards: hair, a sleeve, a microphone.

    Cells that neither light nor the skin's own spread explain, connected to the outline. Skin-coloured
    things, such as hands, are not told from the face.
    """
    plain = light.weight > 0.5
    if plain.sum() < 50:
        return np.zeros(raster.ids.shape, np.float32)
    rest = light.lab - light.low
    spreads = 1.48 * np.median(np.abs(rest[plain]), axis=0)
    colour = np.hypot(rest[..., 1], rest[..., 2]) / max(4.0, 4 * float(np.hypot(*spreads[1:])))
    # Brightness says nothing: highlights on skin are brighter than most things that cover it.
    dark = -rest[..., 0] / max(22.0, 5 * float(spreads[0]))
    odd = (np.maximum(colour, dark) > 1) & skin.candidates
    _, labels = cv2.connectedComponents(
        cv2.morphologyEx(odd.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    )
    edge = skin.face & ~cv2.erode(skin.face.astype(np.uint8), disc(2)).astype(bool)
    touching = np.unique(labels[edge])
    covering = np.isin(labels, touching[touching > 0])
    covering &= ~(skin.lower & (dark > colour))  # that is stubble or a beard
    return soften(spread(cv2.dilate(covering.astype(np.uint8), disc(1)), raster), width * 0.01)


def wears_beard(light: Light, skin: Skin) -> bool:
    """Whether the lower face is dark with hair."""
    lower, upper = skin.candidates & skin.lower, skin.candidates & skin.upper
    if lower.sum() < 20 or upper.sum() < 20:
        return False
    limit = BEARD_DARKNESS * np.median(light.lab[upper][:, 0])
    return bool((light.lab[lower][:, 0] < limit).mean() > BEARD_SHARE)


def beard_mask(raster: Raster, skin: Skin, light: Light, width: float) -> Float:
    """The target's beard, closed, with the lips that it surrounds."""
    cells = width * raster.cell / skin.raster.cell
    limit = BEARD_EDGE * np.median(light.lab[skin.candidates & skin.upper][:, 0])
    reach = cv2.dilate(skin.lower.astype(np.uint8), disc(cells * 0.06)).astype(bool)
    hair = cv2.morphologyEx(
        ((light.lab[..., 0] < limit) & reach).astype(np.uint8), cv2.MORPH_CLOSE, disc(cells * 0.06)
    ).astype(bool)
    hair &= ~skin.upper
    lips = area(skin.raster, OUTER_LIPS, hull=True).astype(bool)
    surrounded = lips & (soften(hair, cells * 0.08) > 0.3)
    return soften(spread(hair | surrounded, raster), width * 0.02)

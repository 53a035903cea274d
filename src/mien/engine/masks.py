"""Step 9: where the source's face shows. Masks are float32[rows, columns] in [0, 1] on the raster's cells,
joined by minimum."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from mien.engine.arrays import Float, Mask
from mien.engine.drawing import area, disc, soften
from mien.engine.lighting import Light, Skin
from mien.engine.occlusion import Covering
from mien.engine.raster import Raster
from mien.engine.topology import LEFT_EYE, LOWER_FACE, OUTER_LIPS, RIGHT_EYE, STRIPS

ERODE, FEATHER, EYE_FEATHER = 0.03, 0.015, 0.006
"""How far the mask stays inside the face's outline and how soft its edge is there and around eyes, in face
widths."""

BEARD_RIM, BEARD_SHARE = 0.1, 0.55
"""A beard reaches beyond the face when it covers this share of the jaw's rim, so many face widths wide."""

HAIR, OTHER_HAIR = 15.0, 16.0
"""From these differences of Lab colour a beard differs from the skin above it; and two beards, each against
its own skin, don't match."""


@dataclass(frozen=True)
class Masks:
    """face: all layers joined. gaps: where the face belongs, but the source doesn't show it or the target's
    glasses frame it. layers: each by its name. covered: share of the face that something stands in front of.
    beard_kept: whether the target's beard stays."""

    face: Float
    gaps: Float
    layers: dict[str, Float]
    covered: float
    beard_kept: bool


def face_masks(
    raster: Raster,
    skin: Skin,
    target_light: Light,
    source_light: Light,
    seen: Float,
    covering: Covering,
    face_width: float,
) -> Masks:
    """All layers joined.

    raster: the result's mesh, drawn. seen: float32[rows, columns] in [0, 1], how well the source shows a cell
    on either side. face_width: in pixels.
    """
    width = face_width / raster.cell
    worn = beard_worn(raster, skin, covering, target_light, source_light, width)
    outline = outline_mask(raster, width, worn == "source")
    layers = {
        "outline": outline,
        "nothing in front": 1 - covering.front,
    }
    if worn == "target":
        layers["no beard to keep"] = 1 - beard_mask(raster, covering.beard, width)
    covered = float((covering.front * outline).sum() / max(float(outline.sum()), 1e-6))
    room = np.minimum.reduce(list(layers.values())).astype(np.float32)
    # Eyes are the target's, in the source's colour, whatever shows around them.
    eyes = soften(area(raster, RIGHT_EYE, LEFT_EYE), width * EYE_FEATHER)
    layers["what the face picture shows"] = np.maximum(seen.clip(0, 1), eyes)
    if covering.framed.any():
        layers["nothing that glasses frame"] = np.maximum(1 - covering.framed, eyes)
    face = np.minimum.reduce(list(layers.values())).astype(np.float32)
    return Masks(face, room - face, layers, covered, worn == "target")


def outline_mask(raster: Raster, width: float, whole_jaw: bool) -> Float:
    """What is seen of the face, a little inside of its edge, unless a beard shall cover the jaw to its rim.

    width: of the face, in cells, here and below.
    """
    face = np.zeros(raster.ids.shape, np.uint8)
    for strip in STRIPS:
        cv2.fillPoly(face, [np.round(raster.points[strip] * 16).astype(np.int32)], 1, shift=4)
    # Beyond the picture's border there is no edge to hide.
    inside = cv2.erode(face, disc(width * ERODE), borderType=cv2.BORDER_REPLICATE)
    if whole_jaw:
        inside = np.maximum(inside, face & area(raster, LOWER_FACE))
    return soften(inside, width * FEATHER)


def beard_worn(
    raster: Raster, skin: Skin, covering: Covering, target_light: Light, source_light: Light, width: float
) -> Literal["source", "target"] | None:
    """Whose full beard the result wears; None: nobody's.

    Moustaches and goatees end within the face, and so come and go with its skin. A beard that reaches beyond
    the jaw can't be taken away, but one of another colour can't be continued either.
    """
    rim = jaw_rim(raster, width)
    target, source = (
        _against_skin(skin, beard, light) if reaches_jaw(rim, beard) else np.zeros(3)
        for beard, light in (
            (covering.beard, target_light),
            (covering.source_beards[0], source_light),
        )
    )
    if np.linalg.norm(target) < HAIR:
        return "source" if np.linalg.norm(source) > HAIR else None
    if np.linalg.norm(source) < HAIR:
        return "target"
    return "target" if np.linalg.norm(target - source) > OTHER_HAIR else "source"


def jaw_rim(raster: Raster, width: float) -> Mask:
    """bool[rows, columns]: the lower face along its outline."""
    face = area(raster, *STRIPS)
    depth = cv2.distanceTransform(face, cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray((depth > 0) & (depth <= width * BEARD_RIM) & area(raster, LOWER_FACE).astype(bool))


def reaches_jaw(rim: Mask, beard: Float) -> bool:
    """Whether a beard, float32[rows, columns], covers the jaw's rim."""
    return bool(rim.any()) and float((beard[rim] > 0.5).mean()) > BEARD_SHARE


def _against_skin(skin: Skin, beard: Float, light: Light) -> Float:
    """Lab of a beard minus Lab of the skin above it, float[3]."""
    rows, columns = skin.face.shape
    coarse = cv2.resize(beard, (columns, rows), interpolation=cv2.INTER_AREA)
    hair, bare = skin.face & (coarse > 0.5), (light.weight > 0) & skin.upper
    if not hair.any() or not bare.any():
        return np.zeros(3)
    return np.asarray(np.median(light.lab[hair], axis=0) - np.median(light.lab[bare], axis=0))


def beard_mask(raster: Raster, beard: Float, width: float) -> Float:
    """The target's beard, closed, with the lips that it surrounds."""
    hair = cv2.morphologyEx((beard > 0.35).astype(np.uint8), cv2.MORPH_CLOSE, disc(width * 0.06)).astype(bool)
    lips = area(raster, OUTER_LIPS, hull=True).astype(bool)
    surrounded = lips & (soften(hair, width * 0.08) > 0.3)
    return soften(hair | surrounded, width * 0.02)

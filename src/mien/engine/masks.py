"""Step 9: where the source's face shows. Masks are float32[rows, columns] in [0, 1] on the raster's cells,
joined by minimum."""

from dataclasses import dataclass

import cv2
import numpy as np

from mien.engine.arrays import Float
from mien.engine.beards import beard_mask, beard_worn
from mien.engine.drawing import area, disc, soften
from mien.engine.occlusion import Covering
from mien.engine.raster import Raster
from mien.engine.topology import LEFT_EYE, LOWER_FACE, RIGHT_EYE, STRIPS

ERODE, FEATHER, EYE_FEATHER = 0.03, 0.015, 0.006
"""How far the mask stays inside the face's outline and how soft its edge is there and around eyes, in face
widths."""


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
    seen: Float,
    covering: Covering,
    face_width: float,
) -> Masks:
    """All layers joined.

    raster: the result's mesh, drawn. seen: float32[rows, columns] in [0, 1], how well the source shows a cell
    on either side. face_width: in pixels.
    """
    width = face_width / raster.cell
    ours = covering.source_beard
    worn = beard_worn(raster, covering.beard, ours, width)
    outline = outline_mask(raster, width, ours.where if worn == "source" else None)
    layers = {
        "outline": outline,
        "nothing in front": 1 - covering.front,
    }
    if worn == "target":
        layers["no beard to keep"] = 1 - beard_mask(raster, covering.beard.where, width)
        if ours.hair.is_likely:
            seen = seen * (1 - beard_mask(raster, cv2.dilate(ours.where, disc(width * ERODE)), width))
    covered = float((covering.front * outline).sum() / max(float(outline.sum()), 1e-6))
    room = np.minimum.reduce(list(layers.values())).astype(np.float32)
    # Eyes are the target's, in the source's colour, whatever shows around them.
    eyes = soften(area(raster, RIGHT_EYE, LEFT_EYE), width * EYE_FEATHER)
    layers["what the face picture shows"] = np.maximum(seen.clip(0, 1), eyes)
    if covering.framed.any():
        layers["nothing that glasses frame"] = np.maximum(1 - covering.framed, eyes)
    face = np.minimum.reduce(list(layers.values())).astype(np.float32)
    return Masks(face, room - face, layers, covered, worn == "target")


def outline_mask(raster: Raster, width: float, beard: Float | None) -> Float:
    """What is seen of the face, a little inside of its edge, but with `beard`, float32[rows, columns], to it.

    width: of the face, in cells, here and below.
    """
    face = np.zeros(raster.ids.shape, np.uint8)
    for strip in STRIPS:
        cv2.fillPoly(face, [np.round(raster.points[strip] * 16).astype(np.int32)], 1, shift=4)
    # Beyond the picture's border there is no edge to hide.
    inside = cv2.erode(face, disc(width * ERODE), borderType=cv2.BORDER_REPLICATE)
    if beard is not None:
        grown = cv2.dilate((beard > 0.5).astype(np.uint8), disc(width * ERODE))
        inside = np.maximum(inside, cv2.min(cv2.min(face, area(raster, LOWER_FACE)), grown))
    return soften(inside, width * FEATHER)

"""Faces, and what tests of their light ask of them."""

from dataclasses import dataclass

import cv2
import numpy as np

from mien import Face
from mien.engine.arrays import RGB, Float, Mask
from mien.engine.geometry import normals
from mien.engine.lighting import Skin, skin_of
from mien.engine.raster import Raster, rasterise
from mien.engine.scene import FACE_WIDTH
from mien.engine.topology import INNER_LIPS, OUTER_LIPS, OVAL


@dataclass(frozen=True)
class Lit:
    """A face, its mesh, drawn, its normals, its skin on the light's grid, and the same skin in pixels."""

    picture: RGB
    points: Float
    raster: Raster
    normals: Float
    skin: Skin
    on_skin: Mask

    @property
    def shaven(self) -> tuple[Float, Float]:
        return (np.zeros(self.raster.ids.shape, np.float32),) * 2

    def under(self, light: Float | float) -> RGB:
        return np.asarray(np.clip(self.picture * light, 0, 255), np.uint8)

    def lips(self) -> Mask:
        outer, inner = (
            cv2.fillPoly(np.zeros(self.picture.shape[:2], np.uint8), [self.points[ring, :2].astype(int)], 1)
            for ring in (OUTER_LIPS, INNER_LIPS)
        )
        return (outer > inner).astype(bool)

    def differs_on_skin(self, other: Float) -> float:
        """Mean difference to another picture, in levels of 255."""
        return float(np.abs(other.astype(np.float64) - self.picture)[self.on_skin].mean())

    def colours_differ_on_skin(self, other: Float) -> float:
        """Mean difference to another picture, in Lab without lightness."""
        lab, other_lab = (
            cv2.cvtColor(np.clip(shown / 255, 0, 1).astype(np.float32), cv2.COLOR_RGB2LAB)
            for shown in (self.picture, other)
        )
        return float(np.linalg.norm((lab - other_lab)[self.on_skin][:, 1:], axis=1).mean())


def lit_face(picture: RGB, face: Face) -> Lit:
    """The face of a photo, cut out."""
    outline = face.landmarks[OVAL, :2]
    low, high = outline.min(axis=0).astype(int) - 4, outline.max(axis=0).astype(int) + 5
    face_picture = picture[low[1] : high[1], low[0] : high[0]]
    points = face.landmarks - np.append(low, 0).astype(np.float32)
    width = FACE_WIDTH * face.eye_distance
    raster = rasterise(points, face_picture.shape[:2], width)
    skin = skin_of(raster, width)
    on_skin = cv2.resize(
        skin.candidates.astype(np.uint8), face_picture.shape[1::-1], interpolation=cv2.INTER_NEAREST
    )
    return Lit(face_picture, points, raster, normals(points), skin, on_skin.astype(bool))


def chroma(picture: Float) -> Float:
    """Distance from grey in Lab."""
    lab = cv2.cvtColor(np.clip(picture / 255, 0, 1).astype(np.float32), cv2.COLOR_RGB2LAB)
    return np.hypot(lab[..., 1], lab[..., 2])

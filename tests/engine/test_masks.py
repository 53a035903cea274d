"""The source shows on the face, and on nothing that stands in front of it."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from mien import Face, FaceSwapper
from mien.engine.arrays import RGB, Float
from mien.engine.geometry import normals
from mien.engine.lighting import Light, Skin, estimate_light, skin_of
from mien.engine.masks import Masks, face_masks, wears_beard
from mien.engine.raster import Raster, rasterise
from mien.engine.scene import FACE_WIDTH
from mien.engine.texture import cut_source, texture_layers
from mien.engine.topology import MESH_POINTS, NOSE_BASE, NOSE_TIP, OVAL

Photo = tuple[RGB, Face]
Photos = Callable[[int, str], Photo]
Expressions = Callable[[str], Photo]

FOREHEAD, BELOW_LIP = 9, 18
EVERYWHERE: Float = np.ones(MESH_POINTS)


@dataclass(frozen=True)
class Subject:
    """A face cut out, its mesh, and what the light's grid knows of it."""

    picture: RGB
    points: Float
    raster: Raster
    skin: Skin
    width: float

    def light(self, picture: RGB | None = None) -> Light:
        return estimate_light(self.picture if picture is None else picture, normals(self.points), self.skin)

    def light_of(self, source: "Subject") -> Light:
        """Light of another face, brought onto this one's mesh."""
        patch = cut_source(source.picture, source.points, self.width / source.width)
        own = texture_layers(self.raster, self.points, patch).own
        return estimate_light(own, patch.normals, self.skin)

    def masks(
        self, picture: RGB | None = None, source: "Subject | None" = None, seen: Float = EVERYWHERE
    ) -> Masks:
        """Of this face as the target; `picture` may differ from its own, the source is itself or another."""
        source = source or self
        return face_masks(
            self.raster,
            self.skin,
            self.light(picture),
            self.light_of(source),
            seen,
            self.width,
        )

    def at(self, mask: Float, point: int) -> float:
        """The mask's value at a point of the mesh."""
        x, y = np.round(self.raster.points[point]).astype(int)
        return float(mask[y, x])


def subject(photo: Photo) -> Subject:
    picture, face = photo
    outline = face.landmarks[OVAL, :2]
    low = np.maximum(outline.min(axis=0).astype(int) - 4, 0)
    high = outline.max(axis=0).astype(int) + 5
    cut, points = picture[low[1] : high[1], low[0] : high[0]], face.landmarks - np.append(low, 0)
    width = FACE_WIDTH * face.eye_distance
    raster = rasterise(points, cut.shape[:2], width)
    return Subject(cut, points, raster, skin_of(raster, width), width)


@pytest.mark.parametrize("kind", ["studio_portrait", "amateur_selfie"])
@pytest.mark.parametrize("person", [1, 3, 6, 10])
def test_a_bare_face_shows_the_source_from_brow_to_chin(photo: Photos, person: int, kind: str) -> None:
    target = subject(photo(person, kind))
    masks = target.masks()
    assert masks.face.dtype == np.float32
    assert masks.face.shape == target.raster.ids.shape
    assert 0 <= masks.face.min() <= masks.face.max() <= 1
    assert [target.at(masks.face, point) for point in (NOSE_TIP, FOREHEAD, BELOW_LIP)] == pytest.approx(
        [1] * 3
    )
    assert masks.covered < 0.03
    assert not masks.beard_kept


def test_beyond_the_outline_the_target_shows(photo: Photos) -> None:
    target = subject(photo(3, "amateur_selfie"))
    face = target.masks().face
    inside = np.zeros(face.shape, np.uint8)
    cv2.fillPoly(inside, [np.round(target.raster.points[OVAL]).astype(np.int32)], 1)
    assert face[inside == 0].max() < 0.1
    assert max(target.at(face, int(point)) for point in OVAL) < 0.2


def test_at_the_pictures_border_a_face_has_no_edge(photo: Photos, swapper: FaceSwapper) -> None:
    picture, face = photo(6, "amateur_selfie")
    cut = np.ascontiguousarray(picture[:, int(face.landmarks[NOSE_TIP, 0]) - int(face.eye_distance / 4) :])
    (found,) = swapper.detect(cut)
    target = subject((cut, found))
    border = target.masks().face[:, 0]
    assert border[round(float(target.raster.points[NOSE_TIP, 1]))] > 0.9


def painted(target: Subject, rows: tuple[float, float], columns: tuple[float, float]) -> RGB:
    """Something blue over a part of the face, given in shares of the picture."""
    picture, (height, width) = target.picture.copy(), target.picture.shape[:2]
    picture[
        int(rows[0] * height) : int(rows[1] * height), int(columns[0] * width) : int(columns[1] * width)
    ] = (30, 60, 200)
    return picture


def test_what_reaches_in_from_the_edge_stays_in_front(photo: Photos) -> None:
    target = subject(photo(6, "amateur_selfie"))
    masks = target.masks(painted(target, (0.7, 1.0), (0.0, 1.0)))
    assert masks.covered > 0.08
    assert target.at(masks.face, BELOW_LIP) < 0.3
    assert target.at(masks.face, NOSE_TIP) == pytest.approx(1)
    assert target.at(masks.face, FOREHEAD) == pytest.approx(1)


def test_more_cover_is_more_covered(photo: Photos) -> None:
    target = subject(photo(6, "amateur_selfie"))
    covered = [
        target.masks(painted(target, (top, 1.0), (0.0, 1.0))).covered for top in (0.95, 0.85, 0.75, 0.65)
    ]
    assert covered == sorted(covered)
    assert covered[-1] > covered[0] + 0.1


def test_a_mole_is_no_cover(photo: Photos) -> None:
    target = subject(photo(6, "amateur_selfie"))
    assert target.masks(painted(target, (0.55, 0.6), (0.25, 0.3))).covered < 0.01


def test_beards_are_recognised(photo: Photos) -> None:
    bearded = {
        person
        for person in range(1, 11)
        for kind in ("studio_portrait", "amateur_selfie")
        if wears_beard((face := subject(photo(person, kind))).light(), face.skin)
    }
    assert bearded == {5}


def test_a_beard_stays_only_if_the_source_has_none(photo: Photos) -> None:
    bearded, shaven = subject(photo(5, "amateur_selfie")), subject(photo(3, "studio_portrait"))
    kept = bearded.masks(source=shaven)
    assert kept.beard_kept
    assert bearded.at(kept.face, BELOW_LIP) < 0.2
    assert bearded.at(kept.face, FOREHEAD) == pytest.approx(1)
    assert not bearded.masks(source=subject(photo(5, "studio_portrait"))).beard_kept
    assert not shaven.masks(source=bearded).beard_kept


def test_what_the_source_shows_from_neither_side_stays(photo: Photos) -> None:
    target = subject(photo(6, "amateur_selfie"))
    seen = EVERYWHERE.copy()
    seen[target.points[:MESH_POINTS, 1] > target.points[NOSE_BASE, 1]] = 0
    face = target.masks(seen=seen).face
    assert target.at(face, BELOW_LIP) == 0
    assert target.at(face, NOSE_TIP) == pytest.approx(1)

"""The source shows on the face, and on nothing that stands in front of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest

from mien import Face, FaceSwapper
from mien.engine.arrays import RGB, Float
from mien.engine.beards import Beard
from mien.engine.drawing import area
from mien.engine.hair import NONE, Hair
from mien.engine.masks import Masks, face_masks, outline_mask
from mien.engine.occlusion import Covering
from mien.engine.raster import Raster, rasterise
from mien.engine.scene import FACE_WIDTH
from mien.engine.topology import EYES, LOWER_FACE, NOSE_BASE, NOSE_TIP, OVAL

Photo = tuple[RGB, Face]
Photos = Callable[[int, str], Photo]

FOREHEAD, NOSE_BRIDGE, BELOW_NOSE, BELOW_LIP, CHEEK, CHIN = 9, 6, 164, 18, 214, 152

BLACK, BROWN, WHITE = (
    Hair(np.array(colour), 1.5, beyond=0.0) for colour in ([-45, -10, -15], [-40, -8, -12], [15, -12, -15])
)
SHADOW = Hair(np.array([-16.0, -2, -3]), 1.0, beyond=0.0)


@dataclass(frozen=True)
class Subject:
    """A face cut out, with its mesh."""

    points: Float
    raster: Raster
    width: float

    @property
    def nothing(self) -> Float:
        """On the raster's cells."""
        return np.zeros(self.raster.ids.shape, np.float32)

    @property
    def jaw(self) -> Float:
        """Where a full beard grows."""
        return area(self.raster, LOWER_FACE).astype(np.float32)

    def rows(self, first: float, last: float) -> Float:
        """A band across the face, given in shares of its height."""
        mask, height = self.nothing, len(self.raster.ids)
        mask[int(first * height) : int(last * height)] = 1
        return mask

    def moustache(self, reach: float, first: float = 0.62, last: float = 0.7) -> Float:
        """A band across the middle of the face, of which it takes such a share."""
        return self.rows(first, last) * (np.abs(np.linspace(-1, 1, self.nothing.shape[1])) < reach)

    def masks(
        self,
        seen: Float | None = None,
        front: Float | None = None,
        framed: Float | None = None,
        theirs: Beard | None = None,
        ours: Beard | None = None,
    ) -> Masks:
        """theirs, ours: the target's beard and the source's."""
        theirs, ours = (beard or Beard(self.nothing, NONE) for beard in (theirs, ours))
        return face_masks(
            self.raster,
            1 - self.nothing if seen is None else seen,
            Covering(
                front=self.nothing if front is None else front,
                framed=self.nothing if framed is None else framed,
                beard=theirs,
                hidden=(self.nothing, self.nothing),
                source_beards=(ours.where, self.nothing),
                source_hair=ours.hair,
            ),
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
    points = face.landmarks - np.append(low, 0)
    width = FACE_WIDTH * face.eye_distance
    cut = picture[low[1] : high[1], low[0] : high[0]]
    return Subject(points, rasterise(points, cut.shape[:2], width), width)


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


def test_what_stands_in_front_stays(photo: Photos) -> None:
    target = subject(photo(6, "amateur_selfie"))
    masks = target.masks(front=target.rows(0.7, 1))
    assert masks.covered > 0.08
    assert target.at(masks.face, BELOW_LIP) == 0
    assert target.at(masks.face, NOSE_TIP) == pytest.approx(1)
    assert target.at(masks.face, FOREHEAD) == pytest.approx(1)


def test_what_glasses_frame_stays_in_the_new_faces_tones_but_for_the_eyes(photo: Photos) -> None:
    target = subject(photo(6, "amateur_selfie"))
    masks = target.masks(framed=target.rows(0.15, 0.5))
    assert target.at(masks.face, NOSE_BRIDGE) == 0
    assert target.at(masks.gaps, NOSE_BRIDGE) == pytest.approx(1)
    for ring, _ in EYES:
        middle = np.round(target.raster.points[ring].mean(axis=0)).astype(int)
        assert masks.face[middle[1], middle[0]] > 0.9
    assert target.at(masks.face, BELOW_LIP) == pytest.approx(1)
    assert masks.covered < 0.03


def test_eyes_are_put_in_though_the_source_does_not_show_them(photo: Photos) -> None:
    target = subject(photo(6, "amateur_selfie"))
    masks = target.masks(seen=target.nothing)
    for ring, _ in EYES:
        middle = np.round(target.raster.points[ring].mean(axis=0)).astype(int)
        assert masks.face[middle[1], middle[0]] > 0.9
    assert target.at(masks.face, NOSE_TIP) == 0


def test_more_cover_is_more_covered(photo: Photos) -> None:
    target = subject(photo(6, "amateur_selfie"))
    covered = [target.masks(front=target.rows(top, 1)).covered for top in (0.95, 0.85, 0.75, 0.65)]
    assert covered == sorted(covered)
    assert covered[-1] > covered[0] + 0.1


@pytest.mark.parametrize("hair", [BLACK, WHITE])
def test_a_full_beard_stays_if_the_source_has_none(photo: Photos, hair: Hair) -> None:
    target = subject(photo(5, "amateur_selfie"))
    masks = target.masks(theirs=Beard(target.jaw, hair))
    assert masks.beard_kept
    assert target.at(masks.face, BELOW_LIP) < 0.2
    assert target.at(masks.face, FOREHEAD) == pytest.approx(1)


def test_a_moustache_goes_with_the_skin(photo: Photos) -> None:
    target = subject(photo(5, "amateur_selfie"))
    masks = target.masks(theirs=Beard(target.moustache(0.5), BLACK))
    assert not masks.beard_kept
    assert target.at(masks.face, BELOW_LIP) == pytest.approx(1)


def test_a_moustache_whose_tips_reach_the_faces_edge_stays(photo: Photos) -> None:
    target = subject(photo(5, "amateur_selfie"))
    masks = target.masks(theirs=Beard(target.moustache(1), BLACK))
    assert masks.beard_kept
    assert target.at(masks.face, BELOW_NOSE) < 0.2
    assert target.at(masks.face, BELOW_LIP) == pytest.approx(1)


def test_the_sources_beard_replaces_one_of_the_same_hair(photo: Photos) -> None:
    target = subject(photo(5, "amateur_selfie"))
    masks = target.masks(theirs=Beard(target.jaw, BLACK), ours=Beard(target.jaw, BROWN))
    assert not masks.beard_kept
    assert target.at(masks.face, BELOW_LIP) == pytest.approx(1)


@pytest.mark.parametrize("theirs", [WHITE, replace(BLACK, beyond=0.4)])
def test_a_beard_of_other_hair_is_kept_whole_and_so_is_a_long_one(photo: Photos, theirs: Hair) -> None:
    target = subject(photo(5, "amateur_selfie"))
    masks = target.masks(theirs=Beard(target.jaw, theirs), ours=Beard(target.jaw, BLACK))
    assert masks.beard_kept
    assert target.at(masks.face, BELOW_LIP) < 0.2


def test_nothing_of_the_sources_beard_shows_beside_a_kept_one(photo: Photos) -> None:
    target = subject(photo(5, "amateur_selfie"))
    goatee = Beard(target.moustache(0.4, 0.75, 1), replace(BLACK, beyond=0.4))
    alone, beside = (target.masks(theirs=goatee, ours=ours) for ours in (None, Beard(target.jaw, BROWN)))
    assert alone.beard_kept
    assert target.at(alone.face, CHEEK) == pytest.approx(1)
    assert beside.beard_kept
    assert target.at(beside.face, CHEEK) < 0.2
    assert target.at(beside.gaps, CHEEK) > 0.8


def test_a_shadow_on_a_part_of_the_jaw_is_no_beard(photo: Photos) -> None:
    target = subject(photo(3, "studio_portrait"))
    middle = target.raster.points[NOSE_TIP, 0]
    part = target.jaw * (np.arange(target.jaw.shape[1]) < middle)
    assert not target.masks(theirs=Beard(part, SHADOW)).beard_kept
    assert target.masks(theirs=Beard(part, BLACK)).beard_kept


def test_the_sources_beard_covers_the_jaw_to_its_rim(photo: Photos) -> None:
    target = subject(photo(3, "studio_portrait"))
    shaven, bearded = (target.masks(ours=ours) for ours in (None, Beard(target.jaw, BLACK)))
    assert not bearded.beard_kept
    assert target.at(bearded.face, CHIN) > target.at(shaven.face, CHIN) + 0.2


def test_what_the_source_shows_from_neither_side_stays(photo: Photos) -> None:
    target = subject(photo(6, "amateur_selfie"))
    seen = 1 - target.nothing
    seen[int(target.raster.points[NOSE_BASE, 1]) :] = 0
    face = target.masks(seen=seen).face
    assert target.at(face, BELOW_LIP) == 0
    assert target.at(face, NOSE_TIP) == pytest.approx(1)


@pytest.mark.parametrize("yaw", [-0.9, 0.9])
def test_the_nose_of_a_turned_head_is_part_of_the_face(drawn_head: Callable[..., Float], yaw: float) -> None:
    raster = rasterise(drawn_head(yaw=yaw), (330, 290), 240)
    beyond = raster.covered & ~area(raster, OVAL).astype(bool)
    outline = outline_mask(raster, 240 / raster.cell, beard=None)
    assert beyond.sum() > 200
    assert outline[beyond].mean() > 0.6

"""What is painted over a face is marked where it is painted."""

from pathlib import Path

import cv2
import numpy as np
import openpeople
import pytest

from mien import FaceSwapper
from mien.engine.arrays import RGB, Float
from mien.engine.landmarks import aligned_crop, warp_crop
from mien.engine.occlusion import CROP, EXTENT, moved
from mien.engine.scaling import Pyramid
from mien.engine.topology import MESH_POINTS
from occlusion.faces import ROOM, SIZE, FaceCrop
from occlusion.occluders import IN_FRONT, UNDERNEATH, Canvas, Painter
from occlusion.samples import Base, find_scraps, learnt_labels, make_sample, plain_labels, unposed


def name_of(painter: Painter) -> str:
    return getattr(painter, "__name__", "painter")


@pytest.fixture(scope="module")
def face() -> FaceCrop:
    path = Path(openpeople.__file__).parent / "data/curated/P003/assets/studio_portrait.jpg"
    picture = np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), np.uint8)
    picture = np.asarray(cv2.resize(picture, None, fx=0.3, fy=0.3, interpolation=cv2.INTER_AREA), np.uint8)
    (found,) = FaceSwapper(threads=2).detect(picture)
    crop_from_picture = aligned_crop(found.landmarks, SIZE, EXTENT * ROOM)
    points = moved(found.landmarks[:MESH_POINTS], crop_from_picture).astype(np.float32)
    return FaceCrop("P003", warp_crop(Pyramid(picture), crop_from_picture, SIZE), points)


def canvas_of(face: FaceCrop) -> Canvas:
    empty: list[Float] = [np.zeros((SIZE, SIZE), np.float32) for _ in range(4)]
    return Canvas(face.image.astype(np.float32), face.points.copy(), *empty)


@pytest.mark.parametrize("painter", [painter for painter, _ in IN_FRONT], ids=name_of)
def test_covers_are_marked_where_the_picture_changed(painter: Painter, face: FaceCrop) -> None:
    canvas = canvas_of(face)
    painter(canvas, np.random.default_rng(3), find_scraps([face]))
    changed = np.abs(canvas.image - face.image).max(axis=2)
    marked = np.maximum(canvas.covers, canvas.glasses)
    assert 0 <= canvas.covers.min() <= canvas.covers.max() <= 1
    assert canvas.covers.max() > 0.5
    # Something opaque hardly ever has the very colour of what it hides.
    assert changed[canvas.covers > 0.9].mean() > 8
    far = cv2.dilate(marked, np.ones((61, 61), np.uint8)) == 0
    assert not far.any() or changed[far].mean() < 2


@pytest.mark.parametrize("painter", [painter for painter, _ in UNDERNEATH], ids=name_of)
def test_beards_shadows_and_paint_cover_nothing(painter: Painter, face: FaceCrop) -> None:
    canvas = canvas_of(face)
    painter(canvas, np.random.default_rng(3), [])
    assert np.abs(canvas.image - face.image).max() > 5
    assert canvas.covers.max() == 0


def test_a_seed_gives_the_same_sample(face: FaceCrop) -> None:
    bases, scraps = [Base(face, plain_labels(face, True, False, True))], find_scraps([face])

    def sample() -> tuple[RGB, RGB]:
        return make_sample(np.random.default_rng(11), bases, scraps)

    for first, second in zip(sample(), sample(), strict=True):
        np.testing.assert_array_equal(first, second)
    inputs, labels = sample()
    assert inputs.shape == (CROP, CROP, 4)
    assert labels.shape == (CROP, CROP, 5)


def test_a_bare_face_is_known_to_be_bare(face: FaceCrop) -> None:
    labels = plain_labels(face, bare_forehead=True, bearded=False, smooth=True)
    inside = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillConvexPoly(inside, cv2.convexHull(np.round(face.points).astype(np.int32)), 1)
    assert labels[..., :3].max() == 0
    assert (labels[..., 3][inside > 0] > 0).mean() > 0.7


def test_only_sure_answers_are_learnt(face: FaceCrop) -> None:
    base = Base(face, np.zeros((SIZE, SIZE, 5), np.uint8))
    answer = np.zeros((CROP, CROP, 3), np.float32)
    answer[: CROP // 2, :, 0] = 0.95
    answer[CROP // 2 :, :, 0] = 0.6
    labels = learnt_labels(base, answer, False, None)
    _, crop_from_face = unposed(face)
    (_, upper), (_, lower) = moved(
        np.array([[SIZE / 2, SIZE * 0.35], [SIZE / 2, SIZE * 0.65]]), crop_from_face
    )
    assert upper < CROP / 2 < lower
    assert labels[round(SIZE * 0.35), SIZE // 2, [0, 3]].tolist() == [255, 255]
    assert labels[round(SIZE * 0.65), SIZE // 2, 3] == 0

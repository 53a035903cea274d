"""What stands in front of a face is found, and the face itself is not taken for it."""

from collections.abc import Callable
from typing import cast

import cv2
import numpy as np
import pytest

from mien import Face, SwapResult
from mien.engine.arrays import RGB, Float
from mien.engine.beards import Beard, crosses, jaw_rim
from mien.engine.drawing import face_outline
from mien.engine.hair import NONE
from mien.engine.landmarks import aligned_crop
from mien.engine.models import Network
from mien.engine.occlusion import (
    CROP,
    EXTENT,
    Covering,
    Occlusion,
    covering_of_source,
    find_covering,
    find_occlusion,
    find_source_occlusion,
    follow_edges,
    moved,
)
from mien.engine.raster import rasterise
from mien.engine.scaling import Pyramid
from mien.engine.scene import FACE_WIDTH, set_scene
from mien.engine.topology import LEFT_EYE, LOWER_FACE, MESH_POINTS, NOSE_TIP, OVAL, RIGHT_EYE

Photo = tuple[RGB, Face]
Photos = Callable[[int, str], Photo]
KINDS = ("studio_portrait", "amateur_selfie")


@pytest.fixture(scope="module")
def network() -> Network:
    return Network("face_occlusion.onnx", 2)


def share(occlusion: Occlusion, points: Float, plane: Float) -> float:
    """Share of the face's outline for which `plane` holds."""
    inside = face_outline(moved(points[:MESH_POINTS], occlusion.crop_from_picture), CROP) > 0.25
    return float((plane[inside] > 0.5).mean())


def inside(picture: RGB, *outlines: Float) -> Float:
    canvas = np.zeros(picture.shape[:2], np.uint8)
    for outline in outlines:
        cv2.fillPoly(canvas, [np.round(outline).astype(np.int32)], 1)
    return canvas > 0


LENS = (0.29, 0.24)
"""Half the width and height of a drawn lens, in eye distances."""


def centres_of_lenses(face: Face) -> Float:
    return np.stack([face.landmarks[eye, :2].mean(axis=0) for eye in (RIGHT_EYE, LEFT_EYE)])


def wearing_glasses(picture: RGB, face: Face, lens: tuple[int, int, int] | None = None) -> RGB:
    """With thin dark rims around lenses of a colour, or clear ones."""
    worn, dark, span = picture.copy(), (20, 20, 24), face.eye_distance
    lenses = centres_of_lenses(face)
    axes = np.round(span * np.array(LENS)).astype(int).tolist()
    for centre in np.round(lenses).astype(int).tolist():
        if lens is not None:
            cv2.ellipse(worn, centre, axes, 0, 0, 360, lens, -1)
        cv2.ellipse(worn, centre, axes, 0, 0, 360, dark, max(2, round(span / 40)))
    right, left = np.round(lenses + np.array([[axes[0], 0], [-axes[0], 0]])).astype(int).tolist()
    cv2.line(worn, right, left, dark, 3)
    return worn


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("person", [1, 3, 5, 6, 9])
def test_a_bare_face_is_bare(photo: Photos, network: Network, person: int, kind: str) -> None:
    picture, face = photo(person, kind)
    occlusion = find_occlusion(Pyramid(picture), face.landmarks, network)
    assert share(occlusion, face.landmarks, occlusion.covers) < 0.04


@pytest.mark.parametrize("person", [1, 3, 6])
def test_a_mask_over_mouth_and_chin_is_found(photo: Photos, network: Network, person: int) -> None:
    picture, face = photo(person, "amateur_selfie")
    picture, points = picture.copy(), face.landmarks[:, :2]
    worn = inside(picture, points[[227, 117, 195, 346, 447, 361, 379, 152, 150, 132]])
    picture[worn] = (176, 206, 222)
    occlusion = find_occlusion(Pyramid(picture), face.landmarks, network)
    crop = cv2.warpAffine(worn.astype(np.float32), occlusion.crop_from_picture, (CROP, CROP)) > 0.5
    face_itself = face_outline(moved(points[:MESH_POINTS], occlusion.crop_from_picture), CROP) > 0.25
    found = occlusion.covers > 0.5
    assert (found & crop & face_itself).sum() / (crop & face_itself).sum() > 0.9
    assert (found & ~crop & face_itself).sum() / face_itself.sum() < 0.06


@pytest.mark.parametrize("person", [1, 3, 6])
def test_dark_glasses_hide_both_eyes(photo: Photos, network: Network, person: int) -> None:
    picture, face = photo(person, "studio_portrait")
    picture, points = picture.copy(), face.landmarks[:, :2]
    for ring in (RIGHT_EYE, LEFT_EYE):
        centre = points[ring].mean(axis=0)
        axes = np.round(face.eye_distance * np.array([0.25, 0.2])).astype(int).tolist()
        cv2.ellipse(picture, np.round(centre).astype(int).tolist(), axes, 0, 0, 360, (12, 12, 14), -1)
    right, left = (np.round(points[k]).astype(int).tolist() for k in (127, 356))
    cv2.line(picture, right, left, (12, 12, 14), 4)
    occlusion = find_occlusion(Pyramid(picture), face.landmarks, network)
    for ring in (RIGHT_EYE, LEFT_EYE):
        x, y = moved(points[ring].mean(axis=0, keepdims=True), occlusion.crop_from_picture)[0]
        assert occlusion.covers[round(y), round(x)] > 0.8


@pytest.mark.parametrize("person", [1, 3, 6])
def test_eyes_show_through_clear_lenses_and_not_through_dark_ones(
    photo: Photos, network: Network, person: int
) -> None:
    picture, face = photo(person, "studio_portrait")
    eyes = face.landmarks[[*RIGHT_EYE, *LEFT_EYE]]
    for lens, shown in ((None, True), ((12, 12, 14), False)):
        worn = wearing_glasses(picture, face, lens=lens)
        assert find_source_occlusion(Pyramid(worn), face.landmarks, network).shows(eyes) == shown


def test_a_full_beard_is_kept_and_shaven_chins_are_not(swapped: Callable[[int, int], SwapResult]) -> None:
    assert {target for target in (1, 2, 5, 6, 9) if swapped(3, target).report.beard_kept} == {5}


@pytest.mark.parametrize("kind", KINDS)
def test_a_sources_beard_is_whole_down_to_the_jaw(photo: Photos, network: Network, kind: str) -> None:
    picture, face = photo(5, kind)
    found = find_source_occlusion(Pyramid(picture), face.landmarks, network)
    assert found.beard.max() > 0.9
    assert found.covers[found.beard > 0.6].max() == 0


@pytest.mark.parametrize("person", [1, 3, 6])
def test_a_source_is_hidden_by_all_that_its_glasses_frame_and_a_little_more(
    photo: Photos, network: Network, person: int
) -> None:
    picture, face = photo(person, "studio_portrait")
    lenses = centres_of_lenses(face)
    found = find_source_occlusion(Pyramid(wearing_glasses(picture, face)), face.landmarks, network)
    below = lenses + np.array([0, (LENS[1] + 0.05) * face.eye_distance])
    bridge = lenses.mean(axis=0, keepdims=True)
    for x, y in moved(np.concatenate([lenses, below, bridge]), found.crop_from_picture):
        assert found.framed[round(y), round(x)] > 0.9
    mouth = moved(face.landmarks[[13]], found.crop_from_picture)[0]
    assert found.framed[round(mouth[1]), round(mouth[0])] == 0


def test_a_sources_glasses_hide_both_halves_of_its_face_alike(photo: Photos, network: Network) -> None:
    picture, face = photo(3, "studio_portrait")
    half = picture.copy()
    middle = round(float(face.landmarks[NOSE_TIP, 0]))
    half[:, middle:] = wearing_glasses(picture, face)[:, middle:]
    occlusion = find_source_occlusion(Pyramid(half), face.landmarks, network)
    corner = np.floor(face.landmarks[OVAL, :2].min(axis=0))
    points = face.landmarks - np.append(corner, 0).astype(np.float32)
    raster = rasterise(points, (400, 400), FACE_WIDTH * face.eye_distance)
    hidden, _ = covering_of_source(raster, occlusion, face.landmarks)
    for eye in (RIGHT_EYE, LEFT_EYE):
        x, y = (raster.points[eye].mean(axis=0)).round().astype(int)
        assert min(side[y, x] for side in hidden) > 0.9


@pytest.mark.parametrize(("found", "stay_framed"), [(360, False), (300, True), (180, True)])
def test_glasses_whose_frame_is_not_found_all_round_stay_with_all_that_they_frame(
    photo: Photos, found: int, stay_framed: bool
) -> None:
    """found: degrees of the frame that the network sees."""
    picture, face = photo(6, "amateur_selfie")
    crop_from_picture = aligned_crop(face.landmarks, CROP, EXTENT)
    eyes = moved(centres_of_lenses(face), crop_from_picture).round().astype(int).tolist()
    layers = np.zeros((1, 3, CROP, CROP), np.float32)
    for centre in eyes:
        cv2.ellipse(layers[0, 0], centre, (18, 14), 0, 0, found, 1, 3)
        cv2.ellipse(layers[0, 1], centre, (19, 15), 0, 0, 360, 1, -1)

    def network(planes: Float) -> dict[str, Float]:
        return {"layers": layers}

    occlusion = find_occlusion(Pyramid(picture), face.landmarks, cast(Network, network))
    for x, y in eyes:
        assert occlusion.framed[y, x] == stay_framed
        assert occlusion.covers[y, x] == 0


@pytest.mark.parametrize("person", [1, 3, 5, 6, 9])
def test_who_wears_no_glasses_keeps_nothing_of_them(photo: Photos, network: Network, person: int) -> None:
    picture, face = photo(person, "studio_portrait")
    for find in (find_occlusion, find_source_occlusion):
        assert find(Pyramid(picture), face.landmarks, network).framed.max() == 0


def test_a_fringe_hides_the_source_down_to_its_tips(photo: Photos, network: Network) -> None:
    picture, face = photo(3, "studio_portrait")
    crop_from_picture = aligned_crop(face.landmarks, CROP, EXTENT)
    brows = moved(face.landmarks[[105, 334], :2], crop_from_picture)[:, 1].min()
    tips, found_to = int(brows) - 6, int(brows) - 10
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    down = moved(np.column_stack([x.ravel(), y.ravel()]), crop_from_picture)[:, 1].reshape(x.shape)
    picture = np.where((down < tips)[..., None], np.array([90, 40, 20]), picture).astype(np.uint8)

    def half_of_it(planes: Float) -> dict[str, Float]:
        layers = np.zeros((1, 3, CROP, CROP), np.float32)
        layers[0, 0, :found_to] = 1
        return {"layers": layers}

    found = find_source_occlusion(Pyramid(picture), face.landmarks, cast(Network, half_of_it))
    assert found.covers[tips - 1, CROP // 2 - 20 : CROP // 2 + 20].min() > 0.5
    assert found.covers[tips + 14, CROP // 2] < 0.1


def test_a_mole_is_no_cover(photo: Photos, network: Network) -> None:
    picture, face = photo(6, "amateur_selfie")
    picture = picture.copy()
    cheek = np.round(face.landmarks[50, :2]).astype(int).tolist()
    cv2.circle(picture, cheek, max(2, round(0.02 * face.eye_distance)), (70, 40, 30), -1)
    occlusion = find_occlusion(Pyramid(picture), face.landmarks, network)
    assert share(occlusion, face.landmarks, occlusion.covers) < 0.04


def test_turning_the_picture_turns_the_answer(photo: Photos, network: Network) -> None:
    picture, face = photo(5, "amateur_selfie")
    turned = np.ascontiguousarray(np.rot90(picture))
    points = np.column_stack([face.landmarks[:, 1], picture.shape[1] - 1 - face.landmarks[:, 0]])
    upright, other = (
        find_occlusion(Pyramid(p), q, network) for p, q in ((picture, face.landmarks), (turned, points))
    )
    assert np.abs(upright.beard - other.beard).mean() < 0.01


def test_a_place_is_found_on_the_mesh_of_another_shape(photo: Photos) -> None:
    _, face = photo(6, "amateur_selfie")
    crop_from_picture = aligned_crop(face.landmarks, CROP, EXTENT)
    y, x = np.mgrid[:CROP, :CROP].astype(np.float32) / CROP
    occlusion = Occlusion(x, (x + y) / 2, y, NONE, crop_from_picture)
    points = (face.landmarks - face.landmarks[OVAL].min(axis=0)) * np.array([1.2, 0.9, 1], np.float32) + 10
    raster = rasterise(points, (400, 400), FACE_WIDTH * face.eye_distance)
    planes = occlusion.on_mesh(raster, face.landmarks[:MESH_POINTS])
    x, y = moved(face.landmarks[[NOSE_TIP]], crop_from_picture)[0] / CROP
    column, row = np.round(raster.points[NOSE_TIP]).astype(int)
    found = [plane[row, column] for plane in planes]
    np.testing.assert_allclose(found, [x, (x + y) / 2, y], atol=0.02)


def test_a_targets_beard_is_the_same_whoever_takes_its_place(photo: Photos, network: Network) -> None:
    picture, face = photo(5, "amateur_selfie")
    wider = face.landmarks.copy()
    wider[:, 0] += 0.06 * (wider[:, 0] - wider[NOSE_TIP, 0])
    same, other = (
        find_covering(set_scene(picture, face.landmarks, after), Pyramid(picture), face.landmarks, network)[2]
        for after in (face.landmarks, wider)
    )
    assert same.hair.roughness == other.hair.roughness
    assert same.where.mean() == pytest.approx(other.where.mean(), rel=0.1)


def test_both_faces_of_a_swap_are_looked_at(photo: Photos, network: Network) -> None:
    (target, theirs), (source, ours) = photo(5, "amateur_selfie"), photo(3, "studio_portrait")
    scene = set_scene(target, theirs.landmarks, theirs.landmarks)
    occlusion = find_source_occlusion(Pyramid(source), ours.landmarks, network)
    front, framed, beard = find_covering(scene, Pyramid(target), theirs.landmarks, network)
    hidden, source_beards = covering_of_source(scene.raster, occlusion, ours.landmarks)
    shape = scene.raster.ids.shape
    for mask in (front, framed, beard.where, *hidden, *source_beards):
        assert mask.dtype == np.float32
        assert mask.shape == shape
        assert 0 <= mask.min() <= mask.max() <= 1
    width = scene.face_width / scene.raster.cell
    rim = jaw_rim(scene.raster, width)
    assert crosses(rim, beard)
    assert not crosses(rim, Beard(source_beards[0], occlusion.hair))


def test_an_edge_is_drawn_to_the_pictures_edge() -> None:
    picture = np.full((80, 80, 3), 200, np.uint8)
    picture[:, 40:] = (40, 60, 90)
    blurred = np.repeat(np.linspace(-1, 2, 80, dtype=np.float32).clip(0, 1)[None], 80, axis=0)
    drawn = follow_edges(blurred, picture, radius=12, tolerance=0.05)
    step = drawn[40, 42] - drawn[40, 37]
    assert step > 1.5 * (blurred[40, 42] - blurred[40, 37])


def test_a_flat_mask_stays_flat() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    for level in (0, 1):
        np.testing.assert_allclose(
            follow_edges(np.full((40, 50), level, np.float32), picture, 4, 0.05), level, atol=1e-3
        )


def test_the_crop_holds_the_face_upright_in_its_middle(photo: Photos) -> None:
    _, face = photo(3, "amateur_selfie")
    points = moved(face.landmarks[:MESH_POINTS], aligned_crop(face.landmarks, CROP, EXTENT))
    low, high = points.min(axis=0), points.max(axis=0)
    np.testing.assert_allclose((low + high) / 2, (CROP - 1) / 2, atol=0.5)
    assert (high - low).max() == pytest.approx(CROP / EXTENT, rel=0.02)
    assert points[NOSE_TIP, 1] < points[LOWER_FACE, 1].max()


def test_each_face_has_its_own_covers() -> None:
    """What hides one face tells nothing against the skin of another."""
    front, framed, beard, hidden_here, hidden_there, beard_here, beard_there = np.eye(7, dtype=np.float32)
    hidden, beards = (hidden_here, hidden_there), (beard_here, beard_there)
    covering = Covering(front, framed, Beard(beard, NONE), hidden, beards, NONE)
    np.testing.assert_array_equal(covering.over_target, front + beard)
    np.testing.assert_array_equal(covering.over_source[0], hidden_here + beard_here)
    np.testing.assert_array_equal(covering.over_source[1], hidden_there + beard_there)
    np.testing.assert_array_equal(covering.source_beard.where, beard_here + beard_there)

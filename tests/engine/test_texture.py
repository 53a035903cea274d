"""Colours come from where the map says, and what the source does not show comes from its other side."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien import Face
from mien.engine.arrays import RGB, Float
from mien.engine.geometry import normals
from mien.engine.raster import rasterise
from mien.engine.scaling import Pyramid
from mien.engine.scene import FACE_WIDTH
from mien.engine.texture import (
    SourcePatch,
    cut_source,
    lit_otherwise,
    sample,
    shadows,
    shown_by_itself,
    texture_layers,
    visibility,
)
from mien.engine.topology import LEFT_EYE, MESH_POINTS, NOSE_TIP, OVAL, sideways

Heads = Callable[..., Float]
Photo = tuple[RGB, Face]
Photos = Callable[[int, str], Photo]


def test_sampling_every_pixel_at_its_place_copies_the_picture() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    y, x = np.mgrid[:60, :80].astype(np.float32)
    np.testing.assert_array_equal(sample(picture, np.stack([x, y], axis=-1)), picture)


def even_slope(height: int, width: int) -> RGB:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 0.4, y * 0.4, 255 - x * 0.3], axis=-1).round().astype(np.uint8)


points_in_picture = st.tuples(st.floats(-100, 700), st.floats(-100, 600))


@given(low=points_in_picture, size=st.floats(2, 400), scale=st.floats(0.05, 4))
def test_a_cut_out_face_lies_within_the_picture_and_is_never_enlarged(
    low: tuple[float, float], size: float, scale: float
) -> None:
    picture = even_slope(500, 600)
    points = np.zeros((478, 3), np.float32)
    points[:, 0] = np.linspace(low[0], low[0] + size, 478)
    points[:, 1] = np.linspace(low[1], low[1] + 1.2 * size, 478)
    patch = cut_source(Pyramid(picture), points, scale)
    assert min(patch.image.shape[:2]) >= 2
    assert patch.image.shape[0] <= 500
    assert patch.image.shape[1] <= 600
    assert patch.scale == scale
    assert np.isfinite(patch.points).all()
    pixels_per_point = np.ptp(patch.points[:, 0]) / np.ptp(points[:, 0])
    assert pixels_per_point <= 1 + 1e-3


@pytest.mark.parametrize("scale", [0.2, 0.45, 0.85, 1.0, 3.0])
def test_points_of_the_cut_out_face_show_the_colours_of_the_picture(drawn_head: Heads, scale: float) -> None:
    picture = even_slope(500, 600)
    points = drawn_head(200) + np.array([120, 60, 0], np.float32)
    patch = cut_source(Pyramid(picture), points, scale)
    there = sample(patch.image, patch.points[None, :MESH_POINTS].astype(np.float32))[0]
    x, y = points[:MESH_POINTS, 0], points[:MESH_POINTS, 1]
    np.testing.assert_allclose(there, np.stack([x * 0.4, y * 0.4, 255 - x * 0.3], axis=-1), atol=2)


def test_fine_detail_is_averaged_when_the_source_is_larger_than_the_result(drawn_head: Heads) -> None:
    chequered = np.where((np.indices((600, 600)).sum(axis=0) % 2)[..., None], 255, 0).astype(np.uint8)
    patch = cut_source(Pyramid(np.repeat(chequered, 3, axis=2)), drawn_head(200) + np.float32(120), 0.3)
    np.testing.assert_allclose(patch.image, 127.5, atol=16)


# Layers ----------------------------------------------------------------------------------------------------

SHAPE = (330, 290)
RED, BLUE = (200, 40, 40), (40, 40, 200)


def two_halves(points: Float) -> RGB:
    """Red on the picture's left of the nose, blue on its right."""
    picture = np.full((*SHAPE, 3), BLUE, np.uint8)
    picture[:, : round(float(points[NOSE_TIP, 0]))] = RED
    return picture


def colour_at(layer: RGB, points: Float, index: int) -> list[int]:
    x, y = np.round(points[index, :2]).astype(int)
    return [int(value) for value in layer[y, x]]


RIGHT_CHEEK, LEFT_CHEEK = 50, 280
"""The person's; the right one lies left in the picture."""


def test_a_frontal_source_needs_no_mirror(drawn_head: Heads) -> None:
    head = drawn_head()
    layers = texture_layers(
        rasterise(head, SHAPE, 150), head, cut_source(Pyramid(two_halves(head)), head, 1.0)
    )
    assert layers.mirrored_side is None
    assert layers.mirrored == 0
    assert (layers.own_share == 1).all()
    assert (layers.seen == 1).all()
    assert colour_at(layers.own, head, RIGHT_CHEEK) == list(RED)
    assert colour_at(layers.own, head, LEFT_CHEEK) == list(BLUE)


def test_what_a_turned_source_hides_comes_from_its_other_side(drawn_head: Heads) -> None:
    head, turned = drawn_head(), drawn_head(yaw=0.9)
    patch = cut_source(Pyramid(two_halves(turned)), turned, 1.0)
    layers = texture_layers(rasterise(head, SHAPE, 150), head, patch)
    assert layers.mirrored_side is not None
    assert 0.2 < layers.mirrored < 0.6
    assert colour_at(layers.mirrored_side, head, LEFT_CHEEK) == list(RED)

    def share(index: int) -> float:
        x, y = np.round(head[index, :2]).astype(int)
        return float(layers.own_share[y, x])

    assert share(RIGHT_CHEEK) > 0.9
    assert share(LEFT_CHEEK) < 0.1
    assert ((layers.own_share >= 0) & (layers.own_share <= 1)).all()
    assert ((layers.seen >= 0) & (layers.seen <= 1)).all()


def test_a_face_on_its_own_mesh_is_the_picture(photo: Photos) -> None:
    picture, face = photo(6, "studio_portrait")
    raster = rasterise(face.landmarks, picture.shape[:2], FACE_WIDTH * face.eye_distance)
    patch = cut_source(Pyramid(picture), face.landmarks, 1.0)
    layers = texture_layers(raster, face.landmarks, patch)
    inside = raster.enlarge(raster.covered.astype(np.float32)) == 1
    away = np.abs(layers.own.astype(int) - picture)[inside]
    assert away.mean() < 2.5
    assert np.median(away) < 1.5


def test_a_turned_head_hides_its_far_side(drawn_head: Heads) -> None:
    to_the_right = drawn_head(yaw=1.0)
    assert to_the_right[NOSE_TIP, 0] > to_the_right[OVAL, 0].mean()
    turned, frontal = visibility(normals(to_the_right)), visibility(normals(drawn_head()))
    assert ((turned >= 0) & (turned <= 1)).all()
    assert frontal[[RIGHT_CHEEK, LEFT_CHEEK]].min() > 0.9
    assert turned[RIGHT_CHEEK] > 0.7
    assert turned[LEFT_CHEEK] < 0.1


@pytest.mark.parametrize("turn", [1, -1])
def test_from_a_half_profile_on_the_whole_far_half_is_mirrored(drawn_head: Heads, turn: int) -> None:
    share = shown_by_itself(normals(drawn_head(yaw=turn * 0.85)))
    far = sideways() * turn
    assert (share[far < 0] == 1).all()
    assert (share[far > 0.15] == 0).all()


def test_a_slightly_turned_head_keeps_its_far_eye(drawn_head: Heads) -> None:
    share = shown_by_itself(normals(drawn_head(yaw=0.3)))
    assert share[LEFT_EYE].min() > 0.9


def test_what_hides_one_cheek_is_replaced_by_the_other(drawn_head: Heads) -> None:
    head = drawn_head()
    raster = rasterise(head, SHAPE, 150)
    here, there = np.zeros((2, *raster.ids.shape), np.float32)
    middle = round(float(raster.points[NOSE_TIP, 0]))
    here[:, middle:], there[:, :middle] = 1, 1  # the same hand, seen in a mirror
    layers = texture_layers(raster, head, cut_source(Pyramid(two_halves(head)), head, 1.0), (here, there))
    assert layers.mirrored_side is not None
    assert 0.3 < layers.mirrored < 0.7
    columns = layers.own_share[round(float(head[NOSE_TIP, 1]))]
    x = head[[LEFT_CHEEK, RIGHT_CHEEK], 0].round().astype(int)
    assert columns[x].tolist() == pytest.approx([0, 1])
    assert layers.seen[raster.covered].min() > 0.9


def test_what_hides_both_cheeks_is_not_seen(drawn_head: Heads) -> None:
    head = drawn_head()
    raster = rasterise(head, SHAPE, 150)
    hidden = np.zeros(raster.ids.shape, np.float32)
    below = round(float(raster.points[NOSE_TIP, 1]))
    hidden[below:] = 1
    layers = texture_layers(raster, head, cut_source(Pyramid(two_halves(head)), head, 1.0), (hidden, hidden))
    assert layers.seen[below:].max() == 0
    assert layers.seen[:below].min() == 1


def side_lit(photo: Photo, left_light: float) -> Photo:
    """The same with what lies left of the nose in another light."""
    picture, face = photo
    left = np.arange(picture.shape[1]) < face.landmarks[NOSE_TIP, 0]
    light = np.where(left, left_light, 1.0)[None, :, None]
    return (picture * light).clip(0, 255).astype(np.uint8), face


def cut_photo(photo: Photo) -> SourcePatch:
    return cut_source(Pyramid(photo[0]), photo[1].landmarks, 1.0)


def dark_points(photo: Photo) -> Float:
    points = photo[1].landmarks
    return shadows(photo[0], points, normals(points))


def test_an_evenly_lit_face_has_no_shadows(photo: Photos) -> None:
    assert not dark_points(photo(3, "studio_portrait")).any()


def test_the_side_in_a_shadow_is_found(photo: Photos) -> None:
    dark = dark_points(side_lit(photo(3, "studio_portrait"), 0.3))
    assert np.median(dark[sideways() < -0.2]) > 0.9
    assert not dark[sideways() > 0.3].any()


def test_a_shadow_is_lit_from_the_faces_other_side(photo: Photos) -> None:
    target = photo(6, "studio_portrait")[1].landmarks
    raster = rasterise(target, (800, 800), 200)
    even, dark = (
        texture_layers(raster, target, cut_photo(side_lit(photo(3, "studio_portrait"), light)))
        for light in (1.0, 0.3)
    )
    assert even.mirrored_side is None
    cheek = tuple(target[50, :2].round().astype(int)[::-1])  # the right one, left in the picture
    assert dark.own_share[cheek] < 0.05
    assert dark.mirrored_side is not None
    assert dark.mirrored_side[cheek].mean() > 2 * dark.own[cheek].mean()
    assert dark.mirrored == pytest.approx(even.mirrored, abs=0.02)


def test_a_shadow_that_the_target_has_too_is_left(photo: Photos) -> None:
    dark = dark_points(side_lit(photo(3, "studio_portrait"), 0.3))
    assert lit_otherwise(dark, np.zeros(MESH_POINTS)).max() > 0.9
    assert not lit_otherwise(dark, dark > 0).any()


def test_a_side_too_bright_to_show_skin_takes_no_shadows_place(photo: Photos) -> None:
    picture, face = side_lit(photo(3, "studio_portrait"), 0.3)
    burnt = np.where(np.arange(picture.shape[1])[None, :, None] >= face.landmarks[NOSE_TIP, 0], 255, picture)
    assert not dark_points((burnt.astype(np.uint8), face))[sideways() < -0.2].any()

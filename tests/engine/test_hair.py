"""Beards are told from folds and shadows, whatever their colour, and long ones from short ones."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from mien.engine.arrays import RGB, Float, Mask
from mien.engine.hair import Hair, measure_hair
from mien.engine.topology import LOWER_FACE, MESH_POINTS, OUTER_LIPS, OVAL

SIZE, WIDTH = 160, 92
SKIN = (205, 160, 135)
BLACK, GINGER, WHITE = (45, 38, 36), (160, 104, 70), (215, 205, 195)


@pytest.fixture(scope="module")
def mesh(drawn_head: Callable[..., Float]) -> Float:
    points = drawn_head(width=WIDTH)[:MESH_POINTS, :2]
    return np.asarray(points - (points.max(axis=0) + points.min(axis=0)) / 2 + SIZE / 2)


def jaw(mesh: Float) -> Mask:
    """Where a full beard grows."""
    area = filled(mesh[LOWER_FACE])
    area[filled(cv2.convexHull(mesh[OUTER_LIPS].astype(np.float32))[:, 0])] = False
    return area


def filled(outline: Float) -> Mask:
    canvas = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillPoly(canvas, [np.round(outline).astype(np.int32)], 1)
    return canvas.astype(bool)


def drawn(hair: Mask, colour: tuple[int, int, int], roughness: float = 2.0) -> RGB:
    """Skin all over but for hair, both with some noise."""
    noise = np.random.default_rng(0).normal(0, 1, (SIZE, SIZE, 1))
    picture = np.where(hair[..., None], np.array(colour) + roughness * noise, np.array(SKIN) + 2 * noise)
    return picture.clip(0, 255).astype(np.uint8)


def measured(picture: RGB, seen: Mask, mesh: Float) -> tuple[Float, Hair]:
    return measure_hair(picture, seen.astype(np.float32), np.zeros(seen.shape, np.float32), mesh)


@pytest.mark.parametrize("colour", [BLACK, GINGER, WHITE])
def test_hair_of_another_colour_is_a_beard(mesh: Float, colour: tuple[int, int, int]) -> None:
    assert measured(drawn(jaw(mesh), colour), jaw(mesh), mesh)[1].is_likely


def test_hair_of_the_skins_colour_is_a_beard_since_it_is_rough(mesh: Float) -> None:
    rough, smooth = (measured(drawn(jaw(mesh), SKIN, r), jaw(mesh), mesh)[1] for r in (5, 2))
    assert rough.is_sure
    assert not smooth.is_likely


def test_a_faint_shadow_is_no_beard_and_a_deep_one_is_not_surely_one(mesh: Float) -> None:
    bare = drawn(np.zeros((SIZE, SIZE), bool), SKIN)
    faint, deep = (
        measured(np.where(jaw(mesh)[..., None], bare * light, bare).astype(np.uint8), jaw(mesh), mesh)[1]
        for light in (0.85, 0.65)
    )
    assert not faint.is_likely
    assert not deep.is_sure


def test_what_the_network_does_not_see_is_not_measured(mesh: Float) -> None:
    seen = np.zeros((SIZE, SIZE), bool)
    beard, hair = measured(drawn(jaw(mesh), BLACK), seen, mesh)
    assert not beard.any()
    assert not hair.is_likely


def test_a_moustache_tells_the_colour_of_the_rest_of_the_beard(mesh: Float) -> None:
    moustache = jaw(mesh) & (np.arange(SIZE)[:, None] < mesh[OUTER_LIPS, 1].min())
    whole, alone = (measured(drawn(grown, BLACK), moustache, mesh)[0] for grown in (jaw(mesh), moustache))
    assert (whole[jaw(mesh)] > 0.5).mean() > 0.9
    np.testing.assert_array_equal(alone > 0.5, moustache)


def test_a_long_beard_goes_on_beyond_the_jaw(mesh: Float) -> None:
    chin = np.arange(SIZE)[:, None] > mesh[OUTER_LIPS, 1].max()
    short, long = (
        measured(drawn(hair, BLACK), jaw(mesh), mesh)[1].beyond
        for hair in (jaw(mesh), jaw(mesh) | (chin & ~filled(mesh[OVAL])))
    )
    assert short == 0
    assert long > 0.3

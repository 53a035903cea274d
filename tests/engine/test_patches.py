"""Highlights, shadows and colours of lamps stay behind; what skin is by itself comes along."""

import cv2
import numpy as np
import pytest
from tests.engine.lit import Lit, chroma

from mien.engine.arrays import Float
from mien.engine.lighting import estimate_light
from mien.engine.patches import with_patches
from mien.engine.relighting import relight, relight_layers
from mien.engine.texture import SourcePatch, texture_layers

NOSE_RIDGE = [6, 197, 195, 5]


def test_a_patch_of_coloured_light_does_not_come_along(lit: Lit) -> None:
    """A lamp's or a shadow's colour on a part of the source's face."""
    x, y = lit.points[50, :2].astype(int)
    reach = lit.picture.shape[1] // 8
    patch = (slice(y - reach, y + reach), slice(x - reach, x + reach))
    tinted = lit.picture.copy()
    tinted[patch] = (tinted[patch] * [0.55, 0.85, 0.75]).astype(np.uint8)
    own, wanted = (estimate_light(picture, lit.normals, lit.skin) for picture in (tinted, lit.picture))
    relit = relight(tinted, own, wanted)

    def away(shown: Float) -> float:
        colours = cv2.cvtColor(shown.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[..., 1:]
        wanted_colours = cv2.cvtColor(lit.picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)[..., 1:]
        return float(np.linalg.norm((colours - wanted_colours)[patch], axis=2).mean())

    assert away(relit) < 0.6 * away(tinted)


def test_small_patches_of_coloured_light_do_not_come_along(lit: Lit) -> None:
    """As of lamps at night, each smaller than the smooth light can follow."""
    y, x = np.indices(lit.picture.shape[:2]) * (2 * np.pi * 8 / lit.picture.shape[1])
    red = (np.sin(x) * np.sin(y))[..., None] > 0
    tinted = np.where(red, lit.picture * [1.0, 0.6, 0.6], lit.picture * [0.6, 1.0, 0.9]).astype(np.uint8)
    wanted = estimate_light(lit.picture, lit.normals, lit.skin)
    smooth = estimate_light(tinted, lit.normals, lit.skin)
    relit = relight(tinted, with_patches(smooth, lit.skin), wanted)
    without = relight(tinted, smooth, wanted)
    assert lit.colours_differ_on_skin(relit) < 0.6 * lit.colours_differ_on_skin(without)


@pytest.mark.parametrize("gain, left", [(1.8, 0.8), (0.25, 0.95)], ids=["highlights", "shadows"])
def test_hard_highlights_and_shadows_weaken(lit: Lit, gain: float, left: float) -> None:
    """Patches half as wide as a cheek, which the smooth light can't follow."""
    y, x = np.indices(lit.picture.shape[:2]) * (2 * np.pi * 3 / lit.picture.shape[1])
    patches = np.clip((np.sin(x) * np.sin(y) - 0.3) * 8, 0, 1)[..., None]
    hard = lit.under(0.6 * (1 + (gain - 1) * patches))
    wanted = estimate_light(lit.picture, lit.normals, lit.skin)
    smooth = estimate_light(hard, lit.normals, lit.skin)
    relit, without = (relight(hard, own, wanted) for own in (with_patches(smooth, lit.skin), smooth))
    assert lit.differs_on_skin(relit) < left * lit.differs_on_skin(without)


def test_skin_in_plain_light_stays(lit: Lit) -> None:
    light = estimate_light(lit.picture, lit.normals, lit.skin)
    relit = relight(lit.picture, with_patches(light, lit.skin), light)
    assert lit.colours_differ_on_skin(relit) < 0.7
    assert lit.differs_on_skin(relit) < 3


def test_a_beard_is_no_shadow(lit: Lit) -> None:
    rows, columns = lit.picture.shape[:2]
    grows = lit.skin.face & (lit.skin.dark_limit < lit.skin.dark_limit.max())
    lower = cv2.resize(grows.astype(np.uint8), (columns, rows)).astype(bool)
    bearded = lit.picture.copy()
    bearded[lower] = bearded[lower] * 0.3
    light = estimate_light(bearded, lit.normals, lit.skin)
    relit = relight(bearded, with_patches(light, lit.skin), light)
    assert relit[lower].mean() < 1.2 * bearded[lower].mean()


def test_mirrored_halves_of_a_face_lit_from_one_side_meet_without_a_dark_line(lit: Lit) -> None:
    x = np.arange(lit.picture.shape[1])[None, :, None] / lit.picture.shape[1]
    nose = lit.points[NOSE_RIDGE, 0].mean() / lit.picture.shape[1]
    side_lit = lit.under(0.15 + 0.85 / (1 + np.exp(40 * (nose + 0.04 - x))))
    patch = SourcePatch(side_lit, lit.points[:, :2], lit.normals, 1.0)
    layers = texture_layers(lit.raster, lit.points, patch)
    own, wanted = (estimate_light(picture, lit.normals, lit.skin) for picture in (layers.own, lit.picture))
    relit = relight_layers(layers, own, wanted, lit.skin, lit.skin, lit.shaven)
    columns, rows = lit.points[NOSE_RIDGE, :2].astype(int).T
    assert relit[rows, columns].mean() > 0.8 * lit.picture[rows, columns].mean()


def test_lips_of_a_grey_picture_get_the_colour_of_the_target_s(lit: Lit) -> None:
    grey = np.repeat(cv2.cvtColor(lit.picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    layers = texture_layers(lit.raster, lit.points, SourcePatch(grey, lit.points[:, :2], lit.normals, 1.0))
    own, wanted = (estimate_light(picture, lit.normals, lit.skin) for picture in (layers.own, lit.picture))
    relit = relight_layers(layers, own, wanted, lit.skin, lit.skin, lit.shaven)
    lips = lit.lips()

    def colour(picture: Float) -> Float:
        lab = cv2.cvtColor(np.clip(picture / 255, 0, 1).astype(np.float32), cv2.COLOR_RGB2LAB)[..., 1:]
        return np.asarray(np.median(lab[lips], axis=0) - np.median(lab[lit.on_skin], axis=0))

    there = colour(lit.picture)
    assert np.linalg.norm(colour(relit) - there) < 0.7 * np.linalg.norm(there)


def test_lips_of_a_grey_picture_get_no_lipstick(lit: Lit) -> None:
    painted = lit.picture.copy()
    painted[lit.lips()] = [200, 20, 40]
    grey = np.repeat(cv2.cvtColor(lit.picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    layers = texture_layers(lit.raster, lit.points, SourcePatch(grey, lit.points[:, :2], lit.normals, 1.0))
    own, wanted = (estimate_light(picture, lit.normals, lit.skin) for picture in (layers.own, painted))
    relit = relight_layers(layers, own, wanted, lit.skin, lit.skin, lit.shaven)
    assert np.median(chroma(relit)[lit.lips()]) < np.median(chroma(lit.picture)[lit.lips()]) + 10

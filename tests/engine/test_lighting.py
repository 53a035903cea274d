"""Light is found on skin alone, taken off and put on."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from mien import Face
from mien.engine.arrays import RGB, Float, Mask
from mien.engine.geometry import normals
from mien.engine.lighting import Skin, estimate_light, skin_of
from mien.engine.patches import with_patches
from mien.engine.raster import Raster, rasterise
from mien.engine.relighting import relight, relight_layers
from mien.engine.scene import FACE_WIDTH
from mien.engine.texture import SourcePatch, texture_layers
from mien.engine.topology import INNER_LIPS, LEFT_EYE, OUTER_LIPS, OVAL, RIGHT_BROW, RIGHT_EYE

NOSE_RIDGE = [6, 197, 195, 5]
Photo = tuple[RGB, Face]
Photos = Callable[[int, str], Photo]
SUBJECTS = [(1, "studio_portrait"), (6, "amateur_selfie"), (9, "amateur_selfie")]


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


@pytest.fixture(params=SUBJECTS, ids=lambda subject: f"{subject[0]}-{subject[1]}")
def lit(request: pytest.FixtureRequest, photo: Photos) -> Lit:
    picture, face = photo(*request.param)
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


def test_a_face_under_its_own_light_stays_as_it_is(lit: Lit) -> None:
    own = estimate_light(lit.picture, lit.normals, lit.skin)
    relit = relight(lit.picture, own, own)
    assert relit.dtype == np.float32
    np.testing.assert_allclose(relit, lit.picture, atol=0.5)


@pytest.mark.parametrize("gain", [(0.6, 0.6, 0.6), (1.0, 0.85, 0.7), (0.5, 0.45, 0.4)], ids=str)
def test_a_change_of_light_or_colour_is_undone(lit: Lit, gain: tuple[float, float, float]) -> None:
    changed = lit.under(np.array(gain))
    own, wanted = (estimate_light(picture, lit.normals, lit.skin) for picture in (changed, lit.picture))
    back = relight(changed, own, wanted)
    assert lit.differs_on_skin(back) < 0.2 * lit.differs_on_skin(changed)


def test_light_from_one_side_is_undone(lit: Lit) -> None:
    from_the_right = np.linspace(0.5, 1, lit.picture.shape[1])[None, :, None]
    changed = lit.under(from_the_right)
    own, wanted = (estimate_light(picture, lit.normals, lit.skin) for picture in (changed, lit.picture))
    back = relight(changed, own, wanted)
    assert lit.differs_on_skin(back) < 0.3 * lit.differs_on_skin(changed)


def test_lights_of_two_colours_are_taken_over(lit: Lit) -> None:
    along = np.linspace(0, 1, lit.picture.shape[1])[None, :, None]
    target = lit.under((1 - along) * [1.0, 0.4, 0.7] + along * [0.2, 0.7, 1.0])
    own, wanted = (estimate_light(picture, lit.normals, lit.skin) for picture in (lit.picture, target))
    relit = relight(lit.picture, own, wanted)
    before, after = (
        np.abs(shown.astype(np.float64) - target)[lit.on_skin].mean() for shown in (lit.picture, relit)
    )
    assert after < 0.11 * before


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
    lower = cv2.resize(lit.skin.lower.astype(np.uint8), (columns, rows)).astype(bool)
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


def test_under_a_grey_light_colour_nearly_goes(lit: Lit) -> None:
    grey = np.repeat(cv2.cvtColor(lit.picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    own, wanted = (estimate_light(picture, lit.normals, lit.skin) for picture in (lit.picture, grey))
    relit = relight(lit.picture, own, wanted)
    assert chroma(relit)[lit.on_skin].mean() < 0.25 * chroma(lit.picture)[lit.on_skin].mean()


def test_what_is_brighter_than_skin_does_not_blow_out(lit: Lit) -> None:
    """A highlight on a face that is lit up keeps its distance from the skin."""
    shaded = lit.under(0.45)
    x, y = lit.points[50, :2].astype(int)
    shaded[y - 3 : y + 4, x - 3 : x + 4] = 200
    own, wanted = (estimate_light(picture, lit.normals, lit.skin) for picture in (shaded, lit.picture))
    relit = relight(shaded, own, wanted)
    gain = lit.picture[lit.on_skin].mean() / shaded[lit.on_skin].mean()
    assert relit[y, x].mean() < 0.8 * gain * 200


def test_highlights_of_a_dark_face_weaken_where_it_becomes_much_lighter(lit: Lit) -> None:
    dark = lit.under(0.25)
    x, y = lit.points[50, :2].astype(int)
    shine = (slice(y - 3, y + 4), slice(x - 3, x + 4))
    shiny = dark.copy()
    shiny[shine] += 60
    own, wanted = (estimate_light(picture, lit.normals, lit.skin) for picture in (dark, lit.picture))
    relit, plain = (relight(picture, own, wanted)[shine].mean() for picture in (shiny, dark))
    assert 10 < relit - plain < 40


def test_a_white_beard_stays_white_on_skin_of_another_colour(lit: Lit) -> None:
    """Beside it the skin's colour changes all the same."""
    bearded = lit.picture.copy()
    x, y = lit.points[50, :2].astype(int)
    hair = (slice(y - 5, y + 6), slice(x - 5, x + 6))
    bearded[hair] = 210
    beard = np.zeros(bearded.shape[:2], np.float32)
    beard[y - 12 : y + 13, x - 12 : x + 13] = 1
    own = estimate_light(lit.picture, lit.normals, lit.skin)
    wanted = estimate_light(lit.under(np.array([0.95, 0.6, 0.4])), lit.normals, lit.skin)
    plain, kept = (relight(bearded, own, wanted, where) for where in (None, beard))
    assert chroma(kept)[hair].mean() < 0.4 * chroma(plain)[hair].mean()
    np.testing.assert_array_equal(kept[beard == 0], plain[beard == 0])


def test_on_an_overexposed_face_little_drawing_is_left(lit: Lit) -> None:
    """Half-shade fades, what is black stays."""
    x, y = lit.points[50, :2].astype(int)
    spotted = lit.picture.copy()
    half, black = (slice(y - 6, y), slice(x - 3, x + 3)), (slice(y, y + 6), slice(x - 3, x + 3))
    spotted[half] = spotted[half] * 0.6
    spotted[black] = spotted[black] * 0.05
    own = estimate_light(spotted, lit.normals, lit.skin)
    white = estimate_light(np.full_like(spotted, 252), lit.normals, lit.skin)
    for wanted, fades in ((own, False), (white, True)):
        relit = relight(spotted, own, wanted)
        skin = np.median(relit[lit.on_skin].mean(axis=1))
        assert (relit[half].mean() > 0.75 * skin) == fades
        assert relit[black].mean() < 0.2 * skin


def test_light_is_smooth_and_its_weights_are_shares(lit: Lit) -> None:
    light = estimate_light(lit.picture, lit.normals, lit.skin)
    assert light.weight.min() >= 0
    assert light.weight.max() <= 1
    assert not light.weight[~lit.skin.candidates].any()
    steps, picture_steps = (
        np.percentile(np.abs(np.diff(field[..., 0], axis=1))[lit.skin.face[:, 1:]], 99)
        for field in (light.low, light.lab)
    )
    assert steps < 0.5 * picture_steps


def test_a_strand_across_the_cheek_does_not_darken_the_light(lit: Lit) -> None:
    covered = lit.picture.copy()
    height = covered.shape[0]
    covered[int(0.55 * height) : int(0.62 * height)] = 20
    plain, crossed = (estimate_light(picture, lit.normals, lit.skin) for picture in (lit.picture, covered))
    away = np.abs(crossed.low - plain.low)[lit.skin.candidates]
    assert away[:, 0].mean() < 2
    assert away[:, 0].max() < 6


def test_brows_and_eyes_and_lips_are_no_skin(lit: Lit) -> None:
    cells = np.round(lit.skin.raster.points).astype(int)
    for ring in (RIGHT_EYE, LEFT_EYE, RIGHT_BROW, INNER_LIPS):
        x, y = cells[ring].mean(axis=0).astype(int)
        assert not lit.skin.candidates[y, x]
        assert lit.skin.face[y, x]
    for cheek_or_forehead in (50, 280, 151):
        x, y = cells[cheek_or_forehead]
        assert lit.skin.candidates[y, x]
    assert not (lit.skin.candidates & ~lit.skin.face).any()

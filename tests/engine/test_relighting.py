"""Light is taken off and put on."""

import cv2
import numpy as np
import pytest
from tests.engine.lit import Lit, chroma

from mien.engine.lighting import estimate_light
from mien.engine.relighting import relight


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

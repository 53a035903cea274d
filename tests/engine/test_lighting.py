"""Light is found on skin alone."""

import numpy as np
from tests.engine.lit import Lit

from mien.engine.lighting import estimate_light
from mien.engine.topology import INNER_LIPS, LEFT_EYE, RIGHT_BROW, RIGHT_EYE


def test_light_is_smooth(lit: Lit) -> None:
    light = estimate_light(lit.picture, lit.normals, lit.skin)
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

"""Glasses are whole ones, or none."""

from collections.abc import Callable

import numpy as np

from mien import Face
from mien.engine.arrays import RGB
from mien.engine.glasses import framed_by, whole_glasses
from mien.engine.landmarks import aligned_crop
from mien.engine.occlusion import CROP, EXTENT, moved
from mien.engine.topology import LEFT_BROW, LEFT_EYE, MESH_POINTS, RIGHT_BROW, RIGHT_EYE

Photo = tuple[RGB, Face]
Photos = Callable[[int, str], Photo]


def test_brows_are_hidden_altogether_by_glasses_over_most_of_them_and_show_above_lower_ones(
    photo: Photos,
) -> None:
    _, face = photo(3, "studio_portrait")
    points = moved(face.landmarks[:MESH_POINTS], aligned_crop(face.landmarks, CROP, EXTENT))
    brows = points[[*RIGHT_BROW, *LEFT_BROW]]
    x, y = brows.round().astype(int).T
    rows = np.broadcast_to(np.arange(CROP)[:, None], (CROP, CROP))
    eyes = points[[*RIGHT_EYE, *LEFT_EYE], 1].max()
    over, below = (
        framed_by((rows > top) & (rows < eyes + 10), points)[y, x]
        for top in (np.median(brows[:, 1]) - 3, brows[:, 1].max())
    )
    assert over.min() > 0.9
    assert below[y == y.min()].max() < 0.1


def test_dark_lenses_are_one_piece_and_clear_ones_let_the_eyes_through() -> None:
    glasses = np.zeros((CROP, CROP), np.float32)
    glasses[50:80, 20:140] = 1
    frame = glasses - np.pad(glasses[53:77, 23:137], ((53, 83), (23, 23)))
    np.testing.assert_array_equal(whole_glasses(np.maximum(frame, 0.7 * glasses), glasses), glasses)
    clear = whole_glasses(0.6 * frame, glasses)
    assert clear[65, 80] == 0
    assert clear[51, 80] == 1


def test_without_glasses_nothing_is_changed() -> None:
    covers = np.random.default_rng(0).random((CROP, CROP), np.float32)
    np.testing.assert_array_equal(whole_glasses(covers, np.zeros_like(covers)), covers)

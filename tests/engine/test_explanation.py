"""The contact sheet of a swap's intermediate pictures."""

import numpy as np
import pytest

from mien.engine.explanation import CAPTION, PAPER, TILE, contact_sheet


def test_every_picture_has_its_place_and_caption() -> None:
    pictures = [
        ("tall", np.full((400, 100, 3), (200, 30, 30), np.uint8)),
        ("wide", np.full((50, 500, 3), (30, 200, 30), np.uint8)),
        ("small", np.full((4, 4, 3), (30, 30, 200), np.uint8)),
    ]
    sheet = contact_sheet(pictures, columns=2)
    assert sheet.shape == (2 * (TILE + CAPTION), 2 * TILE, 3)
    for number, (_, picture) in enumerate(pictures):
        row, column = divmod(number, 2)
        tile = sheet[row * (TILE + CAPTION) :, column * TILE :][: TILE + CAPTION, :TILE]
        assert (tile[TILE // 2, TILE // 2] == picture[0, 0]).all()
        assert (tile[0, 0] == PAPER).all()
        assert (tile[TILE:] < 128).any()
    assert (sheet[TILE + CAPTION :, TILE:] == PAPER).all()


@pytest.mark.parametrize("count", [0, 1, 5, 6])
def test_rows_are_filled_up(count: int) -> None:
    sheet = contact_sheet([("one", np.zeros((10, 10, 3), np.uint8))] * count, columns=5)
    rows = max(1, -(-count // 5))
    assert sheet.shape == (rows * (TILE + CAPTION), 5 * TILE if count else TILE, 3)

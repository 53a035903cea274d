"""The visible label."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mien.marks.label import Box, draw_label

Pixels = NDArray[np.uint8]


def where_changed(before: Pixels, after: Pixels) -> tuple[float, float]:
    """The middle of what changed, (x, y) in parts of the picture."""
    rows, columns = np.nonzero((before != after).any(axis=-1))
    return float(columns.mean() / before.shape[1]), float(rows.mean() / before.shape[0])


@pytest.mark.parametrize(
    ("faces", "right", "low"),
    [
        ([], True, True),
        ([(0, 0, 300, 300)], True, True),
        ([(700, 500, 1000, 800)], False, False),
        ([(700, 0, 1000, 800)], False, True),
        ([(0, 500, 1000, 800)], True, False),
    ],
)
def test_it_keeps_away_from_faces(faces: list[Box], right: bool, low: bool, photo: Pixels) -> None:
    marked, _ = draw_label(photo, None, "AI-generated", faces)
    x, y = where_changed(photo, marked)
    assert (x > 0.5, y > 0.5) == (right, low)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_it_can_be_read_on_any_ground(level: int) -> None:
    marked, _ = draw_label(np.full((600, 800, 3), level, np.uint8), None, "Créé par IA")
    label = (
        marked[(marked != level).any(axis=-1)] if level != 255 else marked[540:590, 690:790].reshape(-1, 3)
    )
    light, dark = (np.percentile(label, share) / 255 for share in (99.5, 30))
    contrast = (light**2.2 + 0.05) / (dark**2.2 + 0.05)
    assert contrast > 4.5


@pytest.mark.parametrize("text", ["KI-generiert", "Wygenerowane przez SI", "Создано ИИ", "AI 生成"])
def test_it_has_letters_for_many_languages(text: str) -> None:
    """No letter comes out as the box that stands for a missing one."""
    font = cv2.FontFace("sans")

    def drawn(letter: str) -> bytes:
        canvas = np.zeros((60, 60), np.uint8)
        cv2.putText(canvas, letter, (5, 45), (255,), font, 40)
        return canvas.tobytes()

    missing = drawn("\U0010fff0")
    assert all(drawn(letter) != missing for letter in text if letter != " ")


def test_it_shows_where_the_picture_is_transparent_and_nothing_else_does(photo: Pixels) -> None:
    marked, alpha = draw_label(photo, np.zeros(photo.shape[:2], np.uint8), "AI")
    assert alpha is not None
    assert alpha.max() == 255
    changed = (marked != photo).any(axis=-1)
    assert alpha[changed].min() > 0
    assert not alpha[:400].any()


def test_what_is_too_long_is_set_smaller(photo: Pixels) -> None:
    marked, _ = draw_label(photo, None, "A label that says far more than anybody wants to read " * 2)
    assert where_changed(photo, marked)[1] > 0.9
    assert np.array_equal(marked[:, 0], photo[:, 0])


@pytest.mark.parametrize("shape", [(1, 1), (32, 32), (20, 400)])
def test_tiny_pictures_get_what_there_is_room_for(shape: tuple[int, int]) -> None:
    tiny = np.full((*shape, 3), 255, np.uint8)
    marked, _ = draw_label(tiny, None, "AI")
    assert marked.shape == tiny.shape
    assert (marked != tiny).any()


def test_an_empty_label_is_refused(photo: Pixels) -> None:
    with pytest.raises(ValueError, match="text"):
        draw_label(photo, None, "  ")

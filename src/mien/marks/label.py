"""A small visible label that says in words what the other marks say to machines."""

from collections.abc import Mapping, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.marks.choices import Language

Box = tuple[float, float, float, float]

TEXTS: Final[Mapping[Language, str]] = {
    "bg": "Редактирано с ИИ",
    "cs": "Upraveno pomocí AI",
    "da": "Redigeret med AI",
    "de": "Mit KI bearbeitet",
    "el": "Επεξεργασία με ΤΝ",
    "en": "Edited with AI",
    "es": "Editado con IA",
    "et": "Muudetud tehisaruga",
    "fi": "Muokattu tekoälyllä",
    "fr": "Modifié par IA",
    "hr": "Uređeno uz pomoć UI-ja",
    "hu": "MI-vel szerkesztve",
    "it": "Modificato con IA",
    "ja": "AIで編集",
    "lt": "Redaguota naudojant DI",
    "lv": "Rediģēts ar MI",
    "nl": "Bewerkt met AI",
    "pl": "Edytowane przez AI",
    "pt": "Editado com IA",
    "ro": "Editat cu IA",
    "sk": "Upravené pomocou AI",
    "sl": "Urejeno z UI",
    "sv": "Redigerad med AI",
    "uk": "Відредаговано за допомогою ШІ",
    "zh": "由AI编辑",
}
"""What the label says, by language."""

_HEIGHT: Final = 1 / 45
"""Height of the letters in short sides of the picture: small, but legible when it's shown on a phone."""

_MIN_HEIGHT: Final = 10  # pixels
_WIDEST: Final = 0.9
"""Of the picture's width. What doesn't fit is set smaller."""

_WEIGHT: Final = 500
_INK: Final = 255
_GROUND: Final = 20
_OPACITY: Final = 0.62
"""Of the ground: white letters on it have a contrast of at least 4.5 : 1 even where the picture is white."""


def draw_label(
    rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None, text: str, faces: Sequence[Box] = ()
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Return copies of uint8[H, W, 3] RGB and uint8[H, W] alpha with `text` in a corner away from faces.

    `faces` are boxes (x0, y0, x1, y1) in pixels. Without any it's the lower right corner. The letters are
    OpenCV's own: Latin, Greek, Cyrillic, Chinese and Japanese; scripts that join their letters, such as
    Arabic, come out wrong. Where the picture is transparent the label is not.
    """
    if not text.strip():
        raise ValueError("a label needs a text")
    height, width = rgb.shape[:2]
    letters = _letters(text, width, max(_MIN_HEIGHT, round(min(height, width) * _HEIGHT)))
    plate = _plate(*letters.shape)
    left, top = _place(letters.shape[1], letters.shape[0], width, height, faces)

    # Parts of the label that a tiny picture has no room for are cut off.
    region = (slice(top, top + letters.shape[0]), slice(left, left + letters.shape[1]))
    visible = (slice(0, height - top), slice(0, width - left))
    letters, plate = letters[visible][..., None], plate[visible][..., None]

    marked = rgb.copy()
    before = marked[region].astype(np.float32)
    shaded = before + (_GROUND - before) * (_OPACITY * plate)
    marked[region] = np.rint(shaded + (_INK - shaded) * letters).astype(np.uint8)
    if alpha is not None:
        alpha = alpha.copy()
        cover = np.maximum(_OPACITY * plate, letters)[..., 0] * 255
        alpha[region] = np.maximum(alpha[region], np.rint(cover).astype(np.uint8))
    return marked, alpha


def _letters(text: str, width: int, height: int) -> NDArray[np.float32]:
    """Return the letters' coverage with room around them, float32[h, w] in [0, 1], no wider than fits."""
    font = cv2.FontFace("sans")
    for _ in range(2):
        _, _, extent, _ = cv2.getTextSize((0, 0), text, (0, 0), font, height, _WEIGHT)
        room = 2 * round(height * 0.6)
        if extent + room <= _WIDEST * width:
            break
        height = max(4, int(height * (_WIDEST * width - room) / extent))
    canvas = np.zeros((round(height * 1.9), extent + 2 * round(height * 0.6)), np.uint8)
    baseline = round(height * 1.3)
    cv2.putText(canvas, text, (round(height * 0.6), baseline), (255,), font, height, _WEIGHT)
    return _coverage(canvas)


def _plate(height: int, width: int) -> NDArray[np.float32]:
    """Return the ground's coverage, float32[height, width] in [0, 1]: a box with round corners."""
    scale = 4  # drawn larger, so that its edge is smooth
    big = np.zeros((height * scale, width * scale), np.uint8)
    radius = height * scale // 4
    inner = (big.shape[1] - 1 - radius, big.shape[0] - 1 - radius)
    cv2.rectangle(big, (radius, 0), (inner[0], big.shape[0]), (255,), cv2.FILLED)
    cv2.rectangle(big, (0, radius), (big.shape[1], inner[1]), (255,), cv2.FILLED)
    for x in (radius, inner[0]):
        for y in (radius, inner[1]):
            cv2.circle(big, (x, y), radius, (255,), cv2.FILLED)
    return _coverage(cv2.resize(big, (width, height), interpolation=cv2.INTER_AREA))


def _coverage(grey: cv2.typing.MatLike) -> NDArray[np.float32]:
    coverage: NDArray[np.float32] = grey.astype(np.float32)
    coverage /= 255
    return coverage


def _place(
    label_width: int, label_height: int, width: int, height: int, faces: Sequence[Box]
) -> tuple[int, int]:
    """Return the label's left and top in the best corner; the lower right one wins ties."""
    margin = round(min(width, height) / 60)
    right, low = max(0, width - label_width - margin), max(0, height - label_height - margin)
    near_left, near_top = min(margin, right), min(margin, low)
    corners = [(right, low), (near_left, low), (right, near_top), (near_left, near_top)]

    def clearance(corner: tuple[int, int]) -> float:
        left, top = corner
        return min(
            (_gap((left, top, left + label_width, top + label_height), face) for face in faces), default=0.0
        )

    return max(corners, key=clearance)


def _gap(one: Box, other: Box) -> float:
    """Return the distance between two boxes in pixels; below 0 where they overlap."""
    across = max(one[0] - other[2], other[0] - one[2])
    down = max(one[1] - other[3], other[1] - one[3])
    if across < 0 and down < 0:
        return max(across, down)
    return float(np.hypot(max(across, 0), max(down, 0)))

"""An invisible mark in the pixels, which leads to the task that made a picture.

It carries a tag of 48 bits. How it's made is told in `pattern`, how it's found again in `synchronisation`,
and why it isn't found where it isn't in `codeword`. `docs/marks.md` has what it survives, measured.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.marks import codeword
from mien.marks.pattern import TILE, at, moved, tile, waves
from mien.marks.synchronisation import SIDE, Placement, Pose, placements, poses, residual

MAX_CHANCE: Final = 1e-7
"""Of ten million unmarked pictures fewer than one looks as if it were marked, whatever they show."""

_FAINTEST: Final = 0.5
_STRONGEST: Final = 1.8
_TEXTURE: Final = 0.1
"""The mark's standard deviation in levels of 255: `_FAINTEST` where the picture is flat, `_TEXTURE` more for
each level of the picture's own texture, `_STRONGEST` at most, which keeps the PSNR above 42.5 dB."""

_SMALL_BOOST: Final = 1.6
"""Pictures with fewer pixels than the pattern has cells have less room for it, so it's up to this much
stronger there."""

_MAX_TURN: Final = 4.0  # degrees
_DECODED_PER_ROUND: Final = 8
_TRIES: Final = 3 * _DECODED_PER_ROUND  # with each key


@dataclass(frozen=True)
class Watermark:
    """A tag that was found. `chance` bounds the probability that an unmarked picture shows any tag as clearly
    as this one is shown; it's at most `MAX_CHANCE`. `key` is the number of the key that it was found with."""

    tag: int
    chance: float
    key: int = 0


def embed(rgb: NDArray[np.uint8], tag: int, key: bytes = b"") -> NDArray[np.uint8]:
    """Return a copy of uint8[H, W, 3] RGB that carries `tag` (0 … 2^48 − 1).

    Only those with the same `key` find it; with another key they find nothing. The same picture, tag and key
    give the same result. Flat black and white keep half of the mark's energy, since there is nothing beyond
    them.
    """
    height, width = rgb.shape[:2]
    pixels = _tile_pixels(height, width)
    strength = _strength(rgb, pixels)
    row = np.tile(tile(tag, key, pixels), -(-width // pixels))[:, :width]
    negative = -row
    marked = np.empty_like(rgb)
    for top in range(0, height, pixels):
        band = slice(top, min(top + pixels, height))
        lines = strength[band]
        # A product below zero is stored as 0 in the one, above zero in the other.
        lighter = cv2.multiply(lines, row[: len(lines)], dtype=cv2.CV_8U)
        darker = cv2.multiply(lines, negative[: len(lines)], dtype=cv2.CV_8U)
        lit = cv2.add(rgb[band], cv2.cvtColor(lighter, cv2.COLOR_GRAY2RGB))
        cv2.subtract(lit, cv2.cvtColor(darker, cv2.COLOR_GRAY2RGB), dst=marked[band])
    return marked


def find(rgb: NDArray[np.uint8], keys: Sequence[bytes] = (b"",)) -> tuple[Watermark, ...]:
    """Return the watermarks of uint8[H, W, 3] RGB that one of `keys` reads, the clearest first; mostly none
    or one.

    A picture of which every swap was marked shows several. It may have been cropped, framed, resized,
    mirrored, turned by quarters and by up to 4° more. What is likely is tried first: an untouched picture
    takes a tenth of the time of one that has no mark.
    """
    tries = _TRIES * len(keys)
    min_match = codeword.match_for(MAX_CHANCE, tries)
    detail = residual(rgb)
    for candidates in _rounds(rgb, detail):
        found = sorted(
            (placement for pose in candidates for placement in placements(detail, pose)),
            key=lambda placement: placement.strength,
            reverse=True,
        )
        matches: dict[tuple[int, int], float] = {}
        for placement in found[:_DECODED_PER_ROUND]:
            soft = _soft_signs(placement)
            for number, key in enumerate(keys):
                decoded = codeword.decode(soft, key)
                if decoded.match >= min_match:
                    mark = (decoded.tag, number)
                    matches[mark] = max(decoded.match, matches.get(mark, 0.0))
        if matches:
            best_first = sorted(matches.items(), key=lambda item: item[1], reverse=True)
            return tuple(
                Watermark(tag, codeword.chance(match, tries), number) for (tag, number), match in best_first
            )
    return ()


def _tile_pixels(height: int, width: int) -> int:
    return max(TILE, round(TILE * math.sqrt(height * width) / SIDE))


def _strength(rgb: NDArray[np.uint8], pixels: int) -> NDArray[np.float32]:
    """Return the standard deviation that the mark shall have, float32[H, W], for tiles of `pixels`."""
    luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    height, width = luma.shape
    cell = max(1, min(round(pixels / TILE), height, width))  # whole pixels, which is much faster
    size = (width // cell, height // cell)
    whole_cells = luma[: size[1] * cell, : size[0] * cell]
    detail = cv2.resize(whole_cells, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    detail -= cv2.blur(detail, (7, 7))
    texture = np.sqrt(cv2.blur(detail * detail, (9, 9)))
    boost = min(max(math.sqrt(SIDE / math.sqrt(height * width)), 1.0), _SMALL_BOOST)
    strength = np.minimum(boost * (_FAINTEST + _TEXTURE * texture), _STRONGEST)
    return cv2.resize(strength, (width, height), interpolation=cv2.INTER_LINEAR).astype(
        np.float32, copy=False
    )


def _rounds(rgb: NDArray[np.uint8], detail: NDArray[np.float32]) -> Iterator[list[Pose]]:
    """Yield the poses to look at, in the order of their likelihood and cost."""
    height, width = rgb.shape[:2]
    shrunk = math.sqrt(detail.size / (height * width))
    untouched = Pose(_tile_pixels(height, width) / TILE * shrunk)
    resized = Pose(math.sqrt(detail.size) / SIDE)
    yield [untouched, resized]
    yield poses(detail, 0.2, 4)
    yield poses(detail, _MAX_TURN, 6)


def _soft_signs(placement: Placement) -> NDArray[np.float32]:
    """Return what the tile says of each sign of the word."""
    signs = waves().signs
    values = placement.spectrum[at(signs)] * moved(signs, -placement.down, -placement.across)
    return np.stack((values.real, values.imag), axis=-1).reshape(-1)

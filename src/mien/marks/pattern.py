"""The watermark's pattern: one square tile, made of waves, repeated over the whole picture.

*Convention.* A tile has 128 × 128 cells; its waves are the points (k, l) of its discrete Fourier transform,
k periods down and l across. Waves between `_SLOWEST` and `_FASTEST` periods are used: slower ones drown in
the picture's own content, faster ones are lost to resizing and JPEG. Each carries one of two things:

- *pilots*, known to everybody, 32 strong waves by which scale, turn and place of the tiles are found again.
  Their places are symmetric under mirroring and quarter turns, so that one search finds all eight;
  their phases are not, and tell which of the eight it is;
- *signs* of the codeword that is hidden, two a wave: of its cosine and of its sine.

The plan follows Pereira & Pun, "Robust template matching for affine resistant image watermarks" (IEEE
Transactions on Image Processing 9, 2000), with the template inside the repeated tile of Kutter, "Watermarking
resisting to translation, rotation and scaling" (SPIE 3528, 1998), and a spread-spectrum message after Cox,
Kilian, Leighton & Shamoon, "Secure spread spectrum watermarking for multimedia" (IEEE Transactions on Image
Processing 6, 1997).
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mien.marks import codeword

TILE: Final = 128
"""Cells along a side of the tile."""

_SLOWEST: Final = 9
_FASTEST: Final = 45
_PILOT_SEEDS: Final = ((11, 6), (17, 4), (14, 12), (21, 9), (25, 3), (19, 18), (28, 12), (31, 5))
_PILOT_GAIN: Final = 6.0
"""Amplitude of a pilot in those of a sign-carrying wave: a third of the energy is theirs."""


@dataclass(frozen=True)
class Waves:
    """int64[N, 2] of (k, l), half of the plane (the other half is the conjugate)."""

    pilots: NDArray[np.int64]
    pilot_phases: NDArray[np.complex64]
    signs: NDArray[np.int64]

    @property
    def word_length(self) -> int:
        return 2 * len(self.signs)


@lru_cache(maxsize=1)
def waves() -> Waves:
    across = np.arange(TILE // 2)
    down = np.arange(-TILE // 2, TILE // 2)
    points = np.stack(np.meshgrid(down, across, indexing="ij"), axis=-1).reshape(-1, 2)
    radius = np.hypot(points[:, 0], points[:, 1])
    upper_half = (points[:, 1] > 0) | (points[:, 0] > 0)
    points = points[(radius >= _SLOWEST) & (radius <= _FASTEST) & upper_half]
    pilots = {
        (sign * down, across)
        for seed in _PILOT_SEEDS
        for down, across in (seed, seed[::-1])
        for sign in (1, -1)
    }
    is_pilot = np.array([(down, across) in pilots for down, across in points.tolist()])
    turns = np.frombuffer(hashlib.shake_256(b"mien watermark pilots 1").digest(len(pilots)), np.uint8) / 256
    return Waves(points[is_pilot], np.exp(2j * np.pi * turns).astype(np.complex64), points[~is_pilot])


def at(points: NDArray[np.int64], size: int = TILE) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the index of the waves `points` in a transform of `size` × `size`."""
    return points[:, 0] % size, points[:, 1] % size


def moved(points: NDArray[np.int64], down: float, across: float) -> NDArray[np.complex64]:
    """Return the factors that the waves `points` get when the tile is moved by so many cells."""
    shift = points[:, 0] * down + points[:, 1] * across
    return np.exp(-2j * np.pi / TILE * shift).astype(np.complex64)


@lru_cache(maxsize=4)
def tile(tag: int, key: bytes, pixels: int) -> NDArray[np.float32]:
    """Return the tile that carries `tag`, float32[pixels, pixels] (at least 128), with a variance of 1.

    It's moved by a place of its own for each tag, so that a picture that is marked twice, as after two swaps
    in a row, shows both: the tiles don't lie on each other, and each is the other's noise.
    """
    plan = waves()
    word = codeword.encode(tag, plan.word_length, key).reshape(-1, 2)
    place = np.frombuffer(hashlib.shake_256(tag.to_bytes(6)).digest(2), np.uint8) % TILE
    spectrum = np.zeros((pixels, pixels // 2 + 1), np.complex64)
    for points, values in (
        (plan.pilots, _PILOT_GAIN * plan.pilot_phases),
        (plan.signs, (word[:, 0] + 1j * word[:, 1]) / np.sqrt(2)),
    ):
        values = values * moved(points, float(place[0]), float(place[1]))
        spectrum[at(points, pixels)] = values
        on_axis = points[:, 1] == 0  # the only waves whose conjugates lie in the same half
        spectrum[-points[on_axis, 0] % pixels, 0] = values[on_axis].conj()
    waveform: NDArray[np.float32] = np.fft.irfft2(spectrum, (pixels, pixels)).astype(np.float32)
    waveform /= waveform.std()
    waveform.flags.writeable = False
    return waveform

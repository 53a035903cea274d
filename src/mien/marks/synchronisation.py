"""Finding the watermark's tiles in a picture that was resized, cropped, turned, mirrored or framed.

Scale and turn are read off the picture's power spectrum, where the pilots stand out as points: every
candidate is the mean of 32 look-ups. Then the picture is resampled to cells, all tiles are folded onto one,
and the pilots' phases say where the tile begins, and which way round it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.marks.pattern import TILE, at, moved, waves

SIDE: Final = 1024
"""Cells along a side of a square picture; of another, the square root of its area in cells."""

_SCALES: Final = (0.35, 4.0)
_SCALE_STEP: Final = 0.0015
_TURN_STEP: Final = 0.1
"""Steps of the search for a picture with `SIDE` pixels along a side, relative and in degrees. Smaller ones
have coarser spectra, and take steps up to `_COARSEST` times as long."""

_COARSEST: Final = 8.0

_STRONGEST: Final = 4.0
"""Amplitudes in the spectrum above this many times their surroundings count no more: no single edge or
grid in the picture shall outweigh the other pilots."""


@dataclass(frozen=True)
class Pose:
    """How the tiles lie: `scale` in pixels a cell, `turn` in radians."""

    scale: float
    turn: float = 0.0


@dataclass(frozen=True)
class Placement:
    """A tile as it was found: complex64[TILE, TILE], the transform of the folded picture, upright and with
    its origin moved to the tile's. `strength` is the match of the pilots' phases; chance gives about 4."""

    strength: float
    spectrum: NDArray[np.complex64]
    down: float
    across: float


def residual(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what of the picture can hold a watermark: its luma without large forms, its texture evened out.

    float32[h, w], at most `SIDE`² pixels, in local standard deviations.
    """
    luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    height, width = luma.shape
    factor = min(1.0, SIDE / np.sqrt(height * width))
    if factor < 1:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        luma = cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
    detail: NDArray[np.float32] = luma.astype(np.float32)
    detail -= cv2.GaussianBlur(detail, (0, 0), 4)
    variance = cv2.blur(detail * detail, (9, 9))
    detail /= np.sqrt(np.maximum(variance, 0)) + 1
    return np.clip(detail, -2.5, 2.5, out=detail)


def poses(detail: NDArray[np.float32], max_turn: float, count: int) -> list[Pose]:
    """Return the `count` most likely poses turned by up to `max_turn` degrees, the best first."""
    amplitudes = _amplitudes(detail)
    coarseness = min(max(1.0, SIDE / max(detail.shape)), _COARSEST)
    scale_step, turn_step = coarseness * _SCALE_STEP, coarseness * _TURN_STEP
    scales = np.exp(np.arange(np.log(_SCALES[0]), np.log(_SCALES[1]), scale_step))
    turns = np.radians(np.arange(-(max_turn // turn_step), max_turn // turn_step + 1) * turn_step)
    scores = np.stack([_pilot_score(amplitudes, scales, turn) for turn in turns])
    found = []
    for _ in range(count):
        row, column = np.unravel_index(scores.argmax(), scores.shape)
        near = Pose(float(scales[column]), float(turns[row]))
        found.append(_refined(amplitudes, near, scale_step, float(np.radians(turn_step))))
        scores[max(0, row - 4) : row + 5, max(0, column - 5) : column + 6] = -np.inf
    return found


def placements(detail: NDArray[np.float32], pose: Pose) -> Iterator[Placement]:
    """Yield the most likely places of a tile in `pose`: two for each of the eight ways round."""
    spectrum = _whitened(np.fft.fft2(_fold(detail, pose)).astype(np.complex64))
    # Mirroring a tile mirrors its spectrum; where the tile begins is not known yet anyway.
    for way in (spectrum, spectrum.T):
        for flipped in (way, way[_MIRRORED]):
            for upright in (flipped, flipped[:, _MIRRORED]):
                yield from _offsets(upright, 2)


# Scale and turn -------------------------------------------------------------------------------------------


def _amplitudes(detail: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the amplitude spectrum, float32[m, n // 2 + 1], twice as fine as the picture, in units of its
    surroundings."""
    height, width = detail.shape
    rows, columns = cv2.getOptimalDFTSize(2 * height), cv2.getOptimalDFTSize(2 * width) // 2 * 2
    window = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[None, 1:-1]
    spectrum = np.fft.rfft2(detail * np.sqrt(window).astype(np.float32), (rows, columns))
    amplitudes: NDArray[np.float32] = np.abs(spectrum).astype(np.float32)
    amplitudes /= cv2.blur(amplitudes, (31, 31)) + 1e-6
    np.minimum(amplitudes, _STRONGEST, out=amplitudes)
    return amplitudes


def _pilot_score(
    amplitudes: NDArray[np.float32], scales: NDArray[np.float64], turn: float
) -> NDArray[np.float32]:
    """Return the mean amplitude at the pilots for each of `scales`, float32[len(scales)]."""
    rows, columns = len(amplitudes), 2 * (amplitudes.shape[1] - 1)
    frequencies = waves().pilots / TILE @ _rotation(turn)
    scales = scales[:, None]
    down = np.rint(frequencies[:, 0] * (rows / scales)).astype(np.intp)
    across = np.rint(frequencies[:, 1] * (columns / scales)).astype(np.intp)
    down = np.where(across < 0, -down, down)  # the conjugate lies in the half that we have
    across = np.abs(across)
    inside = (np.abs(down) < rows // 2) & (across < amplitudes.shape[1])
    found = amplitudes[np.where(inside, down, 0), np.where(inside, across, 0)]
    scores: NDArray[np.float32] = np.where(inside, found, 1.0).mean(axis=1, dtype=np.float32)
    return scores


def _rotation(turn: float) -> NDArray[np.float64]:
    """Return the matrix R with (down, across) of the picture = (k, l) of the tile @ R."""
    return np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])


def _refined(amplitudes: NDArray[np.float32], near: Pose, scale_step: float, turn_step: float) -> Pose:
    """Look around between the steps of the search, ever closer."""
    scale, turn = near.scale, near.turn
    smooth = cv2.GaussianBlur(amplitudes, (0, 0), 1.0).astype(np.float32, copy=False)
    for reach in (1.0, 0.4):
        turns = turn + np.linspace(-1, 1, 7) * reach * turn_step
        scales = scale * (1 + np.linspace(-1, 1, 11) * reach * 2 * scale_step)
        scores = np.stack([_interpolated_score(smooth, scales, each) for each in turns])
        row, column = np.unravel_index(scores.argmax(), scores.shape)
        scale, turn = float(scales[column]), float(turns[row])
    return Pose(scale, turn)


def _interpolated_score(
    amplitudes: NDArray[np.float32], scales: NDArray[np.float64], turn: float
) -> NDArray[np.float32]:
    rows, columns = len(amplitudes), 2 * (amplitudes.shape[1] - 1)
    frequencies = waves().pilots / TILE @ _rotation(turn)
    down = frequencies[:, 0] * (rows / scales[:, None])
    across = frequencies[:, 1] * (columns / scales[:, None])
    down = np.where(across < 0, -down, down) % rows
    found = cv2.remap(
        amplitudes,
        np.abs(across).astype(np.float32),
        down.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=1.0,
    )
    scores: NDArray[np.float32] = found.mean(axis=1).astype(np.float32, copy=False)
    return scores


# Place ----------------------------------------------------------------------------------------------------


def _fold(detail: NDArray[np.float32], pose: Pose) -> NDArray[np.float32]:
    """Resample to cells, upright, and add all tiles up: float32[TILE, TILE]."""
    height, width = detail.shape
    cosine, sine = np.cos(pose.turn), np.sin(pose.turn)
    across = TILE * int(np.ceil((width * cosine + height * abs(sine)) / pose.scale / TILE))
    down = TILE * int(np.ceil((height * cosine + width * abs(sine)) / pose.scale / TILE))
    pixel_from_cell = pose.scale * np.array([[cosine, sine], [-sine, cosine]])
    middle = np.array([width - 1, height - 1]) / 2
    start = middle - pixel_from_cell @ (np.array([across - 1, down - 1]) / 2)
    cells = cv2.warpAffine(
        detail,
        np.column_stack((pixel_from_cell, start)),
        (across, down),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
    )
    folded: NDArray[np.float32] = cells.reshape(down // TILE, TILE, across // TILE, TILE).sum(axis=(0, 2))
    return folded


_MIRRORED: Final = -np.arange(TILE) % TILE


def _rings() -> NDArray[np.intp]:
    """Return of each wave in which ring of equal pace it lies, intp[TILE, TILE]."""
    pace = np.fft.fftfreq(TILE, 1 / TILE)
    rings: NDArray[np.intp] = (np.hypot(pace[:, None], pace) / 3).astype(np.intp)
    return rings


_RING: Final = _rings()
_RING_SIZES: Final = np.bincount(_RING.ravel())


def _whitened(spectrum: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return the spectrum with the same power in every ring, so that no wave is louder by its pace alone.

    Rings that resizing has emptied stay quiet.
    """
    power = np.bincount(_RING.ravel(), weights=(np.abs(spectrum) ** 2).ravel()) / _RING_SIZES
    loudness = np.sqrt(power)
    loudness = np.maximum(loudness, 0.3 * np.median(loudness[3:16]))
    whitened: NDArray[np.complex64] = (spectrum / (loudness[_RING] + 1e-9)).astype(np.complex64)
    return whitened


def _offsets(spectrum: NDArray[np.complex64], count: int) -> Iterator[Placement]:
    plan = waves()
    pilots = spectrum[at(plan.pilots)] * plan.pilot_phases.conj()
    loudness = np.abs(pilots)
    pilots = pilots * np.minimum(1, 2.5 * np.median(loudness) / (loudness + 1e-9))
    norm = np.sqrt(np.sum(np.abs(pilots) ** 2) / 2) + 1e-9
    grid = np.zeros((TILE, TILE), np.complex64)
    grid[at(plan.pilots)] = pilots
    surface = np.fft.ifft2(grid).real
    for _ in range(count):
        row, column = np.unravel_index(surface.argmax(), surface.shape)
        near = np.arange(-3, 4)
        surface[np.ix_((row + near) % TILE, (column + near) % TILE)] = -np.inf
        down, across, strength = _between_cells(pilots, float(row), float(column))
        yield Placement(strength / norm, spectrum, down, across)


_BETWEEN: Final = np.arange(-3, 4) / 4


def _between_cells(pilots: NDArray[np.complex64], down: float, across: float) -> tuple[float, float, float]:
    """Return the offset near (`down`, `across`) where the pilots agree best, and their sum there."""
    here = pilots * moved(waves().pilots, -down, -across)
    sums = (_nearby() @ here).real
    best = int(sums.argmax())
    y, x = divmod(best, len(_BETWEEN))
    return down + float(_BETWEEN[y]), across + float(_BETWEEN[x]), float(sums[best])


@lru_cache(maxsize=1)
def _nearby() -> NDArray[np.complex64]:
    """Return the factors of the pilots for all places between two cells, complex64[places, pilots]."""
    points = waves().pilots
    return np.stack([moved(points, -float(y), -float(x)) for y in _BETWEEN for x in _BETWEEN])

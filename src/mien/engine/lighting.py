"""Step 7: the light on a face.

It is estimated on skin alone, at a fraction of the resolution, in Lab: spherical harmonics on the mesh's
normals (Ramamoorthi & Hanrahan 2001: nine terms carry nearly all diffuse light), fitted by reweighted least
squares (Tukey's biweight) so that hair, shadows' edges, highlights and make-up fall out, plus the smooth rest
that they leave, of colour on all bare skin.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from mien.engine.arrays import RGB, Float, Mask
from mien.engine.drawing import above_nose_base, area, disc
from mien.engine.raster import Raster
from mien.engine.topology import (
    LEFT_BROW,
    LEFT_EYE,
    LOWER_FACE,
    OUTER_LIPS,
    RIGHT_BROW,
    RIGHT_EYE,
    STRIPS,
)

GRID = 72
"""Cells across the face: light is smooth."""

SMOOTH, SMOOTH_COLOUR = 0.16, 0.08
"""Sigma of the smooth rest of lightness and of colour, in face widths. Faces differ in lightness more than in
colour, which light and shadows change from place to place."""

RELIEF = 0.06
"""Sigma, in face widths, that evens the mesh's normals: lids and lips cast shadows that harmonics can't
tell."""

DARK_OUTLIER, BEARD_OUTLIER, BRIGHT_OUTLIER = 55.0, 22.0, 24.0
"""Lightness (of 100) below or above the fit at which a cell is no lit skin: a cast shadow may be deep,
stubble is not, and a highlight is brighter."""

HIDDEN = 0.2
"""What covers more of a cell than this spoils its colour."""

MIN_SAMPLES = 9
FIT_SAMPLES = 1500


@dataclass(frozen=True)
class Skin:
    """Where skin is expected, on the light's grid.

    face: bool[h, w], within the face's outline. candidates: bool[h, w], skin there unless something covers
    it. upper: bool[h, w], above the nose's base. dark_limit: float32[h, w], how much darker than the fit skin
    may be: less where a beard would grow.
    """

    raster: Raster
    face: Mask
    candidates: Mask
    upper: Mask
    dark_limit: Float


@dataclass(frozen=True)
class Light:
    """Light on a face, on the light's grid.

    low: float32[h, w, 3] Lab, what the skin would look like without detail. lab: float32[h, w, 3], the
    picture. patches: float32[h, w, 3], what is added to `low` from place to place.
    """

    low: Float
    lab: Float
    patches: Float


def skin_of(raster: Raster, face_width: float) -> Skin:
    """Skin of a face drawn in `raster`, whose width is given in pixels."""
    every = max(1, round(face_width / raster.cell / GRID))
    coarse = raster.coarser(every)
    width = face_width / coarse.cell
    face = cv2.erode(area(coarse, *STRIPS), disc(width * 0.03)).astype(bool)
    features = area(coarse, RIGHT_EYE, LEFT_EYE, OUTER_LIPS, RIGHT_BROW, LEFT_BROW, hull=True)
    lower = area(coarse, LOWER_FACE).astype(bool)
    return Skin(
        raster=coarse,
        face=face,
        candidates=face & ~cv2.dilate(features, disc(width * 0.02)).astype(bool),
        upper=face & above_nose_base(coarse.points, coarse.ids.shape),
        dark_limit=np.where(lower, np.float32(BEARD_OUTLIER), np.float32(DARK_OUTLIER)),
    )


def bare_skin(skin: Skin, hidden: Float) -> Skin:
    """Without what something stands in front of: float32[rows, columns] in [0, 1] on the cells of the raster
    that `skin` was made of."""
    rows, columns = skin.candidates.shape
    coarse = cv2.resize(hidden, (columns, rows), interpolation=cv2.INTER_AREA)
    return replace(skin, candidates=skin.candidates & (coarse < HIDDEN))


def estimate_light(image: RGB, normals: Float, skin: Skin) -> Light:
    """Light of a face in `image`, uint8[H, W, 3] RGB, drawn where `skin` says."""
    rows, columns = skin.raster.ids.shape
    small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    direction = skin.raster.interpolate(normals) * skin.raster.covered[..., None]
    direction = cv2.GaussianBlur(direction, (0, 0), RELIEF * GRID)
    direction = direction / (np.linalg.norm(direction, axis=2, keepdims=True) + 1e-6)
    fit, weight = _fit_harmonics(lab, direction, skin)
    rest = lab - fit
    lightness = evened(rest[..., :1], weight, SMOOTH * GRID)
    colour = evened(rest[..., 1:], skin.candidates.astype(np.float32), SMOOTH_COLOUR * GRID)
    return Light(fit + np.dstack([lightness, colour]), lab, np.zeros_like(lab))


def evened(planes: Float, weight: Float, sigma: float) -> Float:
    """float32[h, w, K], smoothed over the cells that `weight`, float32[h, w], counts."""
    share = cv2.GaussianBlur(weight, (0, 0), sigma) + 0.1
    smooth = (cv2.GaussianBlur(plane * weight, (0, 0), sigma) for plane in np.moveaxis(planes, 2, 0))
    return np.dstack([plane / share for plane in smooth])


def _fit_harmonics(lab: Float, direction: Float, skin: Skin) -> tuple[Float, Float]:
    """Reweighted fit: nine harmonics for lightness, four for colour. Returns fit and weights on the grid."""
    chosen = skin.candidates
    samples = lab[chosen].astype(np.float64)
    if len(samples) < 2 * MIN_SAMPLES:
        return np.broadcast_to(lab.mean(axis=(0, 1)), lab.shape), np.zeros(chosen.shape, np.float32)
    basis = _harmonics(direction[chosen]).astype(np.float64)
    dark_limit = skin.dark_limit[chosen]
    # Some thousand cells are more than nine coefficients need.
    few = slice(None, None, max(1, round(len(samples) / FIT_SAMPLES)))
    coefficients, spread = _fit_robustly(samples[few], basis[few], dark_limit[few])
    weights = np.zeros(chosen.shape, np.float32)
    weights[chosen] = _plain_skin(samples - basis @ coefficients, spread, dark_limit)
    fit = _harmonics(direction) @ coefficients.astype(np.float32)
    return fit.astype(np.float32), weights


def _fit_robustly(samples: Float, basis: Float, dark_limit: Float) -> tuple[Float, Float]:
    """Coefficients, float64[9, 3], and the spread of what they leave over on plain skin, float64[3]."""
    smooth = np.diag([1e-6, 0.01, 0.01, 0.01, 0.03, 0.03, 0.03, 0.03, 0.03])
    weight = (samples[:, 0] >= np.percentile(samples[:, 0], 30)).astype(np.float64)
    coefficients, spread = np.zeros((9, 3)), np.zeros(3)
    for _ in range(5):
        if weight.sum() < MIN_SAMPLES:
            break  # nearly all of it falls out of the fit before: that is as good as it gets
        scaled = basis * (weight / weight.sum())[:, None]
        coefficients[:, :1] = np.linalg.solve(scaled.T @ basis + smooth, scaled.T @ samples[:, :1])
        first = slice(0, 4)
        coefficients[first, 1:] = np.linalg.solve(
            scaled[:, first].T @ basis[:, first] + smooth[first, first], scaled[:, first].T @ samples[:, 1:]
        )
        rest = samples - basis @ coefficients
        inlier = weight > 0.2 if (weight > 0.2).sum() > 20 else np.ones(len(weight), bool)
        spread = 1.48 * np.median(np.abs(rest[inlier]), axis=0)
        weight = _plain_skin(rest, spread, dark_limit)
    return coefficients, spread


def _plain_skin(rest: Float, spread: Float, dark_limit: Float) -> Float:
    """How much cells that differ from the fit by `rest`, [N, 3], are plain lit skin: float64[N] in [0, 1]."""
    limit = np.where(
        rest[:, 0] < 0, np.maximum(2.2 * spread[0], dark_limit), max(3 * spread[0], BRIGHT_OUTLIER)
    )
    colour = ((rest[:, 1:] / (4 * np.maximum(3, spread[1:]))) ** 2).mean(axis=1)
    return _biweight((rest[:, 0] / limit) ** 2) * _biweight(colour)


def _harmonics(n: Float) -> Float:
    """Real spherical harmonics up to degree 2 without their constants: [..., 3] to [..., 9]."""
    x, y, z = n[..., 0], n[..., 1], n[..., 2]
    return np.stack([np.ones_like(x), x, y, z, x * y, x * z, y * z, x * x - y * y, 3 * z * z - 1], axis=-1)


def _biweight(squared: Float) -> Float:
    return np.asarray(np.square(np.clip(1 - squared, 0, 1)))

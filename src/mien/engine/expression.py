"""Step 8, expression: what a smile or a wide open mouth makes of the skin around it is the target's.

Geometry brings lips and cheeks to where the target has them. It can't take the folds beside a smiling mouth
away, nor give back the lips' fullness; and the lips of a shut mouth fit neither a gaping one nor a tongue.
There the target's own skin stays, in the result's shape.
"""

from functools import cache

import numpy as np

from mien.engine.arrays import RGB, Float
from mien.engine.eyes import Kept
from mien.engine.geometry import smoothstep
from mien.engine.models import load_table
from mien.engine.mouth import mouth_openness
from mien.engine.raster import Raster
from mien.engine.texture import sample, window_coordinates
from mien.engine.topology import MESH_POINTS, MOUTH_CORNERS, OUTER_LIPS

FOLDS, LIPS = (0.05, 0.35), (0.02, 0.2)
"""What is kept ends between these distances from the lips, in eye distances: with the folds beside the mouth,
and the lips alone."""

WIDER, OPENER = (0.04, 0.15), (0.06, 0.25)
"""How much wider its expression makes the source's mouth, in eye distances, and how much more open than the
target's, in mouth widths: from the first on folds would show, from the second on fully."""

AGAPE = (0.3, 0.55)
"""The same for a target's mouth that is more open than the source's, whose lips don't fit then."""

LEAST = 0.004
"""A smaller share of the target doesn't show."""


def kept_expression(
    raster: Raster, target: RGB, before: Float, source: Float, expression: Float, beard: Float
) -> list[Kept]:
    """The target's skin around the mouth, as far as the source's expression would show there.

    raster: the result's mesh. target: uint8[h, w, 3] with its mesh `before`, float32[478, 3] in its pixels.
    source: the source's mesh. expression: float64[478, 3] as in `ResultShape`. beard: the source's,
    float32[rows, columns] in [0, 1]; it stays whole.
    """
    amount = kept_amount(before, source, expression)
    if not amount.any():
        return []
    share = raster.interpolate(amount[:, None])[..., 0] * (1 - beard) * raster.covered
    rows, columns = (np.flatnonzero((share > LEAST).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return []
    low = np.array([columns[0], rows[0]]) * raster.cell
    high = np.minimum(np.array([columns[-1] + 1, rows[-1] + 1]) * raster.cell, raster.shape[::-1])
    window = (slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0])))
    picture = sample(target, window_coordinates(raster, before, low, high)).astype(np.float32)
    return [Kept(window, picture, raster.enlarge(share.astype(np.float32))[window][..., None])]


def kept_amount(target: Float, source: Float, expression: Float) -> Float:
    """How much of the target stays at each point: float[468] in [0, 1].

    target, source: their meshes, float32[478, 3]. expression: as in `kept_expression`.
    """
    right, left = load_table("expression_basis.npz")["mean_face"][MOUTH_CORNERS]
    stretched = left - right + expression[MOUTH_CORNERS[1]] - expression[MOUTH_CORNERS[0]]
    wider = np.linalg.norm(stretched) - np.linalg.norm(left - right)
    opener = mouth_openness(source) - mouth_openness(target)
    folds = max(np.interp(wider, WIDER, [0, 1]), np.interp(opener, OPENER, [0, 1]))
    lips = np.interp(-opener, AGAPE, [0, 1])
    away = _from_lips()
    near, nearer = (1 - smoothstep(away, *limits) for limits in (FOLDS, LIPS))
    return np.asarray(np.maximum(folds * near, lips * nearer))


@cache
def _from_lips() -> Float:
    """float[468]: eye distances from each point of the mean face to its lips."""
    face = load_table("expression_basis.npz")["mean_face"][:MESH_POINTS, :2]
    return np.asarray(np.linalg.norm(face[:, None] - face[None, OUTER_LIPS], axis=2).min(axis=1))

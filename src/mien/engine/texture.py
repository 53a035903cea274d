"""Step 6: bring the source's pixels to where the result's mesh wants them.

Maps are made per triangle at a fraction of the resolution and then enlarged; pixels are sampled once.
"""

from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np

from mien.engine.arrays import RGB, Float, Index
from mien.engine.geometry import normals, smoothstep
from mien.engine.models import load_table
from mien.engine.mouth import tuck_lips
from mien.engine.raster import Raster
from mien.engine.scaling import Pyramid
from mien.engine.topology import LEFT_EYE_OUTER, MESH_POINTS, RIGHT_EYE_OUTER, mirror, sideways

MIRROR_FROM = 0.035
"""Share of the visible face that the source must hide before mirroring is worth its time."""


HALF_PROFILE = (24.0, 34.0)
"""Degrees of yaw between which normals stop deciding what is mirrored."""

FAR_HALF = (0.02, 0.12)
"""Eye distances beside the nose's ridge between which the mirrored half begins."""

SHADOW, BLOWN_OUT = (0.8, 1.3), (215.0, 240.0)
"""How many times as dark as the other side, in powers of two, a side must be to count as shadowed; and the
luma at which the other side is too bright to take its place."""

SHADOW_GRID, SHADOW_DETAIL = 60, 0.09
"""Pixels per eye distance on which shadows are sought, and sigma in eye distances of what is evened first."""

SHADOW_RIM, SHADOW_EDGE = 0.08, (0.1, 0.5)
"""Shadows are taken so many eye distances wider, to their edge's other side; share of shadowed points around
a point between which they begin."""

MARGIN = 3
"""Cells around a window that the evening and the enlarging of its coordinates look at."""


@dataclass(frozen=True)
class SourcePatch:
    """The source's face cut out, at most as fine as the result needs.

    image: uint8[h, w, 3]. points: float32[478, 2] in its pixels. normals: float64[468, 3]. scale: result
    pixels per source pixel before any shrinking (above 1: the source is coarser than the result).
    """

    image: RGB
    points: Float
    normals: Float
    scale: float


def cut_source(picture: Pyramid, points: Float, scale: float) -> SourcePatch:
    """Cut the face out; average it down where the result is smaller, or fine detail would alias."""
    halvings = picture.halvings(scale)
    image = picture.level(halvings)
    outer = (points[:, :2] + 0.5) / 2**halvings - 0.5
    height, width = image.shape[:2]
    low, high = outer.min(axis=0), outer.max(axis=0)
    margin = 0.15 * (high - low).max()
    left, top = np.clip(np.floor(low - margin).astype(int), 0, [width - 2, height - 2])
    right, bottom = np.clip(np.ceil(high + margin).astype(int), [left + 2, top + 2], [width, height])
    patch, moved = image[top:bottom, left:right], outer - [left, top]
    rest = scale * 2**halvings
    if rest < 0.9:
        columns, rows = (max(2, round(side * rest)) for side in (right - left, bottom - top))
        zoom = np.array([columns / (right - left), rows / (bottom - top)])
        patch = cv2.resize(patch, (columns, rows), interpolation=cv2.INTER_AREA)
        moved = (moved + 0.5) * zoom - 0.5
    return SourcePatch(np.ascontiguousarray(patch), moved.astype(np.float32), normals(points), scale)


@dataclass(frozen=True)
class Layers:
    """The source's texture on the result's mesh.

    own: uint8[h, w, 3], as the source shows it, and its normals, float64[468, 3]. mirrored_side: the same
    from the other half of the face, None where nothing is missing. own_share: float32[h, w] in [0, 1], what
    of the result is `own`. seen: float32[rows, columns] in [0, 1], how well the source shows each cell on
    either side, compared with the target. mirrored: share of the visible face that comes from the other half.
    """

    own: RGB
    own_normals: Float
    mirrored_side: RGB | None
    own_share: Float
    seen: Float
    mirrored: float


def texture_layers(
    raster: Raster,
    target: Float,
    patch: SourcePatch,
    hidden: tuple[Float, Float] | None = None,
    target_shadows: Float | None = None,
) -> Layers:
    """Sample the source once, or once for each half of the face.

    target: float32[478, 3], the target's mesh. hidden: what of each cell something in front of the source's
    face hides, on its own side and on the other one, float32[rows, columns] in [0, 1]; None: nothing.
    target_shadows: `shadows` of the target; None: there are none.
    """
    points = tuck_lips(patch.points, target)
    coordinates = source_coordinates(raster, points[:MESH_POINTS])
    own = sample(patch.image, raster.enlarge(coordinates))

    bare = np.zeros(raster.ids.shape, np.float32)
    hidden_here, hidden_there = hidden or (bare, bare)
    turned_here = visibility(patch.normals)
    sides = [turned_here, turned_here[mirror()], visibility(normals(target)), shown_by_itself(patch.normals)]
    here, there, wanted, share = cv2.split(raster.interpolate(np.stack(sides, axis=1)).clip(0, 1))
    here, there = here * (1 - hidden_here), there * (1 - hidden_there)
    own_share = _lend(share, hidden_here, hidden_there)
    mirrored = float(np.average(1 - own_share, weights=wanted * raster.covered + 1e-6))
    dark = shadows(patch.image, patch.points, patch.normals)
    dark = lit_otherwise(dark, np.zeros_like(dark) if target_shadows is None else target_shadows)
    if dark.any():
        dark_here, dark_there = cv2.split(raster.interpolate(np.stack([dark, dark[mirror()]], axis=1)))
        own_share = _lend(_lend(share, dark_here, dark_there), hidden_here, hidden_there)
    seen = np.minimum(1, (np.maximum(here, there) + 0.3) / (wanted + 0.05))
    seen = (seen * (1 - np.minimum(hidden_here, hidden_there))).astype(np.float32)
    layers = Layers(
        own=own,
        own_normals=patch.normals,
        mirrored_side=None,
        own_share=np.ones(raster.shape, np.float32),
        seen=seen,
        mirrored=mirrored,
    )
    if mirrored < MIRROR_FROM and not dark.any():
        return replace(layers, seen=1 - hidden_here, mirrored=0.0)
    coordinates = source_coordinates(raster, points[:MESH_POINTS][mirror()])
    other = sample(patch.image, raster.enlarge(coordinates))
    return replace(layers, mirrored_side=other, own_share=raster.enlarge(own_share))


def _lend(share: Float, gone_here: Float, gone_there: Float) -> Float:
    """The own side's share when what is gone on one side comes from the other, as far as that shows more."""
    more = gone_here - gone_there
    return np.asarray(share * (1 - np.maximum(more, 0)) + (1 - share) * np.maximum(-more, 0), np.float32)


def shadows(image: RGB, points: Float, normals: Float) -> Float:
    """float[468] in [0, 1]: points of a face that lie in a shadow, where its other side lies in the light.

    image: uint8[h, w, 3]. points: float32[478, ≥2], the mesh in its pixels. normals: float64[468, 3].
    """
    span = max(float(np.linalg.norm(points[LEFT_EYE_OUTER, :2] - points[RIGHT_EYE_OUTER, :2])), 1.0)
    every = max(1, round(span / SHADOW_GRID))
    size = tuple(max(1, side // every) for side in image.shape[1::-1])
    whole = image[: size[1] * every, : size[0] * every]  # by whole numbers it is several times faster
    small = cv2.cvtColor(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    smooth = cv2.GaussianBlur(small.astype(np.float32), (0, 0), SHADOW_DETAIL * span / every)
    x, y = ((points[:MESH_POINTS, :2] + 0.5) / every - 0.5).astype(np.float32).T
    luma = cv2.remap(smooth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).ravel() + 4
    other = luma[mirror()]
    darker = smoothstep(np.log2(other / luma), *SHADOW) * (1 - smoothstep(other, *BLOWN_OUT))
    return np.asarray(darker * visibility(normals)[mirror()])


def lit_otherwise(source: Float, target: Float) -> Float:
    """float[468] in [0, 1]: where the source's face lies in a shadow that the target's doesn't have.

    Light is replaced only as far as it's smooth, so that such a shadow's edges would show on the result.
    source, target: `shadows` of both.
    """
    return smoothstep(_nearby() @ (source * (1 - target)), *SHADOW_EDGE)


@cache
def _nearby() -> Float:
    """float[468, 468]: weights that even values at the mesh's points over their surroundings."""
    face = load_table("expression_basis.npz")["mean_face"][:MESH_POINTS]
    away = np.linalg.norm(face[:, None] - face[None], axis=2)
    weights = np.exp(-0.5 * (away / SHADOW_RIM) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def source_coordinates(raster: Raster, points: Float) -> Float:
    """Where in the source each cell's colour comes from: float32[rows, columns, 2] as x, y.

    Where one part of the mesh hides another, as the nose's wing does, the map jumps; there it is evened, or
    the steps of the cells would show.
    """
    coordinates = raster.interpolate(points)
    evened = cv2.GaussianBlur(coordinates, (5, 5), 1)
    change = evened - coordinates
    jump = cv2.magnitude(*cv2.split(change))
    weight = smoothstep(jump, raster.cell, 2 * raster.cell)
    return np.asarray(coordinates + weight[..., None] * change, np.float32)


def window_coordinates(raster: Raster, points: Float, low: Index, high: Index) -> Float:
    """The same for the result's pixels from `low` to `high`, x and y, each at its own: float32[h, w, 2].

    points: [468 or more, ≥2].
    """
    first = np.maximum(low // raster.cell - MARGIN, 0)
    last = np.minimum(-(-high // raster.cell) + MARGIN, raster.ids.shape[::-1])
    part = raster.part(slice(int(first[1]), int(last[1])), slice(int(first[0]), int(last[0])))
    (left, top), (right, bottom) = low - first * raster.cell, high - first * raster.cell
    return part.enlarge(source_coordinates(part, points[:MESH_POINTS, :2]))[top:bottom, left:right]


def sample(source: RGB, coordinates: Float) -> RGB:
    """The source's colours at `coordinates`, float32[H, W, 2] as x, y."""
    return np.asarray(
        cv2.remap(source, coordinates, np.empty(0), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101),
        np.uint8,
    )


def visibility(normals: Float) -> Float:
    """float[468] in [0, 1]: 0 for skin seen edge-on or from behind."""
    return smoothstep(normals[:, 2], 0.12, 0.45)


def shown_by_itself(normals: Float) -> Float:
    """float[468] in [0, 1]: which points take their texture from their own side of the source's face, 0 where
    the other side, mirrored, shows them better.

    Normals decide up to a half profile; from there the whole far half is mirrored, since what faces the
    viewer in the far eye's socket is hidden by the nose. normals: float64[468, 3], the source's.
    """
    here = visibility(normals)
    by_normals = 1 - smoothstep(here[mirror()] - here, 0.15, 0.6)
    across, _, ahead = normals.mean(axis=0)
    by_side = 1 - smoothstep(sideways() * np.sign(across), *FAR_HALF)
    turned = smoothstep(np.degrees(np.arctan2(abs(across), ahead)), *HALF_PROFILE)
    return np.asarray(by_normals + turned * (by_side - by_normals))

"""Maps are exact where the mesh is, and harmless where it is degenerate."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.engine.arrays import Float
from mien.engine.raster import rasterise
from mien.engine.topology import MESH_POINTS, NOSE_TIP, OVAL

Heads = Callable[..., Float]

SHAPE = (330, 290)


def pixel_of(cell: int, size: tuple[int, int]) -> tuple[Float, Float]:
    """x and y, in pixels, of the middle of every cell."""
    y, x = np.mgrid[: size[0], : size[1]]
    return (x + 0.5) * cell - 0.5, (y + 0.5) * cell - 0.5


@pytest.mark.parametrize("face_width", [150, 440, 900])
def test_an_even_slope_is_reproduced_exactly(drawn_head: Heads, face_width: float) -> None:
    points = drawn_head()
    raster = rasterise(points, SHAPE, face_width)
    slope = np.array([[0.7, -0.2, 11.0], [0.1, 0.4, -3.0]])
    values = points[:MESH_POINTS, :2].astype(np.float64) @ slope[:, :2].T + slope[:, 2]
    spread = raster.interpolate(values)
    x, y = pixel_of(raster.cell, raster.ids.shape)
    for k in range(2):
        expected = slope[k, 0] * x + slope[k, 1] * y + slope[k, 2]
        np.testing.assert_allclose(spread[..., k][raster.covered], expected[raster.covered], atol=2e-2)


@pytest.mark.parametrize("every", [2, 3, 5])
def test_a_coarser_raster_tells_the_same(drawn_head: Heads, every: int) -> None:
    points = drawn_head()
    fine = rasterise(points, SHAPE, 150)
    coarse = fine.coarser(every)
    values = points[:MESH_POINTS, :1].astype(np.float64)
    spread = coarse.interpolate(values)[..., 0][coarse.covered]
    here = fine.interpolate(values)[every // 2 :: every, every // 2 :: every, 0][coarse.covered]
    assert coarse.cell == every * fine.cell
    np.testing.assert_allclose(spread, here, atol=2e-2)


@pytest.mark.parametrize("face_width", [150, 900])
def test_enlarging_a_slope_gives_every_pixel_its_value(drawn_head: Heads, face_width: float) -> None:
    points = drawn_head()
    raster = rasterise(points, SHAPE, face_width)
    full = raster.enlarge(raster.interpolate(points[:MESH_POINTS, :2].astype(np.float64)))
    assert full.shape == (*SHAPE, 2)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    inside = np.zeros(SHAPE, np.uint8)
    cv2.fillPoly(inside, [np.round(points[OVAL, :2]).astype(np.int32)], 1)
    inside = cv2.erode(inside, np.ones((17, 17), np.uint8)).astype(np.uint8)
    # Triangles a cell wide may miss their neighbour's cell by a pixel.
    np.testing.assert_allclose(full[..., 0][inside > 0], x[inside > 0], atol=0.05)
    np.testing.assert_allclose(full[..., 1][inside > 0], y[inside > 0], atol=0.05)


@pytest.mark.parametrize("face_width", [150, 440, 900])
def test_a_reduced_picture_has_each_cells_mean(drawn_head: Heads, face_width: float) -> None:
    raster = rasterise(drawn_head(), SHAPE, face_width)
    picture = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), np.uint8)
    reduced = raster.reduce(picture)
    assert reduced.shape == (*raster.ids.shape, 3)
    first_cell = picture[: raster.cell, : raster.cell].mean(axis=(0, 1))
    np.testing.assert_allclose(reduced[0, 0], first_cell, atol=0.51)
    last = picture[(raster.ids.shape[0] - 1) * raster.cell :, (raster.ids.shape[1] - 1) * raster.cell :]
    assert (reduced[-1, -1] >= last.min(axis=(0, 1))).all()
    assert (reduced[-1, -1] <= last.max(axis=(0, 1))).all()


def test_the_mesh_covers_its_outline_and_nothing_else(drawn_head: Heads) -> None:
    points = drawn_head()
    raster = rasterise(points, SHAPE, 150)
    outline = np.zeros(SHAPE, np.uint8)
    cv2.fillPoly(outline, [np.round(points[OVAL, :2]).astype(np.int32)], 1)
    differing = raster.covered != outline.astype(bool)
    assert differing.sum() < 0.02 * outline.sum()


def test_the_rim_around_the_mesh_continues_it(drawn_head: Heads) -> None:
    raster = rasterise(drawn_head(), SHAPE, 150)
    rim = (raster.ids >= 0) & ~raster.covered
    touching = cv2.dilate(raster.covered.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    assert rim[touching & ~raster.covered].all()


def test_near_triangles_hide_far_ones(drawn_head: Heads) -> None:
    points = drawn_head(yaw=-1.0)
    raster = rasterise(points, SHAPE, 150)
    depth = raster.interpolate(points[:MESH_POINTS, 2:].astype(np.float64))[..., 0]
    nose = np.round(points[NOSE_TIP, :2]).astype(int)
    assert depth[nose[1], nose[0]] == pytest.approx(points[NOSE_TIP, 2], abs=3)
    # Turned by 57°, the nose hides some of the cheek: points there are not what is drawn.
    cells = np.round(points[:MESH_POINTS, :2]).astype(int)
    behind = points[:MESH_POINTS, 2] - depth[cells[:, 1], cells[:, 0]]
    assert (behind > -3).mean() > 0.97
    assert (behind > 20).any()


@given(
    direction=st.floats(-3.1, 3.1),
    flat=st.floats(0, 1),
    place=st.tuples(st.floats(-400, 700), st.floats(-400, 700)),
)
def test_a_mesh_seen_edge_on_or_outside_stays_finite(
    drawn_head: Heads, direction: float, flat: float, place: tuple[float, float]
) -> None:
    along = np.array([np.cos(direction), np.sin(direction)])
    points = drawn_head()
    offset = points[:, :2] - points[:, :2].mean(axis=0)
    line = (offset @ along)[:, None] * along
    points[:, :2] = place + line + (0 if flat < 0.5 else 1e-4) * (offset - line)
    raster = rasterise(points, SHAPE, 150)
    spread = raster.interpolate(points[:MESH_POINTS].astype(np.float64))
    assert np.isfinite(spread).all()


def test_a_mesh_that_is_one_point_stays_finite() -> None:
    points = np.full((478, 3), 100, np.float32)
    raster = rasterise(points, SHAPE, 150)
    spread = raster.interpolate(np.arange(MESH_POINTS, dtype=np.float64)[:, None])
    assert np.isfinite(spread).all()
    assert ((spread >= -1) & (spread <= MESH_POINTS)).all()

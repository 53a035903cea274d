"""The mesh's tables fit each other."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from mien.engine.arrays import Float, Index
from mien.engine.drawing import area
from mien.engine.raster import rasterise
from mien.engine.topology import (
    INNER_LIPS,
    LEFT_BROW,
    LEFT_EYE,
    LEFT_EYE_OUTER,
    MESH_POINTS,
    OUTER_LIPS,
    OVAL,
    RIGHT_BROW,
    RIGHT_EYE,
    RIGHT_EYE_OUTER,
    RIGID,
    STRIPS,
    mirror,
    triangles,
)


def test_mirroring_twice_leaves_every_point_where_it_was() -> None:
    np.testing.assert_array_equal(mirror()[mirror()], np.arange(MESH_POINTS))


@pytest.mark.parametrize(("right", "left"), [(RIGHT_EYE, LEFT_EYE), (RIGHT_BROW, LEFT_BROW)])
def test_the_mirror_swaps_eyes_and_brows_point_by_point(right: Index, left: Index) -> None:
    np.testing.assert_array_equal(mirror()[right], left)


@pytest.mark.parametrize("ring", [INNER_LIPS, OUTER_LIPS])
def test_the_mirror_runs_through_the_lips_from_the_other_corner(ring: Index) -> None:
    np.testing.assert_array_equal(mirror()[ring], ring[(10 - np.arange(20)) % 20])


@pytest.mark.parametrize("symmetric", [OVAL, RIGID])
def test_outline_and_rigid_points_are_symmetric(symmetric: Index) -> None:
    assert set(mirror()[symmetric]) == set(symmetric)


def test_the_outer_eye_corners_begin_the_lid_lines() -> None:
    assert (RIGHT_EYE[0], LEFT_EYE[0]) == (RIGHT_EYE_OUTER, LEFT_EYE_OUTER)


def test_the_triangles_form_a_disc_bounded_by_the_oval() -> None:
    corners = triangles()
    edges = Counter(
        frozenset((int(a), int(b)))
        for triangle in corners
        for a, b in zip(triangle, np.roll(triangle, 1), strict=True)
    )
    assert set(np.unique(corners)) == set(range(MESH_POINTS))
    assert MESH_POINTS - len(edges) + len(corners) == 1  # Euler's characteristic of a disc
    boundary = {edge for edge, count in edges.items() if count == 1}
    assert boundary == {frozenset((int(a), int(b))) for a, b in zip(OVAL, np.roll(OVAL, 1), strict=True)}


def test_mirrored_triangles_are_triangles_of_the_other_side() -> None:
    known = {frozenset(triangle) for triangle in triangles().tolist()}
    mirrored = {frozenset(triangle) for triangle in mirror()[triangles()].tolist()}
    assert len(known & mirrored) > 0.95 * len(known)


@pytest.mark.parametrize("yaw", [-1.0, -0.6, 0.0, 0.3, 0.8, 1.1])
def test_the_strips_are_all_that_is_seen_of_a_face(drawn_head: Callable[..., Float], yaw: float) -> None:
    raster = rasterise(drawn_head(yaw=yaw), (330, 290), 240)
    drawn = area(raster, *STRIPS).astype(bool)
    assert (drawn & raster.covered).sum() / (drawn | raster.covered).sum() > 0.975

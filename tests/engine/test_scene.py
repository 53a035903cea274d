"""The part of the target that changes is cut out within the picture and put back where it was."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien import Face
from mien.engine.arrays import RGB, Float
from mien.engine.scene import Scene, set_scene
from mien.engine.topology import OVAL

Photo = tuple[RGB, Face]
Photos = Callable[[int, str], Photo]
Heads = Callable[..., Float]


def broader(points: Float, by: float) -> Float:
    """The same mesh, stretched sideways."""
    middle = points[:, 0].mean()
    stretched = points.copy()
    stretched[:, 0] = middle + (points[:, 0] - middle) * (1 + by)
    return stretched


@pytest.fixture(scope="module")
def scene(photo: Photos) -> tuple[RGB, Float, Scene]:
    """A target, the result's mesh in it, and its scene."""
    picture, face = photo(6, "amateur_selfie")
    after = broader(face.landmarks, 0.04)
    return picture, after, set_scene(picture, face.landmarks, after)


def test_the_scene_holds_the_face(scene: tuple[RGB, Float, Scene]) -> None:
    picture, after, cut = scene
    rows, columns = cut.window
    low, high = after[OVAL, :2].min(axis=0), after[OVAL, :2].max(axis=0)
    assert columns.start < low[0] < high[0] < columns.stop
    assert rows.start < low[1] < high[1] < rows.stop
    assert cut.bent.shape == picture[cut.window].shape
    assert cut.face.shape[:2] == cut.raster.shape


def test_points_of_the_scene_are_points_of_the_picture(scene: tuple[RGB, Float, Scene]) -> None:
    _, after, cut = scene
    corner = np.array(
        [cut.window[1].start + cut.inner[1].start, cut.window[0].start + cut.inner[0].start], np.float32
    )
    np.testing.assert_allclose(cut.points[:, :2] + corner, after[:, :2], atol=1e-3)


def test_only_the_window_changes_when_the_face_is_put_back(scene: tuple[RGB, Float, Scene]) -> None:
    picture, _, cut = scene
    image = picture.copy()
    cut.put_into(image, np.full_like(cut.face, 7))
    outside = np.ones(picture.shape[:2], bool)
    outside[cut.window] = False
    np.testing.assert_array_equal(image[outside], picture[outside])
    assert (image[cut.window][cut.inner] == 7).all()


def test_putting_back_what_was_there_shows_the_bent_picture(scene: tuple[RGB, Float, Scene]) -> None:
    picture, _, cut = scene
    image = picture.copy()
    cut.put_into(image, cut.face)
    np.testing.assert_array_equal(image[cut.window], cut.bent)


def test_an_unchanged_face_put_back_is_the_picture(photo: Photos) -> None:
    picture, face = photo(6, "amateur_selfie")
    cut = set_scene(picture, face.landmarks, face.landmarks)
    image = picture.copy()
    cut.put_into(image, cut.face)
    np.testing.assert_array_equal(image, picture)


@settings(max_examples=40)
@given(
    shift=st.tuples(st.integers(-250, 300), st.integers(-250, 300)),
    width=st.floats(30, 280),
    yaw=st.floats(-1.2, 1.2),
    size=st.tuples(st.integers(40, 340), st.integers(40, 340)),
    by=st.floats(-0.1, 0.1),
)
def test_the_window_lies_within_the_picture_wherever_the_face_is(
    drawn_head: Heads,
    shift: tuple[int, int],
    width: float,
    yaw: float,
    size: tuple[int, int],
    by: float,
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    before = drawn_head(width, yaw) + np.array([*shift, 0], np.float32)
    cut = set_scene(picture, before, broader(before, by))
    for window, sides in ((cut.window, size), (cut.inner, cut.bent.shape[:2])):
        for part, side in zip(window, sides, strict=True):
            assert 0 <= part.start < part.stop <= side
            assert part.stop - part.start >= 2
    cut.put_into(picture, cut.face)

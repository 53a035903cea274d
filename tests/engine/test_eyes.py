"""The result looks out of the target's eyes, in the source's colour."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from mien import Face
from mien.engine.arrays import RGB, Float
from mien.engine.eyes import CLOSED_EYE, eye_colour, kept_eyes, put_back
from mien.engine.geometry import eye_openness
from mien.engine.raster import Raster, rasterise
from mien.engine.topology import EYES, LEFT_EYE, NOSE_TIP, RIGHT_EYE

Photo = tuple[RGB, Face]
Photos = Callable[[int, str], Photo]
Expressions = Callable[[str], Photo]

GREEN = np.array([0, 255, 0], np.float32)


def cut(photo: Photo) -> tuple[RGB, Float, Raster]:
    picture, face = photo
    return picture, face.landmarks, rasterise(face.landmarks, picture.shape[:2], 1.45 * face.eye_distance)


def on_green(target: Photo, source: Photo) -> Float:
    """The target's eyes on an otherwise green face of the same shape."""
    picture, points, raster = cut(target)
    face = np.tile(GREEN, (*picture.shape[:2], 1))
    put_back(face, kept_eyes(raster, points, picture, points, source[0], source[1].landmarks))
    return face


def kept_share(face: Float, points: Float) -> list[float]:
    """For each eye, how much has been kept around it, in squares of the eye's width."""
    shares = []
    for ring, _ in EYES:
        width = np.linalg.norm(points[ring[0], :2] - points[ring[8], :2])
        x, y = points[ring, :2].mean(axis=0).round().astype(int)
        reach = round(width)
        near = face[y - reach : y + reach, x - reach : x + reach]
        shares.append(float((np.abs(near - GREEN).max(axis=2) > 128).sum() / width**2))
    return shares


@pytest.mark.parametrize(
    ("name", "right_is_open", "left_is_open"),
    [
        ("neutral", True, True),
        ("happy", True, True),
        ("shocked", True, True),
        ("flirty", True, False),
        ("playful", True, False),
        ("exhausted", False, False),
    ],
)
def test_shut_eyes_are_told_from_open_ones(
    expression: Expressions, name: str, right_is_open: bool, left_is_open: bool
) -> None:
    points = expression(name)[1].landmarks
    assert (eye_openness(points, RIGHT_EYE) > CLOSED_EYE) == right_is_open
    assert (eye_openness(points, LEFT_EYE) > CLOSED_EYE) == left_is_open


def test_openness_does_not_depend_on_size_and_place(expression: Expressions) -> None:
    points = expression("surprised")[1].landmarks
    moved = points * np.float32(3) + np.float32(40)
    assert eye_openness(moved, RIGHT_EYE) == pytest.approx(eye_openness(points, RIGHT_EYE), rel=1e-4)


def test_the_targets_eyes_are_kept_and_nothing_else(expression: Expressions) -> None:
    target = expression("neutral")
    face = on_green(target, target)
    for _, iris in EYES:
        centre = target[1].landmarks[iris[0], :2].round().astype(int)
        inside = slice(centre[1] - 2, centre[1] + 3), slice(centre[0] - 2, centre[0] + 3)
        assert np.abs(face[inside] - target[0][inside]).max() < 6
    x, y = target[1].landmarks[NOSE_TIP, :2].round().astype(int)
    assert (face[y, x] == GREEN).all()
    assert (face[: y // 4] == GREEN).all()


def test_a_shut_eye_is_kept_with_its_whole_lid(expression: Expressions) -> None:
    source = expression("neutral")
    wink, ahead = expression("flirty"), expression("neutral")
    right, left = kept_share(on_green(wink, source), wink[1].landmarks)
    open_right, open_left = kept_share(on_green(ahead, source), ahead[1].landmarks)
    assert left > 1.3 * open_left
    assert right < 1.3 * open_right


def tinted(photo: Photo, colour: tuple[int, int, int]) -> Photo:
    """The same face with irises of another colour."""
    picture, face = photo[0].copy(), photo[1]
    for _, iris in EYES:
        x, y = face.landmarks[iris[0], :2]
        radius = np.linalg.norm(face.landmarks[iris[1:], :2] - face.landmarks[iris[0], :2], axis=1).mean()
        cv2.circle(picture, (round(x), round(y)), round(radius), colour, -1)
    return picture, face


@pytest.mark.parametrize("colour", [(60, 90, 140), (70, 110, 70), (100, 60, 30)])
def test_irises_get_the_sources_colour(photo: Photos, colour: tuple[int, int, int]) -> None:
    target = photo(8, "studio_portrait")
    source = tinted(photo(1, "studio_portrait"), colour)
    plain, changed = on_green(target, target), on_green(target, source)
    for ring, iris in EYES:
        wanted = eye_colour(*_as_arguments(source), ring, iris)
        before, after = (
            eye_colour(face.clip(0, 255).astype(np.uint8), target[1].landmarks, ring, iris)
            for face in (plain, changed)
        )
        assert wanted and before and after
        gap_before, gap_after = (np.linalg.norm(has.iris[1:] - wanted.iris[1:]) for has in (before, after))
        assert gap_after < 0.6 * gap_before


def test_without_a_clear_colour_irises_stay(expression: Expressions, photo: Photos) -> None:
    target = photo(8, "studio_portrait")
    np.testing.assert_array_equal(on_green(target, expression("exhausted")), _uncoloured(target))


def test_eyes_beyond_the_border_are_left_alone(expression: Expressions) -> None:
    picture, face = expression("neutral")
    points = face.landmarks - np.array([face.landmarks[133, 0], 0, 0], np.float32)
    raster = rasterise(points, picture.shape[:2], 200)
    canvas = np.tile(GREEN, (*picture.shape[:2], 1))
    put_back(canvas, kept_eyes(raster, points, picture, face.landmarks, picture, face.landmarks))
    assert np.isfinite(canvas).all()


def _as_arguments(photo: Photo) -> tuple[RGB, Float]:
    return photo[0], photo[1].landmarks


def _uncoloured(target: Photo) -> Float:
    """With a source whose eyes can't be seen."""
    picture, points, raster = cut(target)
    face = np.tile(GREEN, (*picture.shape[:2], 1))
    put_back(face, kept_eyes(raster, points, picture, points, None, points))
    return face

"""A face becomes as sharp and as grainy as the picture that it goes into."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from mien import Face
from mien.engine.arrays import RGB, Float, Mask
from mien.engine.grain import detail, match_detail

Photo = tuple[RGB, Face]
Photos = Callable[[int, str], Photo]


@pytest.fixture(scope="module")
def skin_picture(photo: Photos) -> RGB:
    """A cheek and what is around it."""
    picture, face = photo(4, "studio_portrait")
    x, y = face.landmarks[50, :2].astype(int)
    return picture[y - 60 : y + 60, x - 40 : x + 80]


EVERYWHERE: Mask = np.ones((120, 120), bool)


def sharpness(picture: Float) -> float:
    """Energy of what a blur of one pixel takes away."""
    grey = cv2.cvtColor(np.clip(picture, 0, 255).astype(np.float32), cv2.COLOR_RGB2GRAY)
    return float((grey - cv2.GaussianBlur(grey, (0, 0), 1))[8:-8, 8:-8].std())


def blurred(picture: Float, sigma: float) -> RGB:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma)).astype(np.uint8)


def grainy(picture: RGB, deviation: float) -> RGB:
    noise = np.random.default_rng(5).normal(0, deviation, picture.shape[:2])[..., None]
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def test_a_soft_target_makes_the_face_softer(skin_picture: RGB) -> None:
    face = skin_picture.astype(np.float32)
    matched = match_detail(face, detail(blurred(skin_picture, 2)), EVERYWHERE)
    assert sharpness(matched) < 0.7 * sharpness(face)


@pytest.mark.parametrize("deviation", [4, 10])
def test_a_grainy_target_adds_grain(skin_picture: RGB, deviation: float) -> None:
    target = grainy(skin_picture, deviation)
    face = blurred(skin_picture, 1).astype(np.float32)
    matched = match_detail(face, detail(target), EVERYWHERE)
    assert sharpness(matched) == pytest.approx(sharpness(target.astype(np.float32)), rel=0.35)
    assert sharpness(matched) > 2 * sharpness(face)


def test_grain_stands_still(skin_picture: RGB) -> None:
    """The same pictures give the same result, whatever ran before."""
    face, target = blurred(skin_picture, 1).astype(np.float32), grainy(skin_picture, 8)
    first = match_detail(face, detail(target), EVERYWHERE)
    np.random.seed(3)
    np.testing.assert_array_equal(match_detail(face, detail(target), EVERYWHERE), first)


def test_a_face_that_matches_already_is_left_alone(skin_picture: RGB) -> None:
    face = skin_picture.astype(np.float32)
    np.testing.assert_allclose(match_detail(face, detail(skin_picture), EVERYWHERE), face, atol=1)


def test_colours_and_shading_stay_whatever_the_detail(skin_picture: RGB) -> None:
    face = skin_picture.astype(np.float32)
    for target in (blurred(skin_picture, 3), grainy(skin_picture, 12)):
        matched = match_detail(face, detail(target), EVERYWHERE)
        before, after = (cv2.GaussianBlur(picture, (0, 0), 8) for picture in (face, matched))
        np.testing.assert_allclose(after, before, atol=3)


def test_a_few_pixels_of_skin_tell_nothing(skin_picture: RGB) -> None:
    face = skin_picture.astype(np.float32)
    hardly_any = np.zeros((120, 120), bool)
    hardly_any[:3, :3] = True
    np.testing.assert_array_equal(match_detail(face, detail(grainy(skin_picture, 20)), hardly_any), face)


def test_what_is_no_skin_does_not_count(skin_picture: RGB) -> None:
    """A patterned background is not the face's business."""
    face, left = skin_picture.astype(np.float32), EVERYWHERE.copy()
    left[:, 60:] = False
    patterned = skin_picture.copy()
    patterned[:, 66:] = np.random.default_rng(1).integers(0, 256, (120, 54, 3))
    np.testing.assert_allclose(
        match_detail(face, detail(patterned), left)[:, :60],
        match_detail(face, detail(skin_picture), left)[:, :60],
        atol=1.5,
    )

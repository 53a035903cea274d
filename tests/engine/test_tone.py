"""Monochrome pictures are told from coloured ones, and stay in their tone."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from mien import Face, FaceSwapper
from mien.engine.arrays import RGB, Float
from mien.engine.tone import tone_of, toned

Photo = tuple[RGB, Face]
Photos = Callable[[int, str], Photo]

TONES = {
    "grey": ([0, 128, 255], [0, 128, 255], [0, 128, 255]),
    "sepia": ([25, 140, 255], [15, 110, 242], [8, 79, 217]),
    "cyanotype": ([0, 89, 235], [25, 128, 250], [46, 140, 255]),
}


def printed(picture: RGB, tone: str) -> RGB:
    """`picture` in shades of one tone."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    planes = [np.interp(np.arange(256), [0, 128, 255], levels)[grey] for levels in TONES[tone]]
    return np.asarray(np.stack(planes, axis=2).round(), np.uint8)


def compressed(picture: RGB, quality: int) -> RGB:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def away_from(tone: Float, picture: RGB) -> Float:
    """How far each pixel is from the tone, in levels of 255."""
    return np.asarray(np.abs(toned(picture.astype(np.float32), tone) - picture).max(axis=2))


@pytest.mark.parametrize("tone", TONES)
@pytest.mark.parametrize("quality", [None, 50])
def test_a_monochrome_picture_gives_its_tone(photo: Photos, tone: str, quality: int | None) -> None:
    picture = printed(photo(9, "amateur_selfie")[0], tone)
    found = tone_of(compressed(picture, quality) if quality else picture)
    assert found is not None
    assert found.shape == (256, 3)
    assert np.percentile(away_from(found, picture), 95) < 6


@pytest.mark.parametrize("person", range(1, 11))
@pytest.mark.parametrize("kind", ["studio_portrait", "amateur_selfie"])
def test_a_picture_with_colours_has_no_tone(photo: Photos, person: int, kind: str) -> None:
    picture = photo(person, kind)[0]
    assert tone_of(picture) is None
    warm = (picture * np.array([1.0, 0.75, 0.5])).astype(np.uint8)
    assert tone_of(warm) is None


def test_a_picture_of_one_colour_is_toned_with_it() -> None:
    plain = np.full((50, 40, 3), (120, 90, 60), np.uint8)
    tone = tone_of(plain)
    assert tone is not None
    np.testing.assert_allclose(toned(plain.astype(np.float32), tone), plain, atol=0.5)


@pytest.mark.parametrize("tone", ["sepia", "cyanotype"])
def test_a_toned_target_stays_in_its_tone(photo: Photos, swapper: FaceSwapper, tone: str) -> None:
    target = printed(photo(9, "amateur_selfie")[0], tone)
    image = swapper.swap(target, photo(3, "studio_portrait")[0]).image
    found = tone_of(target)
    assert found is not None
    assert (image != target).any()
    assert np.percentile(away_from(found, image), 99) < 8

"""Watermarks: invisible, found again after what happens to pictures, and nowhere else."""

import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mien.marks.tags import tag_of
from mien.marks.watermark import MAX_CHANCE, embed, find

Pixels = NDArray[np.uint8]

TAG = 0x5EED_CAFE_F00D


def recoded(rgb: Pixels, format: str, quality: int) -> Pixels:
    data = io.BytesIO()
    Image.fromarray(rgb).save(data, format, quality=quality)
    return np.array(Image.open(io.BytesIO(data.getvalue())).convert("RGB"))


def resized(rgb: Pixels, factor: float) -> Pixels:
    height, width = rgb.shape[:2]
    size = (round(width * factor), round(height * factor))
    return np.array(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC))


def turned(rgb: Pixels, degrees: float) -> Pixels:
    height, width = rgb.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    pixels: Pixels = cv2.warpAffine(rgb, matrix, (width, height), flags=cv2.INTER_CUBIC).astype(np.uint8)
    return pixels


def shifted(rgb: Pixels) -> Pixels:
    pixels: Pixels = (rgb * np.array([1.1, 1.0, 0.85]) + [5, 0, -5]).clip(0, 255).astype(np.uint8)
    return pixels


def stretched(rgb: Pixels) -> Pixels:
    pixels: Pixels = ((rgb.astype(np.float32) - 128) * 1.3 + 143).clip(0, 255).astype(np.uint8)
    return pixels


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "nothing": lambda rgb: rgb,
    "JPEG 70": lambda rgb: recoded(rgb, "JPEG", 70),
    "WebP 80": lambda rgb: recoded(rgb, "WEBP", 80),
    "half the size": lambda rgb: resized(rgb, 0.5),
    "a tenth cropped off": lambda rgb: rgb[20:780, 25:975],
    "half cropped off": lambda rgb: rgb[100:666, 150:850],
    "brighter, with more contrast": stretched,
    "shifted colours": shifted,
    "mirrored": lambda rgb: rgb[:, ::-1],
    "turned by a quarter": lambda rgb: np.rot90(rgb),
    "turned by a degree and a half": lambda rgb: turned(rgb, 1.5),
    "framed": lambda rgb: np.pad(rgb, ((90, 60), (80, 120), (0, 0)), constant_values=245),
    "a screenshot of it": lambda rgb: recoded(
        resized(np.pad(rgb, ((60, 0), (0, 90), (0, 0))), 0.75), "JPEG", 80
    ),
}


@pytest.fixture(scope="module")
def marked(photo: Pixels) -> Pixels:
    return embed(photo, TAG)


@pytest.mark.parametrize("change", CHANGES)
def test_a_watermark_survives(change: str, marked: Pixels) -> None:
    found = find(np.ascontiguousarray(CHANGES[change](marked)))
    assert [mark.tag for mark in found] == [TAG]
    assert found[0].chance <= MAX_CHANCE


def test_marking_keeps_the_picture(photo: Pixels, marked: Pixels) -> None:
    error = marked.astype(int) - photo
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 42
    assert np.abs(error).max() <= 8
    # Equal in all channels but where one is at its end: colours stay what they were.
    inside = ((photo > 8) & (photo < 247)).all(axis=-1)
    assert np.ptp(error[inside], axis=-1).max() == 0


def test_flat_places_change_by_two_levels_at_most() -> None:
    sky = np.full((1024, 1024, 3), (120, 170, 230), np.uint8)
    error = embed(sky, TAG).astype(int) - sky
    assert np.abs(error).max() <= 3
    assert np.mean(np.abs(error) > 2) < 1e-3


@pytest.mark.parametrize("level", [0, 3, 128, 252, 255])
def test_a_flat_picture_can_be_marked(level: int) -> None:
    assert find(embed(np.full((700, 900, 3), level, np.uint8), TAG))[0].tag == TAG


def test_marking_is_deterministic(photo: Pixels, marked: Pixels) -> None:
    assert np.array_equal(embed(photo, TAG), marked)


def test_marking_leaves_its_input_alone(photo: Pixels) -> None:
    before = photo.copy()
    embed(photo, TAG)
    assert np.array_equal(photo, before)


def test_a_picture_that_went_through_two_swaps_shows_both(marked: Pixels) -> None:
    found = find(recoded(embed(marked, 42), "JPEG", 85))
    assert {mark.tag for mark in found} == {TAG, 42}


def test_only_those_with_the_key_find_it(photo: Pixels) -> None:
    keyed = embed(photo, TAG, b"secret")
    assert find(keyed, [b"secret"])[0].tag == TAG
    assert find(keyed) == ()
    assert find(keyed, [b"guess"]) == ()


def test_of_several_keys_it_is_said_which_one_found_it(photo: Pixels) -> None:
    (mark,) = find(embed(photo, TAG, b"secret"), [b"", b"secret"])
    assert (mark.tag, mark.key) == (TAG, 1)
    assert mark.chance <= MAX_CHANCE


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_found_where_nothing_is(seed: int, scene: Callable[..., Pixels]) -> None:
    assert find(scene(300 + 40 * seed, 260, seed)) == ()


@pytest.mark.parametrize("shape", [(32, 32), (40, 400), (1, 1), (129, 64)])
def test_tiny_pictures_are_marked_and_read_without_harm(shape: tuple[int, int]) -> None:
    tiny = np.full((*shape, 3), 90, np.uint8)
    assert embed(tiny, TAG).shape == tiny.shape
    assert all(mark.tag == TAG for mark in find(embed(tiny, TAG)))


def test_a_picture_of_300_pixels_survives_jpeg(scene: Callable[..., Pixels]) -> None:
    assert find(recoded(embed(scene(300, 300), TAG), "JPEG", 85))[0].tag == TAG


def test_tags_of_tasks_differ_and_stay() -> None:
    tags = {tag_of(f"{number:x}_faceswap") for number in range(1000)}
    assert len(tags) == 1000
    assert max(tags) < 2**48
    assert tag_of("0_faceswap") == int.from_bytes(bytes.fromhex("f33ce43c66e9"))

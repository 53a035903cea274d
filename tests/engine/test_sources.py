"""Several pictures of one person make one source."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from mien import Face, FaceUnusable, NoFaceFound
from mien.engine.arrays import RGB
from mien.engine.faces import PictureFaces
from mien.engine.models import Network
from mien.engine.sources import Source, find_source

Photo = tuple[RGB, Face]
Photos = Callable[[int, str], Photo]
Find = Callable[..., Source]


@pytest.fixture(scope="module")
def find(detector: Network, mesh: Network) -> Find:
    embedder, occluder = Network("faceres_embedder.onnx", 2), Network("face_occlusion.onnx", 2)

    def look(*pictures: RGB, index: int = 0, swap: int | None = None) -> Source:
        return find_source(
            [PictureFaces(p, detector, mesh) for p in pictures], index, embedder, occluder, swap
        )

    return look


def beside(*pictures: RGB) -> RGB:
    height = min(picture.shape[0] for picture in pictures)
    return np.hstack([picture[:height] for picture in pictures])


def test_one_picture_is_taken_as_it_is(photo: Photos, find: Find) -> None:
    picture, face = photo(3, "studio_portrait")
    source = find(picture)
    assert [one.number for one in source.pictures] == [0]
    assert source.strangers == ()
    np.testing.assert_allclose(source.proportions, face.pose.canonical_from_image(face.landmarks), atol=1e-6)
    assert np.linalg.norm(source.embedding) == pytest.approx(1, abs=1e-5)


def test_proportions_of_two_pictures_lie_between_them(photo: Photos, find: Find) -> None:
    pictures = [photo(3, kind)[0] for kind in ("studio_portrait", "amateur_selfie")]
    first, second = (find(picture).proportions for picture in pictures)
    both = find(*pictures).proportions
    share = np.sum((both - first) * (second - first)) / np.sum((second - first) ** 2)
    assert 0.2 < share < 0.8
    np.testing.assert_allclose(both, first + share * (second - first), atol=1e-6)


def test_turned_and_small_pictures_count_less(photo: Photos, turned_head: Photo, find: Find) -> None:
    frontal, turned = photo(1, "studio_portrait")[0], turned_head[0]
    small = np.asarray(cv2.resize(photo(1, "amateur_selfie")[0], None, fx=0.25, fy=0.25))
    first = find(frontal).proportions
    for other in (turned, small):
        second, both = find(other).proportions, find(frontal, other).proportions
        assert np.linalg.norm(both - first) < 0.35 * np.linalg.norm(second - first)


def test_the_texture_comes_from_the_nearest_view(photo: Photos, turned_head: Photo, find: Find) -> None:
    frontal = photo(1, "studio_portrait")
    source = find(frontal[0], turned_head[0])
    assert source.nearest(photo(6, "amateur_selfie")[1]).number == 0
    assert source.nearest(turned_head[1]).number == 1


def test_a_coarse_texture_is_passed_over(photo: Photos, find: Find) -> None:
    picture = photo(3, "studio_portrait")[0]
    coarse = np.asarray(cv2.resize(picture, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA))
    target = photo(6, "amateur_selfie")[1]
    assert find(coarse, picture).nearest(target).number == 1
    assert find(picture, coarse).nearest(target).number == 0


def test_somebody_else_is_left_out_and_named(photo: Photos, find: Find) -> None:
    own, other = photo(3, "studio_portrait")[0], photo(8, "studio_portrait")[0]
    source = find(own, other, photo(3, "amateur_selfie")[0])
    assert [one.number for one in source.pictures] == [0, 2]
    assert source.strangers == (1,)


def test_among_several_faces_the_one_like_the_first_is_taken(photo: Photos, find: Find) -> None:
    stranger, own = photo(8, "studio_portrait")[0], photo(3, "studio_portrait")[0]
    smaller = np.asarray(cv2.resize(own, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA))
    padded = np.full((800, smaller.shape[1], 3), 128, np.uint8)
    padded[: smaller.shape[0]] = smaller
    source = find(photo(3, "amateur_selfie")[0], beside(stranger, padded))
    assert source.strangers == ()
    assert source.pictures[1].face.box[0] > 700


def test_the_index_counts_in_the_first_picture(photo: Photos, find: Find) -> None:
    large, own = photo(8, "studio_portrait")[0], photo(3, "studio_portrait")[0]
    small = np.full((800, 500, 3), 128, np.uint8)
    small[:480, :480] = cv2.resize(own, (480, 480), interpolation=cv2.INTER_AREA)
    source = find(beside(large, small), photo(3, "amateur_selfie")[0], index=1)
    assert source.strangers == ()


def test_a_picture_without_a_face_is_named(photo: Photos, find: Find) -> None:
    own, wall = photo(3, "studio_portrait")[0], np.full((200, 200, 3), 90, np.uint8)
    with pytest.raises(NoFaceFound, match="source picture number 1") as raised:
        find(own, wall, swap=4)
    assert (raised.value.param, raised.value.swap, raised.value.picture) == ("source", 4, 1)


def test_a_picture_whose_faces_are_all_too_small_is_named(photo: Photos, find: Find) -> None:
    tiny = np.asarray(cv2.resize(photo(5, "amateur_selfie")[0], None, fx=0.08, fy=0.08))
    with pytest.raises(FaceUnusable, match="too small") as raised:
        find(tiny)
    assert (raised.value.swap, raised.value.picture) == (None, None)

"""Embeddings know people apart and don't mind how a picture was taken."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from mien import Face, FaceSwapper
from mien.engine.arrays import RGB, Float
from mien.engine.identity import SAME_PERSON, embed
from mien.engine.models import Network
from mien.engine.scaling import Pyramid

Photo = tuple[RGB, Face]
Photos = Callable[[int, str], Photo]
PEOPLE = range(1, 11)


@pytest.fixture(scope="module")
def embedder() -> Network:
    return Network("faceres_embedder.onnx", 2)


@pytest.fixture(scope="module")
def cosines(photo: Photos, embedder: Network) -> Float:
    """float[10, 10]: each person's portrait against each person's selfie."""
    portraits, selfies = (
        np.stack(
            [
                embed(Pyramid(picture), face.landmarks, embedder)
                for picture, face in (photo(n, kind) for n in PEOPLE)
            ]
        )
        for kind in ("studio_portrait", "amateur_selfie")
    )
    return np.asarray(portraits @ selfies.T)


def test_an_embedding_has_unit_length(photo: Photos, embedder: Network) -> None:
    picture, face = photo(1, "studio_portrait")
    embedding = embed(Pyramid(picture), face.landmarks, embedder)
    assert embedding.shape == (1024,)
    assert float(embedding @ embedding) == pytest.approx(1, abs=1e-4)


def test_everybody_is_closest_to_themselves(cosines: Float) -> None:
    np.testing.assert_array_equal(cosines.argmax(axis=1), np.arange(10))
    np.testing.assert_array_equal(cosines.argmax(axis=0), np.arange(10))


def test_the_threshold_tells_same_from_different(cosines: Float) -> None:
    same = np.eye(10, dtype=bool)
    assert (cosines[same] > SAME_PERSON).all()
    assert (cosines[~same] > SAME_PERSON).mean() < 0.1


@pytest.mark.parametrize("scale", [0.4, 2.0])
def test_size_hardly_matters(photo: Photos, swapper: FaceSwapper, embedder: Network, scale: float) -> None:
    picture, face = photo(3, "studio_portrait")
    resized = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    (again,) = swapper.detect(resized)
    here, there = (
        embed(Pyramid(picture), face.landmarks, embedder),
        embed(Pyramid(resized), again.landmarks, embedder),
    )
    assert float(here @ there) > 0.95


def test_a_turned_picture_shows_the_same_person(photo: Photos, embedder: Network) -> None:
    picture, face = photo(9, "amateur_selfie")
    turned = np.ascontiguousarray(np.rot90(picture))
    points = face.landmarks.copy()
    points[:, :2] = np.column_stack([points[:, 1], picture.shape[1] - 1 - points[:, 0]])
    assert (
        float(embed(Pyramid(picture), face.landmarks, embedder) @ embed(Pyramid(turned), points, embedder))
        > 0.98
    )

"""Whom a picture shows and whom a swap is about, by the engine itself."""

import numpy as np
import pytest

from mien import FaceSwap, FaceSwapper
from mien.engine.arrays import RGB, Float
from mien.errors import FaceUnusable, NoFaceFound
from mien.images.codec import decode
from mien.safety.identification import identify
from mien.safety.likeness import FaceList, combine


@pytest.fixture(scope="module")
def swapper() -> FaceSwapper:
    return FaceSwapper(threads=1)


def pixels(picture: bytes) -> RGB:
    return decode(picture).rgb


def embedding(packed: bytes) -> Float:
    return np.asarray(FaceList.unpack(["one"], packed).embeddings[0])


def test_a_swap_tells_whom_it_is_about(swapper: FaceSwapper, ada: list[bytes], ben: bytes) -> None:
    source, target = pixels(ada[1]), pixels(ben)
    (about,) = swapper.swap_faces(target, [FaceSwap((source,))]).identities
    ours, theirs = (embedding(identify(swapper, picture)) for picture in (source, target))
    assert about.source @ ours > 0.95
    assert about.target @ theirs > 0.95
    assert about.source @ theirs < 0.7


def test_three_pictures_of_a_person_are_told_from_somebody_else(
    swapper: FaceSwapper, ada: list[bytes], ben: bytes
) -> None:
    portrait, selfie, posture = (identify(swapper, pixels(picture)) for picture in ada)
    registered = embedding(combine([portrait, posture]))
    assert registered @ embedding(selfie) > 0.78
    assert registered @ embedding(identify(swapper, pixels(ben))) < 0.7


def test_a_picture_must_show_one_face(swapper: FaceSwapper, crowd: bytes, nobody: bytes) -> None:
    with pytest.raises(NoFaceFound):
        identify(swapper, pixels(nobody))
    with pytest.raises(FaceUnusable, match="16 faces"):
        identify(swapper, pixels(crowd))

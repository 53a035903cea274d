"""Is this one of them? Embeddings of faces, and the list that they are compared with.

An embedding is what `FaceSwapper.identify` gives: float32[1024] of unit length. At rest and between processes
it's float16, which moves a similarity by less than 0.001.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from mien.engine.arrays import Float
from mien.errors import FaceUnusable

SIZE: Final = 1024
_PACKED: Final = np.dtype("<f2")
BYTES: Final = SIZE * _PACKED.itemsize
"""Of one packed embedding."""

_STRANGER: Final = 0.55
"""As in `mien.engine.sources`, which measured it."""


def pack(embedding: Float) -> bytes:
    """`BYTES` bytes of an embedding."""
    return embedding.astype(_PACKED).tobytes()


def combine(packed: Sequence[bytes]) -> bytes:
    """One packed embedding for several pictures of a person, which fits others better than any of theirs.

    Raises `FaceUnusable` that says which picture seems to show somebody else, counted from 0.
    """
    embeddings = [np.frombuffer(each, _PACKED).astype(np.float32) for each in packed]
    for number, embedding in enumerate(embeddings):
        if embedding @ embeddings[0] < _STRANGER:
            raise FaceUnusable(
                f"Picture number {number + 1} seems to show somebody else than the first. Leave it out.",
                picture=number,
            )
    mean = np.mean(embeddings, axis=0)
    return pack(mean / np.linalg.norm(mean))


@dataclass(frozen=True)
class Likeness:
    """The face of the list that another is most like. similarity: the cosine of their embeddings."""

    id: str
    similarity: float


@dataclass(frozen=True)
class FaceList:
    """ids: of the faces. embeddings: float32[N, 1024], theirs, in the same order."""

    ids: tuple[str, ...]
    embeddings: NDArray[np.float32]

    @classmethod
    def empty(cls) -> Self:
        return cls.unpack((), b"")

    @classmethod
    def unpack(cls, ids: Sequence[str], packed: bytes) -> Self:
        """From packed embeddings, one behind the other. Unpacked they are twice as large, and quicker."""
        embeddings = np.frombuffer(packed, _PACKED).reshape(len(ids), SIZE)
        return cls(tuple(ids), embeddings.astype(np.float32))

    def most_alike(self, embedding: Float) -> Likeness | None:
        """None if the list is empty."""
        if not self.ids:
            return None
        similarities = self.embeddings @ embedding.astype(np.float32)
        nearest = int(similarities.argmax())
        return Likeness(self.ids[nearest], float(similarities[nearest]))

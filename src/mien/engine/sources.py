"""Between steps 4 and 5: several pictures of one person make one source."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mien.engine.arrays import Float
from mien.engine.faces import Face, PictureFaces
from mien.engine.identity import embed
from mien.engine.models import Network
from mien.engine.occlusion import Occlusion, find_source_occlusion
from mien.engine.pose import Pose, angle_between
from mien.engine.scaling import Pyramid

STRANGER = 0.55
"""Cosine to the first picture below which a picture seems to show somebody else. Of ten people's pictures,
grimaces and turned heads among them, 1 % fell below by mistake; of pictures of others, 84 % did."""

FRONTAL_WITHIN = 20.0
"""Degrees. Depth is guessed, so a picture's proportions count less the further its head is turned: half at
this angle."""

FINE_ENOUGH = 160.0
"""Eye distance in pixels beyond which more of them tell no more about proportions."""

DEGREES_PER_HALVING = 12.0
"""A texture that is half as fine as the result needs is as bad as a view so many degrees further away."""


@dataclass(frozen=True)
class SourcePicture:
    """number: which of the pictures it is."""

    number: int
    picture: Pyramid
    face: Face
    embedder: Network
    occluder: Network

    @cached_property
    def embedding(self) -> Float:
        """float32[1024] of unit length."""
        return embed(self.picture, self.face.landmarks, self.embedder)

    @cached_property
    def occlusion(self) -> Occlusion:
        """What stands in front of the face: looked for once, and only in pictures that give texture."""
        return find_source_occlusion(self.picture, self.face.landmarks, self.occluder)


@dataclass(frozen=True)
class Source:
    """The face to bring in.

    pictures: those that show the first one's person. strangers: numbers of the others. proportions:
    float64[478, 3], the weighted mean of the faces in the canonical frame.
    """

    pictures: tuple[SourcePicture, ...]
    strangers: tuple[int, ...]
    proportions: Float

    @cached_property
    def embedding(self) -> Float:
        """float32[1024] of unit length, the weighted mean of the pictures'."""
        weights = [_weight(picture.face) for picture in self.pictures]
        mean = np.average([picture.embedding for picture in self.pictures], axis=0, weights=weights)
        return np.asarray(mean / np.linalg.norm(mean))

    def nearest(self, target: Face) -> SourcePicture:
        """The picture whose texture fits the target best: seen from the same side, and fine enough."""
        return min(self.pictures, key=lambda picture: _misfit(picture.face, target))


def find_source(
    pictures: Sequence[PictureFaces],
    index: int,
    embedder: Network,
    occluder: Network,
    swap: int | None = None,
) -> Source:
    """Face number `index` of the first picture, and in the others the face that is most like it.

    Raises as `PictureFaces.usable` does.
    """
    pictures[0].usable(index, "source", swap, 0 if len(pictures) > 1 else None)
    shown = [_upright(0, pictures[0], index, embedder, occluder)]
    for number, faces in enumerate(pictures[1:], start=1):
        shown.append(_most_alike(shown[0], faces, number, embedder, occluder, swap))
    same = (shown[0], *(other for other in shown[1:] if other.embedding @ shown[0].embedding >= STRANGER))
    weights = [_weight(picture.face) for picture in same]
    shapes = [picture.face.pose.canonical_from_image(picture.face.landmarks) for picture in same]
    return Source(
        pictures=same,
        strangers=tuple(picture.number for picture in shown if picture not in same),
        proportions=np.average(shapes, axis=0, weights=weights),
    )


def _most_alike(
    first: SourcePicture,
    faces: PictureFaces,
    number: int,
    embedder: Network,
    occluder: Network,
    swap: int | None,
) -> SourcePicture:
    usable = [index for index, face in enumerate(faces.all()) if face.usable]
    if not usable:
        faces.usable(0, "source", swap, number)
    candidates = [_upright(number, faces, index, embedder, occluder) for index in usable]
    return max(candidates, key=lambda candidate: float(candidate.embedding @ first.embedding))


def _upright(
    number: int, faces: PictureFaces, index: int, embedder: Network, occluder: Network
) -> SourcePicture:
    found = faces.upright(index)
    return SourcePicture(number, found.picture, found.face, embedder, occluder)


def _weight(face: Face) -> float:
    turned = angle_between(face.pose, FRONTAL)
    return float(min(1.0, face.eye_distance / FINE_ENOUGH) / (1 + (turned / FRONTAL_WITHIN) ** 2))


def _misfit(face: Face, target: Face) -> float:
    coarser = max(0.0, float(np.log2(target.eye_distance / face.eye_distance)))
    return angle_between(face.pose, target.pose) + DEGREES_PER_HALVING * coarser


FRONTAL = Pose(1.0, np.eye(3), np.zeros(3))

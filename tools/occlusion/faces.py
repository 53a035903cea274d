"""Faces to train on: found by the engine itself and cut out with room around them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import openpeople

from mien.engine.arrays import RGB, Float
from mien.engine.faces import PictureFaces
from mien.engine.landmarks import aligned_crop, warp_crop
from mien.engine.models import Network
from mien.engine.occlusion import EXTENT
from mien.engine.scaling import Pyramid
from mien.engine.topology import MESH_POINTS

ROOM = 1.35
"""Faces are kept this much wider than the network sees them, so that its crop can be turned and moved."""
SIZE = 256


@dataclass(frozen=True)
class FaceCrop:
    """name: the picture's. image: uint8[SIZE, SIZE, 3] RGB, upright. points: float32[468, 2] in it."""

    name: str
    image: RGB
    points: Float


def read_faces(names: Sequence[str], folder: Path) -> list[FaceCrop]:
    """The largest face of each picture, where the engine finds one; and the people of `openpeople`."""
    detector, mesh = Network("centerface.onnx", 1), Network("face_landmarks_478.onnx", 1)
    faces = []
    for name, picture in _pictures(names, folder):
        found = [face for face in PictureFaces(picture, detector, mesh).all() if face.usable]
        if found:
            faces.append(_cut(name, picture, found[0].landmarks))
    return faces


def _pictures(names: Sequence[str], folder: Path) -> Iterator[tuple[str, RGB]]:
    for name in names:
        yield name, _read(folder / f"{name}.jpg")
    people = Path(openpeople.__file__).parent / "data/curated"
    for path in sorted(people.iterdir()):
        for kind in ("studio_portrait", "amateur_selfie", "amateur_posture"):
            picture = _read(path / f"assets/{kind}.jpg")
            yield (
                f"{path.name}_{kind}",
                cv2.resize(picture, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA),
            )


def _read(path: Path) -> RGB:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
    if picture is None:
        raise SystemExit(f"{path} can't be read: give the folder with the training faces")
    return np.asarray(picture, np.uint8)


def _cut(name: str, picture: RGB, landmarks: Float) -> FaceCrop:
    crop_from_image = aligned_crop(landmarks, SIZE, EXTENT * ROOM)
    points = landmarks[:MESH_POINTS, :2] @ crop_from_image[:, :2].T + crop_from_image[:, 2]
    return FaceCrop(name, warp_crop(Pyramid(picture), crop_from_image, SIZE), points.astype(np.float32))

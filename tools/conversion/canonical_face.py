"""MediaPipe's canonical face: the mean mesh, its texture coordinates, triangles and rigid points.

It lies as a protocol buffer in a packed asset file whose table of contents is in the JavaScript beside it.
"""

import io
import json
import re
import struct
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from conversion import BuildError

_ASSET = "geometry_pipeline_metadata_landmarks.binarypb"

# Field numbers of MediaPipe's geometry_pipeline_metadata.proto and mesh_3d.proto.
_CANONICAL_MESH, _PROCRUSTES_BASIS = 1, 2
_VERTEX_BUFFER, _INDEX_BUFFER = 3, 4
_LANDMARK_ID, _WEIGHT = 1, 2

Field = int | bytes
Message = dict[int, list[Field]]


def canonical_face(loader: bytes, assets: bytes) -> bytes:
    """Arrays of the canonical face as an uncompressed .npz, which is the same on every run.

    vertices_cm float32[468, 3] (x right, y up, z towards the viewer), uv float32[468, 2] (origin at the upper
    left), triangles int16[898, 3], procrustes_landmark_ids int16[33], procrustes_weights float32[33].
    """
    metadata = parse_message(_packed_file(loader, assets, _ASSET))
    mesh = parse_message(_bytes(metadata[_CANONICAL_MESH][0]))
    vertices = np.array([_float(field) for field in mesh[_VERTEX_BUFFER]], np.float32).reshape(-1, 5)
    triangles = np.array(mesh[_INDEX_BUFFER], np.int16).reshape(-1, 3)
    basis = [parse_message(_bytes(field)) for field in metadata[_PROCRUSTES_BASIS]]
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "vertices_cm": vertices[:, :3],
        "uv": vertices[:, 3:],
        "triangles": triangles,
        "procrustes_landmark_ids": np.array([point[_LANDMARK_ID][0] for point in basis], np.int16),
        "procrustes_weights": np.array([_float(point[_WEIGHT][0]) for point in basis], np.float32),
    }
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def parse_message(content: bytes) -> Message:
    """All fields of a protocol buffer message by number: varints as int, everything else as raw bytes."""
    fields: Message = defaultdict(list)
    for number, value in _fields(content):
        fields[number].append(value)
    return fields


def _fields(content: bytes) -> Iterator[tuple[int, Field]]:
    position = 0
    while position < len(content):
        tag, position = _varint(content, position)
        kind = tag & 7
        if kind == 0:
            value, position = _varint(content, position)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, position = _varint(content, position)
        else:
            size = {1: 8, 5: 4}[kind]
        yield tag >> 3, content[position : position + size]
        position += size


def _varint(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position


def _bytes(field: Field) -> bytes:
    assert isinstance(field, bytes)
    return field


def _float(field: Field) -> float:
    value: float = struct.unpack("<f", _bytes(field))[0]
    return value


def _packed_file(loader: bytes, assets: bytes, name: str) -> bytes:
    listing = re.search(rb'loadPackage\((\{"files".*?\})\);', loader, re.DOTALL)
    files = json.loads(listing.group(1))["files"] if listing else []
    for file in files:
        if file["filename"].endswith(name):
            return assets[file["start"] : file["end"]]
    raise BuildError(f"the packed assets don't list {name}; is the version right?")

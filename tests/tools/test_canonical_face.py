"""The canonical face is read out of MediaPipe's packed protocol buffer."""

import io
import json
import struct

import numpy as np
import pytest

from conversion import BuildError
from conversion.canonical_face import canonical_face, parse_message


def varint(value: int) -> bytes:
    low = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([*(byte | 0x80 for byte in low[:-1]), low[-1]])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def real(field: int, value: float) -> bytes:
    return varint(field << 3 | 5) + struct.pack("<f", value)


def message(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def packed(name: str, content: bytes) -> tuple[bytes, bytes]:
    """Loader and assets with one file behind three other bytes."""
    listing = {"files": [{"filename": f"/modules/{name}", "start": 3, "end": 3 + len(content)}]}
    return f"loadPackage({json.dumps(listing)});".encode(), b"..." + content


def test_numbers_and_bytes_of_a_message_are_told_apart() -> None:
    fields = parse_message(number(1, 300) + message(2, b"abc") + number(1, 0) + real(3, 1.5))
    assert fields == {1: [300, 0], 2: [b"abc"], 3: [struct.pack("<f", 1.5)]}


def test_vertices_triangles_and_rigid_points_become_arrays() -> None:
    vertices = np.arange(15, dtype=np.float32).reshape(3, 5)
    mesh = b"".join(real(3, float(value)) for value in vertices.ravel())
    mesh += b"".join(number(4, index) for index in (2, 0, 1))
    face = message(1, mesh) + message(2, number(1, 467) + real(2, 0.25))
    loader, assets = packed("geometry_pipeline_metadata_landmarks.binarypb", face)

    with np.load(io.BytesIO(canonical_face(loader, assets)), allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["vertices_cm"], vertices[:, :3])
        np.testing.assert_array_equal(arrays["uv"], vertices[:, 3:])
        np.testing.assert_array_equal(arrays["triangles"], [[2, 0, 1]])
        np.testing.assert_array_equal(arrays["procrustes_landmark_ids"], [467])
        np.testing.assert_array_equal(arrays["procrustes_weights"], [0.25])


def test_assets_without_the_face_are_refused() -> None:
    with pytest.raises(BuildError, match="is the version right"):
        canonical_face(*packed("something_else.binarypb", b""))

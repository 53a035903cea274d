"""What the worker and its engine processes say to each other: JSON with blobs of bytes behind it.

    frame = <length of the head: uint32> <head: JSON> <blob> <blob> …

The head's `blobs` gives the blobs' lengths. There is no pickle in it: the engine process works on hostile
pictures, and the worker must be able to read whatever it says.
"""

import asyncio
import json
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

Frame = tuple[dict[str, Any], list[bytes]]

_LENGTH = struct.Struct("!I")


def pack(head: dict[str, Any], *blobs: bytes) -> list[bytes]:
    """The parts of a frame, to be written one after the other."""
    encoded = json.dumps({**head, "blobs": [len(blob) for blob in blobs]}).encode()
    return [_LENGTH.pack(len(encoded)), encoded, *blobs]


async def read_async(stream: asyncio.StreamReader) -> Frame:
    """The next frame. Raises `asyncio.IncompleteReadError` (an `EOFError`) when the other side is gone."""
    (length,) = _LENGTH.unpack(await stream.readexactly(_LENGTH.size))
    head = json.loads(await stream.readexactly(length))
    return head, [await stream.readexactly(size) for size in head["blobs"]]


def read(stream: BinaryIO) -> Frame:
    """The next frame, blocking. Raises `EOFError` when the other side is gone."""
    (length,) = _LENGTH.unpack(_exactly(stream.read, _LENGTH.size))
    head = json.loads(_exactly(stream.read, length))
    return head, [_exactly(stream.read, size) for size in head["blobs"]]


def _exactly(read_up_to: Callable[[int], bytes], size: int) -> bytes:
    data = read_up_to(size)
    if len(data) < size:
        raise EOFError
    return data

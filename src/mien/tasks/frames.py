"""What a process and its engine processes say to each other: JSON with blobs of bytes behind it.

    frame = <length of the head: uint32> <head: JSON> <blob> <blob> …

The head's `blobs` gives the blobs' lengths. There is no pickle in it: the engine process works on hostile
pictures, and its parent must be able to read whatever it says.
"""

import asyncio
import json
import os
import queue
import struct
import sys
import threading
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


def write(stream: BinaryIO, head: dict[str, Any], *blobs: bytes) -> None:
    """Write a frame, blocking."""
    for part in pack(head, *blobs):
        stream.write(part)
    stream.flush()


def take_over_stdio() -> tuple["queue.Queue[Frame]", BinaryIO]:
    """Requests from stdin, and the stream for replies; what else writes to stdout goes to stderr from now on.

    Requests are read in a thread, so that the end of stdin ends the process at once.
    """
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests: queue.Queue[Frame] = queue.Queue()

    def listen() -> None:
        try:
            while True:
                requests.put(read(sys.stdin.buffer))
        except EOFError:
            os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    return requests, replies


def _exactly(read_up_to: Callable[[int], bytes], size: int) -> bytes:
    data = read_up_to(size)
    if len(data) < size:
        raise EOFError
    return data

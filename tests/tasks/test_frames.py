import asyncio
import io

import pytest

from mien.tasks import frames


def packed(*blobs: bytes) -> bytes:
    return b"".join(frames.pack({"kind": "picture", "text": "Grüße"}, *blobs))


@pytest.mark.parametrize("blobs", [[], [b""], [b"a" * 100_000, b"b"]])
async def test_both_readers_give_back_what_was_packed(blobs: list[bytes]) -> None:
    stream = asyncio.StreamReader()
    stream.feed_data(packed(*blobs) * 2)
    stream.feed_eof()
    file = io.BytesIO(packed(*blobs) * 2)
    for _ in range(2):
        for head, got in (await frames.read_async(stream), frames.read(file)):
            assert (head["kind"], head["text"], got) == ("picture", "Grüße", blobs)
    with pytest.raises(EOFError):
        await frames.read_async(stream)
    with pytest.raises(EOFError):
        frames.read(file)


@pytest.mark.parametrize("kept", [1, 3, 4, 10, -1])
async def test_a_frame_that_breaks_off_is_an_end(kept: int) -> None:
    stream = asyncio.StreamReader()
    stream.feed_data(packed(b"blob")[:kept])
    stream.feed_eof()
    with pytest.raises(EOFError):
        await frames.read_async(stream)
    with pytest.raises(EOFError):
        frames.read(io.BytesIO(packed(b"blob")[:kept]))

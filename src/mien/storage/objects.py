"""Objects: the bytes of pictures under keys such as `results/<task>/<attempt>/face-swap.png`.

A store is a folder, or a bucket at S3, Google Cloud Storage or Azure. Everything here takes the store first,
and a missing object is always `FileNotFoundError`. Where the operator has set a key, objects are sealed on
their way in and opened on their way out (`mien.sealing`): sizes and parts are those of the pictures.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
import obstore.exceptions
import structlog
from obstore.store import LocalStore, ObjectStore, from_url

from mien import sealing
from mien.sealing import HEAD, PIECE, SEALED_PIECE, Opener, Sealing

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult  # exist for type checkers only

logger = structlog.get_logger(__name__)

STREAM_CHUNK = 256 * 1024
_KEYS = "keys/"
"""An object for each key that has sealed something, named by its id."""


@dataclass(frozen=True)
class Store:
    place: ObjectStore
    sealing: Sealing


@dataclass(frozen=True)
class ObjectInfo:
    key: str
    size: int  # bytes, as they are stored
    modified: datetime


@dataclass(frozen=True)
class OpenObject:
    """An object about to be sent: its size is known before its bytes are read."""

    size: int  # bytes of the whole, also where only a part is sent
    chunks: AsyncIterator[bytes]


def open_store(location: str | Path, sealing: Sealing | None = None) -> Store:
    """The store at `location`: a folder, which is made if missing, or an `s3://`, `gs://` or `az://` address.

    Buckets take their credentials from the environment, under the names that each provider documents. What is
    put there is sealed by `sealing`; without it, nothing is.
    """
    if "://" in str(location):
        place = from_url(str(location))
    else:
        # Empty folders go with their last object, so that a task leaves nothing behind.
        place = LocalStore(Path(location).absolute(), mkdir=True, automatic_cleanup=True)
    return Store(place, sealing or Sealing())


def check_keys(store: Store) -> None:
    """Make sure that all that is in the store can be opened, and note the key that seals from now on; blocks.

    So a service whose key got lost or was mistyped doesn't start, and fails no task. Raises `SealBroken`. A
    place that can't be reached right now is none of this one's business.
    """
    try:
        noted = {item["path"] for batch in obstore.list(store.place, _KEYS) for item in batch}
        for path in noted:
            store.sealing.open(bytes(obstore.get(store.place, path).bytes()))
        for key in store.sealing.keys[:1]:
            if (path := _KEYS + key.id.hex()) not in noted:
                obstore.put(store.place, path, store.sealing.seal(key.id), use_multipart=False)
    except obstore.exceptions.BaseError as error:
        logger.warning("the keys of the storage could not be checked", reason=str(error).partition("\n")[0])


async def forget_old_keys(store: Store) -> None:
    """Note that nothing in the store is sealed with another key than the one that seals now."""
    current = {_KEYS + key.id.hex() for key in store.sealing.keys[:1]}
    async for batch in list_objects(store, _KEYS):
        await delete(store, {found.key for found in batch} - current)


async def put(store: Store, key: str, data: bytes) -> None:
    """Store `data` under `key`, all or nothing."""
    sealed = await asyncio.to_thread(store.sealing.seal, data)
    await obstore.put_async(store.place, key, sealed, use_multipart=False)


async def read(store: Store, key: str) -> bytes:
    """All bytes of an object. Raises `SealBroken` if its key is missing or it was changed."""
    found = await obstore.get_async(store.place, key)
    data = bytes(await found.bytes_async())
    return await asyncio.to_thread(store.sealing.open, data) if sealing.is_sealed(data) else data


async def size_of(store: Store, key: str) -> int:
    """How many bytes an object has."""
    size, _ = await _beginning(store, key)
    return size


async def open_object(store: Store, key: str, part: range | None = None) -> OpenObject:
    """Open an object, or a `part` of it, to be sent piece by piece: memory doesn't grow with its size.

    Raises `SealBroken` if its key is missing; where it was changed, its chunks end with that.
    """
    if part is None:
        return await _open_whole(store, key)
    size, opener = await _beginning(store, key)
    if opener is None:
        found = await obstore.get_async(store.place, key, options=_only(part))
        return OpenObject(size, _chunks(found))
    first, behind_last = part.start // PIECE, -(-part.stop // PIECE)
    sealed = range(HEAD + first * SEALED_PIECE, HEAD + behind_last * SEALED_PIECE)
    found = await obstore.get_async(store.place, key, options=_only(sealed))
    return OpenObject(size, _opened(_chunks(found), opener, first, part, size))


async def copy(store: Store, source: str, target: str) -> None:
    """Store what is under `source` under `target`, too: an object of its own, as young as any new one.

    What is sealed stays sealed with the key that sealed it.
    """
    if isinstance(store.place, LocalStore):  # which would make a link, as old as what it leads to
        found = await obstore.get_async(store.place, source)
        await obstore.put_async(store.place, target, found.stream(min_chunk_size=STREAM_CHUNK))
    else:
        await obstore.copy_async(store.place, source, target)


async def seal_again(store: Store, key: str) -> bool:
    """Store an object as it would be stored now, sealed by the current key; False if it is already."""
    found = await obstore.get_async(store.place, key)
    data = bytes(await found.bytes_async())
    if store.sealing.is_current(data):
        return False
    await put(store, key, store.sealing.open(data))
    return True


async def delete(store: Store, keys: Iterable[str]) -> None:
    """Delete objects; one that is gone already is no error."""
    for key in keys:
        with suppress(FileNotFoundError):
            await obstore.delete_async(store.place, key)


async def list_objects(store: Store, prefix: str) -> AsyncIterator[list[ObjectInfo]]:
    """All objects below `prefix`, in batches of up to a thousand."""
    async for batch in obstore.list(store.place, prefix, chunk_size=1000):
        yield [ObjectInfo(item["path"], item["size"], item["last_modified"]) for item in batch]


async def _open_whole(store: Store, key: str) -> OpenObject:
    found = await obstore.get_async(store.place, key)
    size, chunks = found.meta["size"], _chunks(found)
    first = await anext(chunks, b"")
    if not sealing.is_sealed(first):
        return OpenObject(size, _joined(first, chunks))
    size, opener = sealing.plain_size(size), store.sealing.opener(first[:HEAD])
    return OpenObject(size, _opened(_joined(first[HEAD:], chunks), opener, 0, range(size), size))


async def _joined(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in others:
        yield chunk


async def _beginning(store: Store, key: str) -> tuple[int, Opener | None]:
    """An object's size as it was put there, and what opens it if it's sealed."""
    found = await obstore.get_async(store.place, key, options=_only(range(HEAD)))
    head, size = bytes(await found.bytes_async()), found.meta["size"]
    if not sealing.is_sealed(head):
        return size, None
    return sealing.plain_size(size), store.sealing.opener(head)


def _only(part: range) -> "GetOptions":
    return {"range": (part.start, part.stop)}


async def _chunks(found: "GetResult") -> AsyncIterator[bytes]:
    async for chunk in found.stream(min_chunk_size=STREAM_CHUNK):
        yield bytes(chunk)


async def _opened(
    chunks: AsyncIterator[bytes], opener: Opener, number: int, part: range, size: int
) -> AsyncIterator[bytes]:
    """The bytes `part` of a content of so many bytes; `chunks` are its sealed pieces from that number on."""
    last = max(size - 1, 0) // PIECE
    sealed = b""
    async for chunk in chunks:
        sealed += chunk
        whole = len(sealed) // SEALED_PIECE
        if whole:
            yield _open(opener, sealed[: whole * SEALED_PIECE], number, last, part)
            sealed, number = sealed[whole * SEALED_PIECE :], number + whole
    if sealed:
        yield _open(opener, sealed, number, last, part)


def _open(opener: Opener, sealed: bytes, first: int, last: int, part: range) -> bytes:
    """What sealed pieces, `first` and those behind it, hold of `part`; `last` is the content's last piece."""
    view = memoryview(sealed)
    plain = b"".join(
        opener.open_piece(number, view[start : start + SEALED_PIECE], is_last=number == last)
        for number, start in enumerate(range(0, len(sealed), SEALED_PIECE), first)
    )
    begins = first * PIECE
    return plain[max(part.start - begins, 0) : part.stop - begins]

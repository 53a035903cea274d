"""Objects: the bytes of pictures under keys such as `results/<task>/<attempt>/face-swap.png`.

A store is a folder, or a bucket at S3, Google Cloud Storage or Azure. Everything here takes the store first,
and a missing object is always `FileNotFoundError`.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.store import LocalStore, ObjectStore, from_url

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult  # exist for type checkers only

STREAM_CHUNK = 256 * 1024


@dataclass(frozen=True)
class ObjectInfo:
    key: str
    size: int  # bytes
    modified: datetime


@dataclass(frozen=True)
class OpenObject:
    """An object about to be sent: its size is known before its bytes are read."""

    size: int  # bytes of the whole, also where only a part is sent
    chunks: AsyncIterator[bytes]


def open_store(location: str | Path) -> ObjectStore:
    """The store at `location`: a folder, which is made if missing, or an `s3://`, `gs://` or `az://` address.

    Buckets take their credentials from the environment, under the names that each provider documents.
    """
    if "://" in str(location):
        return from_url(str(location))
    # Empty folders go with their last object, so that a task leaves nothing behind.
    return LocalStore(Path(location).absolute(), mkdir=True, automatic_cleanup=True)


async def put(store: ObjectStore, key: str, data: bytes) -> None:
    """Store `data` under `key`, all or nothing."""
    await obstore.put_async(store, key, data, use_multipart=False)


async def read(store: ObjectStore, key: str) -> bytes:
    """All bytes of an object."""
    found = await obstore.get_async(store, key)
    return bytes(await found.bytes_async())


async def size_of(store: ObjectStore, key: str) -> int:
    """How many bytes an object has."""
    found = await obstore.head_async(store, key)
    return found["size"]


async def open_object(store: ObjectStore, key: str, part: range | None = None) -> OpenObject:
    """Open an object, or a `part` of it, to be sent piece by piece: memory doesn't grow with its size."""
    options: GetOptions = {"range": (part.start, part.stop)} if part else {}
    found = await obstore.get_async(store, key, options=options)
    return OpenObject(found.meta["size"], _chunks(found))


async def copy(store: ObjectStore, source: str, target: str) -> None:
    """Store what is under `source` under `target`, too: an object of its own, as young as any new one."""
    if isinstance(store, LocalStore):  # which would make a link, as old as what it leads to
        found = await obstore.get_async(store, source)
        await obstore.put_async(store, target, found.stream(min_chunk_size=STREAM_CHUNK))
    else:
        await obstore.copy_async(store, source, target)


async def _chunks(found: "GetResult") -> AsyncIterator[bytes]:
    async for chunk in found.stream(min_chunk_size=STREAM_CHUNK):
        yield bytes(chunk)


async def delete(store: ObjectStore, keys: Iterable[str]) -> None:
    """Delete objects; one that is gone already is no error."""
    for key in keys:
        with suppress(FileNotFoundError):
            await obstore.delete_async(store, key)


async def list_objects(store: ObjectStore, prefix: str) -> AsyncIterator[list[ObjectInfo]]:
    """All objects below `prefix`, in batches of up to a thousand."""
    async for batch in obstore.list(store, prefix, chunk_size=1000):
        yield [ObjectInfo(item["path"], item["size"], item["last_modified"]) for item in batch]

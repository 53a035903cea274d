"""Where a task's two pictures are, from the request until a worker has their bytes.

A task's row holds a `Source` for each field; bytes that came with the request are objects under
`inputs/<task>/` until the task ends. Addresses under our own public address never go over HTTP: they name an
object or a sample.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Literal
from urllib.parse import SplitResult, unquote, urlsplit
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from mien.errors import ImageUnreachable, InvalidRequest, PayloadTooLarge
from mien.images.fetch import FetchPolicy, fetch
from mien.resources import Resources
from mien.settings import Settings
from mien.storage import addresses, objects, samples
from mien.tasks import queries

FIELDS = ("image", "face_image")
"""The request's fields that hold pictures: the target first."""


@dataclass(frozen=True)
class Source:
    """Where one picture is: an address to fetch, an object's key, or a sample's name."""

    kind: Literal["address", "object", "sample"]
    value: str


def prefix(task_id: str) -> str:
    return f"inputs/{task_id}/"


async def keep(
    resources: Resources,
    session: AsyncSession,
    account_id: UUID,
    task_id: str,
    pictures: Mapping[str, str | bytes],
) -> dict[str, Any]:
    """Make sources of a request's pictures, storing those that came as bytes; as a task's row holds them.

    Raises `PayloadTooLarge` and `InvalidRequest` for what can never work.
    """
    sources = {}
    for field, picture in pictures.items():
        if isinstance(picture, bytes):
            source = await _store(resources, task_id, field, picture)
        else:
            source = await _resolve(resources, session, account_id, field, picture)
        sources[field] = asdict(source)
    return sources


async def load(resources: Resources, inputs: Mapping[str, Any]) -> list[bytes]:
    """The bytes of a task's pictures, in the order of `FIELDS`, fetched at the same time.

    Raises `TaskError` for the first picture that can't be had.
    """
    sources = {field: Source(**inputs[field]) for field in FIELDS}
    try:
        async with asyncio.TaskGroup() as group:
            loads = [group.create_task(_load(resources, field, source)) for field, source in sources.items()]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [loaded.result() for loaded in loads]


async def discard(resources: Resources, task_id: str) -> None:
    """Delete what a request brought along, once its task has ended."""
    await objects.delete(resources.store, [prefix(task_id) + field for field in FIELDS])


async def _store(resources: Resources, task_id: str, field: str, picture: bytes) -> Source:
    limit = resources.settings.max_image_bytes
    if len(picture) > limit:
        raise PayloadTooLarge(
            f"`{field}` has {len(picture):,} bytes; at most {limit:,} are accepted. Send a smaller picture.",
            param=field,
        )
    key = prefix(task_id) + field
    await objects.put(resources.store, key, picture)
    return Source("object", key)


async def _resolve(
    resources: Resources, session: AsyncSession, account_id: UUID, field: str, address: str
) -> Source:
    path = _own_path(resources.settings, address)
    if path is None:
        return Source("address", address)
    if path.startswith(samples.PREFIX) and samples.sample(name := path.removeprefix(samples.PREFIX)):
        return Source("sample", name)
    key = addresses.key_of_path(path, resources.secret)
    if key and await queries.owns_result(session, account_id, key):
        return Source("object", key)
    raise InvalidRequest(
        f"`{field}` is an address of this server, but no picture of yours is there. Send the address of one "
        "of your results that hasn't expired.",
        param=field,
    )


def _own_path(settings: Settings, address: str) -> str | None:
    """The path of an address of ours, be it http or https; None for anybody else's."""
    own, given = urlsplit(settings.public_url), urlsplit(address)
    if _place(own) != _place(given):
        return None
    return unquote(given.path.removeprefix(own.path))


def _place(parts: SplitResult) -> tuple[str | None, int | None]:
    return parts.hostname, None if parts.port in (80, 443) else parts.port


async def _load(resources: Resources, field: str, source: Source) -> bytes:
    match source.kind:
        case "address":
            return await fetch(source.value, _policy(resources.settings), param=field)
        case "sample":
            if path := samples.sample(source.value):
                return await asyncio.to_thread(path.read_bytes)
        case "object":
            with suppress(FileNotFoundError):
                return await objects.read(resources.store, source.value)
    raise ImageUnreachable(f"`{field}` has expired since the task was created. Send it again.", param=field)


def _policy(settings: Settings) -> FetchPolicy:
    return FetchPolicy(
        allowed_networks=settings.fetch_allowed_networks,
        max_bytes=settings.max_image_bytes,
        deadline=settings.fetch_timeout.total_seconds(),
    )

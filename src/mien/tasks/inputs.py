"""Where a task's pictures are, from the request until a worker has their bytes.

A task's row holds a `Source` for each field of the request that held a picture. Bytes that came with the
request, and uploads that it named, are objects under `inputs/<task>/` until the task ends. Addresses under
our own public address never go over HTTP: they name an object or a sample.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal
from urllib.parse import SplitResult, unquote, urlsplit
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from mien.errors import ImageTooLarge, ImageUnreachable, InvalidRequest, PayloadTooLarge
from mien.resources import Resources
from mien.settings import Settings
from mien.storage import addresses, objects, samples
from mien.tasks import queries
from mien.uploads import service as uploads

_AT_ONCE: Final = 4
"""Pictures of one task that are loaded at the same time."""
_MANY: Final = 4
"""All pictures of a task may have as many bytes as so many of the largest."""


@dataclass(frozen=True)
class Source:
    """Where one picture is: an address to fetch, an object's key, or a sample's name."""

    kind: Literal["address", "object", "sample"]
    value: str


def key_of(task_id: str, field: str) -> str:
    """The object of a picture that came with the request, without characters that an address escapes."""
    return f"inputs/{task_id}/" + field.replace("[", ".").replace("]", "")


async def keep(
    resources: Resources, account_id: UUID, task_id: str, pictures: Mapping[str, str | bytes]
) -> dict[str, Any]:
    """Make sources of a request's pictures, storing what must not go away; as a task's row holds them.

    Raises `PayloadTooLarge` and `InvalidRequest` for what can never work.
    """
    sources = {}
    # Addresses first, so that nothing is stored for a request that is refused, and no connection held.
    async with resources.autocommit() as session:
        for field, picture in pictures.items():
            if isinstance(picture, bytes):
                _check_size(resources.settings, field, picture)
            else:
                sources[field] = await _resolve(resources, session, account_id, field, picture)
    kept = {
        field: await _keep(resources, task_id, field, pictures[field], sources.get(field))
        for field in pictures
    }
    return {field: asdict(source) for field, source in kept.items()}


async def load(resources: Resources, inputs: Mapping[str, Any]) -> dict[str, bytes]:
    """The bytes of a task's pictures by field, several at the same time; what comes twice is loaded once.

    Raises `TaskError` for the first picture that can't be had.
    """
    sources = {field: Source(**source) for field, source in inputs.items()}
    field_of = {source: field for field, source in reversed(sources.items())}
    slots = asyncio.Semaphore(_AT_ONCE)
    left = _MANY * resources.settings.max_image_bytes

    async def load_one(field: str, source: Source) -> bytes:
        nonlocal left
        async with slots:
            if left <= 0:
                raise ImageTooLarge(
                    "The pictures have too many bytes together. Send smaller ones.", param=field
                )
            data = await _load(resources, field, source)
            left -= len(data)
            return data

    try:
        async with asyncio.TaskGroup() as group:
            loads = {source: group.create_task(load_one(field, source)) for source, field in field_of.items()}
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return {field: loads[source].result() for field, source in sources.items()}


async def read(resources: Resources, account_id: UUID, field: str, picture: str | bytes) -> bytes:
    """The bytes of a picture that is needed at once, for no task.

    Raises `PayloadTooLarge`, `InvalidRequest`, and `TaskError` if it can't be had.
    """
    if isinstance(picture, bytes):
        _check_size(resources.settings, field, picture)
        return picture
    async with resources.autocommit() as session:
        source = await _resolve(resources, session, account_id, field, picture)
    return await _load(resources, field, source)


async def discard(resources: Resources, task_id: str, inputs: Mapping[str, Any]) -> None:
    """Delete what a request brought along, once its task has ended or can't be created."""
    own = key_of(task_id, "")
    await objects.delete(resources.store, [s["value"] for s in inputs.values() if s["value"].startswith(own)])


def _check_size(settings: Settings, field: str, picture: bytes) -> None:
    limit = settings.max_image_bytes
    if len(picture) > limit:
        raise PayloadTooLarge(
            f"`{field}` has {len(picture):,} bytes; at most {limit:,} are accepted. Send a smaller picture.",
            param=field,
        )


async def _resolve(
    resources: Resources, session: AsyncSession, account_id: UUID, field: str, address: str
) -> Source:
    path = _own_path(resources.settings, address)
    if path is None:
        return Source("address", address)
    if path.startswith(samples.PREFIX) and samples.sample(name := path.removeprefix(samples.PREFIX)):
        return Source("sample", name)
    if key := await uploads.find_object(session, account_id, path):
        return Source("object", key)
    result_key = addresses.key_of_path(path, resources.secret)
    if result_key and await queries.owns_result(session, account_id, result_key):
        return Source("object", result_key)
    raise _nothing_there(field)


async def _keep(
    resources: Resources, task_id: str, field: str, picture: str | bytes, source: Source | None
) -> Source:
    key = key_of(task_id, field)
    if isinstance(picture, bytes):
        await objects.put(resources.store, key, picture)
        return Source("object", key)
    assert source is not None  # noqa: S101 - every address has been resolved
    if source.kind == "object" and source.value.startswith(uploads.PREFIX):
        try:
            await objects.copy(resources.store, source.value, key)  # an upload may be deleted at any moment
        except FileNotFoundError:
            raise _nothing_there(field) from None
        return Source("object", key)
    return source


def _nothing_there(field: str) -> InvalidRequest:
    return InvalidRequest(
        f"`{field}` is an address of this server, but no picture of yours is there. Send the address of an "
        "upload or a result of yours that hasn't expired.",
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
            return await _fetch(resources.settings, field, source.value)
        case "sample":
            if path := samples.sample(source.value):
                return await asyncio.to_thread(path.read_bytes)
        case "object":
            with suppress(FileNotFoundError):
                return await objects.read(resources.store, source.value)
    raise ImageUnreachable(f"`{field}` has expired since the task was created. Send it again.", param=field)


async def _fetch(settings: Settings, field: str, address: str) -> bytes:
    from mien.images.fetch import FetchPolicy, fetch  # an API process hardly ever fetches

    policy = FetchPolicy(
        allowed_networks=settings.fetch_allowed_networks,
        max_bytes=settings.max_image_bytes,
        deadline=settings.fetch_timeout.total_seconds(),
    )
    return await fetch(address, policy, param=field)

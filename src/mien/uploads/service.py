"""Uploads: pictures sent once, to be named in any number of tasks until they expire or are deleted.

A task that is created copies the pictures that it names: an upload may go at any time, and no task misses it.
"""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import BinaryIO
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from mien.accounts.models import Account
from mien.errors import NotFound, TaskError
from mien.http.errors import refusal_of_picture
from mien.images.containers import Container
from mien.images.headers import DecodeLimits, read_header
from mien.resources import Resources
from mien.settings import Settings
from mien.storage import objects
from mien.uploads import queries
from mien.uploads.models import Upload

PREFIX = "uploads/"

_SUFFIX = "_upload"
_BATCH = 200
_KEY = re.compile(rf"{PREFIX}[0-9a-f]{{32}}{_SUFFIX}/picture\.[a-z]+")
# Pictures of one process that are in memory at once, to be checked and stored; the others wait on disk.
_in_memory = asyncio.Semaphore(4)


async def create(resources: Resources, account_id: UUID, file: BinaryIO) -> Upload:
    """Check the header of the picture in `file` and keep it.

    Raises `InvalidRequest` and `PayloadTooLarge`.
    """
    async with _in_memory:
        data = await asyncio.to_thread(file.read)
        upload = await asyncio.to_thread(_describe, data, resources.settings)
        await objects.put(resources.store, upload.key, data)
    try:
        async with resources.sessions.begin() as session:
            upload.account_id = account_id
            await queries.add(session, upload, await _lifetime(session, resources.settings, account_id))
    except BaseException:
        await objects.delete(resources.store, [upload.key])
        raise
    return upload


async def delete(resources: Resources, account_id: UUID, upload_id: str) -> None:
    """Delete an account's own upload at once. Raises `NotFound`, also for somebody else's."""
    key = None
    if "\0" not in upload_id:  # which the database wouldn't take
        async with resources.sessions.begin() as session:
            key = await queries.remove(session, account_id, upload_id)
    if key is None:
        raise NotFound("There is no such upload. Check the id and the key.", param="upload_id")
    await objects.delete(resources.store, [key])


async def erase(resources: Resources, account_id: UUID) -> None:
    """Delete all uploads of a deleted account. It can be cut off at any moment and be done again."""
    while uploads := await _some(resources, account_id):
        # Objects first: as long as there is a row, its object is looked for again.
        await objects.delete(resources.store, [upload.key for upload in uploads])
        async with resources.sessions.begin() as session:
            await queries.forget(session, [upload.id for upload in uploads])


async def _some(resources: Resources, account_id: UUID) -> Sequence[Upload]:
    async with resources.sessions() as session:
        return await queries.of_account(session, account_id, _BATCH)


async def find_object(session: AsyncSession, account_id: UUID, path: str) -> str | None:
    """The key of the object that `path` names, which may be an address of ours, its path, or the key itself.

    None unless it's an upload of the account that hasn't expired. It may be deleted at any moment: who needs
    it for longer than it takes to read copies it (`mien.storage.objects.copy`), and takes `FileNotFoundError`
    for the same answer.
    """
    found = _KEY.search(path)
    if found and found.end() == len(path) and await queries.holds(session, account_id, found[0]):
        return found[0]
    return None


async def _lifetime(session: AsyncSession, settings: Settings, account_id: UUID) -> timedelta:
    account = await session.get_one(Account, account_id)
    return min(settings.upload_retention, account.retention or settings.result_retention)


def _describe(data: bytes, settings: Settings) -> Upload:
    limits = DecodeLimits(max_bytes=settings.max_image_bytes, max_pixels=settings.max_pixels)
    try:
        header = read_header(data, limits)
    except TaskError as error:
        raise refusal_of_picture(error) from None
    upload_id = uuid4().hex + _SUFFIX
    format = "jpg" if header.format == "jpeg" else header.format
    width, height = _upright_size(header)
    return Upload(
        id=upload_id,
        key=f"{PREFIX}{upload_id}/picture.{format}",
        format=format,
        width=width,
        height=height,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def _upright_size(header: Container) -> tuple[int, int]:
    turned = header.orientation >= 5  # by a quarter
    return (header.height, header.width) if turned else (header.width, header.height)

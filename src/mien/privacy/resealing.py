"""Bringing all that is stored under the key that seals now, so that keys before it can go."""

from contextlib import suppress
from typing import Final

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mien.errors import SetupError
from mien.resources import Resources
from mien.safety.models import ListedFace
from mien.sealing import Sealing
from mien.storage import objects
from mien.webhooks.models import CallbackSecret, Endpoint

logger = structlog.get_logger(__name__)

_PLACES: Final = ("uploads/", "inputs/", "results/", "annotated/")


async def reseal(resources: Resources) -> int:
    """Seal everything with the current key that isn't yet; how many objects that were.

    It can be cut off at any moment and be done again. Raises `SetupError` if there is no key, and
    `SealBroken` if one is missing.
    """
    if not resources.sealing.keys:
        raise SetupError("There is no key to seal with: set MIEN_STORAGE_KEY or MIEN_STORAGE_KEY_FILE.")
    count = 0
    for place in _PLACES:
        async for batch in objects.list_objects(resources.store, place):
            for found in batch:
                with suppress(FileNotFoundError):  # it was deleted meanwhile
                    count += await objects.seal_again(resources.store, found.key)
    async with resources.sessions.begin() as session:
        await _reseal_secrets(session, resources.sealing)
    await objects.forget_old_keys(resources.store)
    logger.info("sealed again", objects=count)
    return count


async def _reseal_secrets(session: AsyncSession, sealing: Sealing) -> None:
    endpoints = await session.scalars(select(Endpoint).with_for_update())
    of_callbacks = await session.scalars(select(CallbackSecret).with_for_update())
    for face in await session.scalars(select(ListedFace).with_for_update()):
        face.embedding = sealing.seal(sealing.open(face.embedding))
    for signing in (*endpoints, *of_callbacks):
        signing.secret = sealing.seal_text(sealing.open_text(signing.secret))
        if signing.previous_secret:
            signing.previous_secret = sealing.seal_text(sealing.open_text(signing.previous_secret))

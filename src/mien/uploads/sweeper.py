"""Deletes uploads whose time is over. Like the tasks' sweeper, it can be killed at any moment."""

from datetime import UTC, datetime, timedelta

import structlog

from mien.resources import Resources
from mien.storage import objects
from mien.uploads import queries
from mien.uploads.service import PREFIX

logger = structlog.get_logger(__name__)

_BATCH = 500


async def expire(resources: Resources) -> None:
    """Forget uploads that have expired, then delete their objects."""
    keys: list[str] = []
    while not keys or len(keys) == _BATCH:
        async with resources.sessions.begin() as session:
            keys = list(await queries.remove_expired(session, _BATCH))
        if not keys:
            return
        await objects.delete(resources.store, keys)
        logger.info("uploads expired", count=len(keys))


async def sweep(resources: Resources, older_than: timedelta) -> None:
    """Delete objects that no upload names: of rows that never came, or went without them."""
    before = datetime.now(UTC) - older_than
    async for batch in objects.list_objects(resources.store, PREFIX):
        keys = [found.key for found in batch if found.modified < before]
        async with resources.sessions() as session:
            kept = await queries.kept(session, keys)
        await objects.delete(resources.store, set(keys) - kept)

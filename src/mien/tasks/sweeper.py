"""Deletes pictures whose time is over. It can be killed at any moment and does the rest the next time."""

from datetime import UTC, datetime, timedelta

import structlog

from mien.resources import Resources
from mien.storage import objects
from mien.tasks import idempotency, queries
from mien.uploads import sweeper as uploads

logger = structlog.get_logger(__name__)

# An object is stored before the row that names it is committed; an hour covers every try.
_ORPHAN_AGE = timedelta(hours=1)
_BATCH = 500


async def clean(resources: Resources) -> None:
    """Delete all that is over. Several processes may do so at once."""
    await expire(resources)
    await sweep(resources)
    await forget_idempotency_keys(resources)
    await uploads.expire(resources)
    await uploads.sweep(resources, _ORPHAN_AGE)


async def expire(resources: Resources) -> None:
    """Forget results that are past their retention, then delete their objects."""
    keys: list[str] = []
    while not keys or len(keys) == _BATCH:
        async with resources.sessions.begin() as session:
            keys = list(await queries.expire_results(session, _BATCH))
        if not keys:
            return
        await objects.delete(resources.store, keys)
        logger.info("results expired", count=len(keys))


async def forget_idempotency_keys(resources: Resources) -> None:
    """Forget keys that may be used for something else by now."""
    async with resources.sessions.begin() as session:
        await idempotency.forget_old(session)


async def sweep(resources: Resources, older_than: timedelta = _ORPHAN_AGE) -> None:
    """Delete objects that no task needs: results that didn't win, inputs of tasks that have ended."""
    before = datetime.now(UTC) - older_than
    async for batch in objects.list_objects(resources.store, "results/"):
        keys = [found.key for found in batch if found.modified < before]
        async with resources.sessions() as session:
            kept = await queries.kept_results(session, keys)
        await objects.delete(resources.store, set(keys) - kept)
    async for batch in objects.list_objects(resources.store, "inputs/"):
        by_key = {found.key: found.key.split("/")[1] for found in batch if found.modified < before}
        async with resources.sessions() as session:
            kept = await queries.open_tasks(session, list(by_key.values()))
        await objects.delete(resources.store, [key for key, task_id in by_key.items() if task_id not in kept])

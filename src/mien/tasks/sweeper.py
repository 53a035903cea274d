"""Deletes pictures whose time is over. It can be killed at any moment and does the rest the next time."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from mien.resources import Resources
from mien.storage.sweeping import delete_expired, delete_unnamed
from mien.tasks import idempotency, queries
from mien.uploads import sweeper as uploads

# An object is stored before the row that names it is committed; an hour covers every try.
_ORPHAN_AGE = timedelta(hours=1)


async def clean(resources: Resources) -> None:
    """Delete all that is over. Several processes may do so at once."""
    await expire(resources)
    await sweep(resources)
    await forget_idempotency_keys(resources)
    await uploads.expire(resources)
    await uploads.sweep(resources, _ORPHAN_AGE)


async def expire(resources: Resources) -> None:
    """Forget results that are past their retention, then delete their objects."""
    await delete_expired(resources.store, resources.sessions, queries.expire_results, "results expired")


async def forget_idempotency_keys(resources: Resources) -> None:
    """Forget keys that may be used for something else by now."""
    async with resources.sessions.begin() as session:
        await idempotency.forget_old(session)


async def sweep(resources: Resources, older_than: timedelta = _ORPHAN_AGE) -> None:
    """Delete objects that no task needs: results that didn't win, inputs of tasks that have ended."""
    store, sessions = resources.store, resources.sessions
    await delete_unnamed(store, sessions, "results/", older_than, queries.kept_results)
    await delete_unnamed(store, sessions, "inputs/", older_than, _inputs_of_open_tasks)


async def _inputs_of_open_tasks(session: AsyncSession, keys: Sequence[str]) -> set[str]:
    task_ids = {key: key.split("/")[1] for key in keys}
    still_open = await queries.open_tasks(session, list(task_ids.values()))
    return {key for key, task_id in task_ids.items() if task_id in still_open}

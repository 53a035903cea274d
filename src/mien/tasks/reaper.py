"""Finds tasks that nobody works on, in every API process: whoever dies at any moment, no task is stuck."""

import socket
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from mien.database.jobs import delete_abandoned
from mien.resources import Resources
from mien.tasks import endings, inputs, jobs, queries

logger = structlog.get_logger(__name__)

_LOCK = 0x7265_6170
_BATCH = 100


async def reap(resources: Resources) -> None:
    """Queue again what dead workers held, end what is overdue or was tried too often, wake what is unheard.

    One transaction under an advisory lock: when another process is at it, this one does nothing.
    """
    async with resources.sessions.begin() as session:
        if not await session.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _LOCK}):
            return
        ended = await _reap(session, resources)
    for task_id, kept in ended.items():
        await inputs.discard(resources, task_id, kept)


async def bury(resources: Resources, pid: int) -> None:
    """A worker on this machine has died: reap what it held at once instead of waiting for its silence."""
    async with resources.sessions.begin() as session:
        await queries.forget_process(session, socket.gethostname(), pid)
    await reap(resources)


async def _reap(session: AsyncSession, resources: Resources) -> dict[str, dict[str, Any]]:
    """The inputs of tasks that ended by it."""
    dead_after = resources.settings.worker_timeout
    overdue = await queries.overdue(session, _BATCH)
    orphaned = [task for task in await queries.orphaned(session, dead_after, _BATCH) if task not in overdue]
    ended: dict[str, dict[str, Any]] = {}
    # In their order: whoever locks several accounts does so alike, and waits for nobody who waits for them.
    for task in sorted([*overdue, *orphaned], key=lambda task: task.account_id):
        kept = task.inputs
        if task in overdue:
            has_ended = await endings.expire(resources, session, task)
        else:
            logger.warning("worker died", task_id=task.id, request_id=task.request_id, attempt=task.attempt)
            has_ended = await endings.give_back(resources, session, task)
        if has_ended:
            ended[task.id] = kept
    await queries.forget_silent_workers(session, dead_after)
    await delete_abandoned(session, dead_after)
    for task_id in await jobs.unheard(session, _BATCH):
        await jobs.wake(session, task_id)
    return ended

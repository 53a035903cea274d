"""Wake-ups for workers: one job says that one task is queued. See `mien.database.jobs`."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, SQLColumnExpression, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from mien.database import jobs
from mien.tasks.models import State, Task

QUEUE: Final = "tasks"


async def wake(session: AsyncSession, task_id: str) -> None:
    """Wake a worker for a queued task when the session's transaction commits, and only then."""
    await jobs.wake(session, QUEUE, task_id)


def waking(task_id: SQLColumnExpression[str]) -> ColumnElement[Any]:
    """The same, as part of another statement."""
    return jobs.waking(literal(QUEUE), task_id)


async def unheard(session: AsyncSession, limit: int) -> Sequence[str]:
    """Queued tasks that still have time, but no job to wake a worker."""
    found = select(Task.id).where(
        Task.state == State.QUEUED, Task.deadline_at > func.now(), jobs.has_no_job(QUEUE, Task.id)
    )
    return (await session.scalars(found.limit(limit))).all()

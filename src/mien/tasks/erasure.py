"""Erasing what a deleted account's tasks say and show. It can be cut off at any moment and be done again.

A task's row stays: the ledger names it, and a picture that carries its mark can still be told for one of
ours. It keeps what is in `_KEPT` and the type of its error. So a column that is new is erased until somebody
decides otherwise.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Column, cast, delete, null, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from mien.database.connection import table_of
from mien.errors import Conflict
from mien.resources import Resources
from mien.storage import objects
from mien.tasks import service
from mien.tasks.models import IdempotencyKey, State, Task, TaskCount

_BATCH: Final = 200
# Whatever an attempt leaves behind without naming it has been swept by then.
_MAY_LEAVE_OBJECTS: Final = timedelta(days=2)
_KEPT: Final = frozenset(
    {"id", "account_id", "state", "stage", "attempt", "credits", "tag"}
    | {"created_at", "deadline_at", "started_at", "completed_at", "expires_at"}
)
_TASKS: Final = table_of(Task)


async def erase(resources: Resources, account_id: UUID) -> None:
    """Cancel the account's tasks, delete their pictures, and leave of their rows what the ledger needs."""
    while task_ids := await _open_tasks(resources, account_id):
        for task_id in task_ids:
            with suppress(Conflict):  # it has ended meanwhile
                await service.cancel(resources, account_id, task_id)
    async with resources.sessions.begin() as session:
        await session.execute(delete(IdempotencyKey).where(IdempotencyKey.account_id == account_id))
        await session.execute(delete(TaskCount).where(TaskCount.subject_id == account_id))
    while tasks := await _unerased(resources, account_id):
        # Objects first: as long as a row isn't erased, its objects are looked for again.
        for task in tasks:
            await _delete_objects(resources, task)
        async with resources.sessions.begin() as session:
            await _erase_rows(session, [task.id for task in tasks])


async def _open_tasks(resources: Resources, account_id: UUID) -> Sequence[str]:
    is_open = or_(Task.state == State.QUEUED, Task.state == State.RUNNING)
    async with resources.sessions() as session:
        found = select(Task.id).where(Task.account_id == account_id, is_open)
        return (await session.scalars(found.limit(_BATCH))).all()


async def _unerased(resources: Resources, account_id: UUID) -> Sequence[Task]:
    async with resources.sessions() as session:
        # Every request has an id, until it's erased.
        found = select(Task).where(Task.account_id == account_id, Task.request_id != "")
        return (await session.scalars(found.limit(_BATCH))).all()


async def _delete_objects(resources: Resources, task: Task) -> None:
    if task.result_key:
        await objects.delete(resources.store, [task.result_key])
    if task.created_at > datetime.now(UTC) - _MAY_LEAVE_OBJECTS:
        for prefix in (f"inputs/{task.id}/", f"results/{task.id}/"):
            async for batch in objects.list_objects(resources.store, prefix):
                await objects.delete(resources.store, [found.key for found in batch])


async def _erase_rows(session: AsyncSession, task_ids: Sequence[str]) -> None:
    erased: dict[Column[Any], Any] = {
        column: _nothing(column)
        for column in _TASKS.columns
        if column.name not in _KEPT and column.computed is None
    }
    # The type of an error is the service's own, its words may quote what was sent; null stays null.
    words = {"message": "This task has been erased.", "param": None}
    erased[_TASKS.c.error] = _TASKS.c.error.concat(cast(words, JSONB))
    await session.execute(update(_TASKS).where(_TASKS.c.id.in_(task_ids)).values(erased))


def _nothing(column: Column[Any]) -> Any:
    if column.nullable:
        return null()
    return {} if isinstance(column.type, JSONB) else ""

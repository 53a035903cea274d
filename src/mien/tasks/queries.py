"""Queries on tasks and workers. Whoever calls them commits.

Changes take the task as it was read and are made only while it's open and still in that state and attempt;
they return whether they were, and endings the task as it ended. Times are the database's, so that machines
needn't agree on theirs.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import (
    CursorResult,
    Interval,
    Select,
    Update,
    bindparam,
    delete,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from mien.accounts.models import Account
from mien.database.connection import table_of
from mien.tasks import jobs, limits
from mien.tasks.models import State, Task, Worker

# Made once, since it runs for every task.
_TASKS = table_of(Task)
_ADD: Final = (
    insert(_TASKS)
    .values(deadline_at=func.now() + bindparam("time_left", type_=Interval))
    .returning(
        _TASKS.c.attempt,
        _TASKS.c.created_at,
        _TASKS.c.deadline_at,
        select(limits.TODAY.c.created).scalar_subquery(),
        jobs.waking(_TASKS.c.id),
    )
)

_FORGOTTEN: Final[Mapping[str, Any]] = {"inputs": {}, "client": None, "pictures": None}
"""What a row loses when its task ends."""


async def add(session: AsyncSession, new: Mapping[str, Any], deadline: timedelta) -> tuple[Task, int]:
    """Write the row of a task that is new, given by column, and count it; when the transaction commits, a
    worker is woken. The task, which the session doesn't keep, and how many the account has created today.
    """
    values = {**new, "time_left": deadline, "subject": new["account_id"]}
    attempt, created_at, deadline_at, created_today, _ = (await session.execute(_ADD, values)).one()
    task = Task(**new, attempt=attempt, created_at=created_at, deadline_at=deadline_at)
    return task, created_today


async def find(session: AsyncSession, account_id: UUID, task_id: str, *, lock: bool = False) -> Task | None:
    found = select(Task).where(Task.id == task_id, Task.account_id == account_id)
    return await session.scalar(found.with_for_update() if lock else found)


async def find_all(session: AsyncSession, task_ids: Sequence[str]) -> Sequence[Task]:
    return (await session.scalars(select(Task).where(Task.id.in_(task_ids)))).all()


async def completed_with_tags(session: AsyncSession, tags: Sequence[int]) -> Sequence[Task]:
    """Tasks whose results carry one of these watermarks, the newest first."""
    if not tags:
        return ()
    found = select(Task).where(Task.tag.in_(tags), Task.state == State.COMPLETED)
    return (await session.scalars(found.order_by(Task.completed_at.desc()))).all()


async def owns_result(session: AsyncSession, account_id: UUID, key: str) -> bool:
    found = select(Task.id).where(
        Task.account_id == account_id, Task.result_key == key, Task.expires_at > func.now()
    )
    return await session.scalar(found) is not None


async def start(session: AsyncSession, task_id: str, worker_id: UUID) -> Task | None:
    """Take a queued task for a new attempt; None if it isn't queued any more or too late."""
    return await session.scalar(
        update(Task)
        .where(Task.id == task_id, Task.state == State.QUEUED, Task.deadline_at > func.now())
        .values(
            state=State.RUNNING,
            stage="fetching",
            attempt=Task.attempt + 1,
            worker_id=worker_id,
            started_at=func.coalesce(Task.started_at, func.now()),
        )
        .returning(Task)
    )


async def is_held(session: AsyncSession, task: Task) -> bool:
    """Whether a running task is still this attempt's."""
    held = select(Task.id).where(
        Task.id == task.id, Task.state == State.RUNNING, Task.attempt == task.attempt
    )
    return await session.scalar(held) is not None


async def set_stage(session: AsyncSession, task: Task, stage: str) -> bool:
    """Also writes down which pictures the task has by now.

    A stage may be lost with the server's power, so nobody waits for the disk.
    """
    await session.execute(text("SET LOCAL synchronous_commit = off"))
    return await _changed(session, _as_read(task).values(stage=stage, pictures=task.pictures))


async def queue_again(session: AsyncSession, task: Task) -> bool:
    return await _changed(session, _as_read(task).values(state=State.QUEUED, stage="queued", worker_id=None))


async def complete(
    session: AsyncSession,
    task: Task,
    *,
    key: str,
    result: Mapping[str, Any],
    reports: Sequence[Mapping[str, Any]],
    timings: Mapping[str, float],
    retention: timedelta,
) -> Task | None:
    """`retention` is how long the result is kept unless the account says otherwise."""
    its_own = select(Account.retention).where(Account.id == task.account_id).scalar_subquery()
    return await _ended(
        session,
        _as_read(task).values(
            state=State.COMPLETED,
            stage=State.COMPLETED.value,
            **_FORGOTTEN,
            result_key=key,
            result=dict(result),
            reports=[dict(report) for report in reports],
            timings=dict(timings),
            completed_at=func.now(),
            expires_at=func.now() + func.least(its_own, retention),
        ),
    )


async def fail(
    session: AsyncSession,
    task: Task,
    state: Literal[State.FAILED, State.CANCELED],
    type: str,
    message: str,
    param: str | None,
) -> Task | None:
    return await _ended(
        session,
        _as_read(task).values(
            state=state,
            stage=state.value,
            **_FORGOTTEN,
            error={"type": type, "message": message, "param": param},
            completed_at=func.now(),
        ),
    )


async def forget_result(session: AsyncSession, task: Task) -> str | None:
    """Forget a result that hasn't expired; the key of its object."""
    key = task.result_key
    task.result_key, task.expires_at = None, func.now()
    return key


async def running_on(session: AsyncSession, worker_id: UUID, but_not: Sequence[str]) -> Sequence[Task]:
    """What a worker is running by its rows, apart from the tasks that it names."""
    found = select(Task).where(
        Task.state == State.RUNNING, Task.worker_id == worker_id, Task.id.not_in(but_not)
    )
    return (await session.scalars(found)).all()


async def orphaned(session: AsyncSession, dead_after: timedelta, limit: int) -> Sequence[Task]:
    """Running tasks whose worker is gone or silent, locked."""
    alive = select(Worker.id).where(Worker.heartbeat_at > func.now() - dead_after)
    return await _locked(
        session, select(Task).where(Task.state == State.RUNNING, Task.worker_id.not_in(alive)), limit
    )


async def overdue(session: AsyncSession, limit: int) -> Sequence[Task]:
    """Open tasks past their deadline, locked."""
    is_open = or_(Task.state == State.QUEUED, Task.state == State.RUNNING)
    return await _locked(session, select(Task).where(is_open, Task.deadline_at <= func.now()), limit)


async def expire_results(session: AsyncSession, limit: int) -> Sequence[str]:
    """Forget results that are past their time; the keys of their objects."""
    expired = (
        select(Task.id, Task.result_key)
        .where(Task.result_key.is_not(None), Task.expires_at <= func.now())
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte()
    )
    keys = await session.scalars(
        update(Task).where(Task.id == expired.c.id).values(result_key=None).returning(expired.c.result_key)
    )
    return keys.all()


async def kept_results(session: AsyncSession, keys: Sequence[str]) -> set[str]:
    """Those of `keys` that a task names as its result."""
    return set(await session.scalars(select(Task.result_key).where(Task.result_key.in_(keys))))


async def open_tasks(session: AsyncSession, task_ids: Sequence[str]) -> set[str]:
    """Those of `task_ids` that are queued or running."""
    is_open = or_(Task.state == State.QUEUED, Task.state == State.RUNNING)
    return set(await session.scalars(select(Task.id).where(Task.id.in_(task_ids), is_open)))


async def beat(session: AsyncSession, worker_id: UUID, host: str, pid: int) -> None:
    """Say that a worker is alive."""
    row = insert(Worker).values(id=worker_id, host=host, pid=pid)
    await session.execute(
        row.on_conflict_do_update(index_elements=[Worker.id], set_={"heartbeat_at": func.now()})
    )


async def forget_worker(session: AsyncSession, worker_id: UUID) -> None:
    await session.execute(delete(Worker).where(Worker.id == worker_id))


async def forget_process(session: AsyncSession, host: str, pid: int) -> None:
    """Forget the workers that a process was."""
    await session.execute(delete(Worker).where(Worker.host == host, Worker.pid == pid))


async def forget_silent_workers(session: AsyncSession, dead_after: timedelta) -> None:
    """Forget them, apart from those who fell silent while they held their own row."""
    silent = select(Worker.id).where(Worker.heartbeat_at <= func.now() - dead_after)
    await session.execute(delete(Worker).where(Worker.id.in_(silent.with_for_update(skip_locked=True))))


def _as_read(task: Task) -> Update:
    return update(Task).where(
        Task.id == task.id,
        Task.state == task.state,
        Task.state.in_([State.QUEUED, State.RUNNING]),
        Task.attempt == task.attempt,
    )


async def _changed(session: AsyncSession, statement: Update) -> bool:
    result = await session.execute(statement.execution_options(synchronize_session=False))
    assert isinstance(result, CursorResult)  # noqa: S101 - what an UPDATE without RETURNING gives
    return bool(result.rowcount == 1)


async def _ended(session: AsyncSession, statement: Update) -> Task | None:
    options = {"synchronize_session": False, "populate_existing": True}
    return await session.scalar(statement.returning(Task).execution_options(**options))


async def _locked(session: AsyncSession, statement: Select[Task], limit: int) -> Sequence[Task]:
    rows = await session.scalars(statement.limit(limit).with_for_update(skip_locked=True))
    return rows.all()

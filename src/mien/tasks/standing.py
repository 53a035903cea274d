"""How the whole service stands, for its administrators: what waits and runs, who works, and what fails."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Interval, func, select, true, type_coerce
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from mien.tasks.models import State, Task, Worker
from mien.uploads import queries as uploads


@dataclass(frozen=True)
class Queue:
    waiting: int
    running: int
    oldest_waiting: timedelta | None
    """How long ago the oldest of those that wait was created; None if nothing waits."""


@dataclass(frozen=True)
class WorkerStanding:
    """A worker, which runs `running` tasks and was last heard of `silent_for` ago."""

    id: UUID
    host: str
    pid: int
    started_at: datetime
    silent_for: timedelta
    running: int


@dataclass(frozen=True)
class Failures:
    """Tasks of all accounts that failed alike."""

    type: str
    tasks: int
    latest: datetime


@dataclass(frozen=True)
class Ended:
    """How many tasks of all accounts ended in a span of time, by how they did."""

    completed: int
    failed: int
    canceled: int


@dataclass(frozen=True)
class Stored:
    """Objects that rows name. `bytes` is None where rows don't say how many."""

    objects: int
    bytes: int | None


@dataclass(frozen=True)
class Storage:
    results: Stored
    uploads: Stored
    inputs: Stored
    """What came along with tasks in progress."""


async def queue(session: AsyncSession) -> Queue:
    """Tasks of all accounts that are in progress."""
    is_waiting = Task.state == State.QUEUED
    found = await session.execute(
        select(
            func.count().filter(is_waiting),
            func.count().filter(~is_waiting),
            type_coerce(func.now() - func.min(Task.created_at).filter(is_waiting), Interval),
        ).where(Task.state.in_([State.QUEUED, State.RUNNING]))
    )
    waiting, running, oldest = found.one()
    return Queue(waiting, running, oldest)


async def workers(session: AsyncSession) -> Sequence[WorkerStanding]:
    """All that are known, the longest at work first; who is silent for too long is forgotten."""
    running = (
        select(func.count())
        .where(Task.worker_id == Worker.id, Task.state == State.RUNNING)
        .correlate(Worker)
        .scalar_subquery()
    )
    rows = await session.execute(
        select(
            Worker.id, Worker.host, Worker.pid, Worker.started_at, func.now() - Worker.heartbeat_at, running
        ).order_by(Worker.started_at)
    )
    return [WorkerStanding(*row) for row in rows]


async def ended(session: AsyncSession, within: timedelta) -> Ended:
    """How tasks ended lately."""
    rows = await session.execute(
        select(Task.state, func.count()).where(Task.completed_at > func.now() - within).group_by(Task.state)
    )
    counts: dict[State, int] = dict(rows.all())
    return Ended(*(counts.get(state, 0) for state in (State.COMPLETED, State.FAILED, State.CANCELED)))


async def failures(session: AsyncSession, within: timedelta) -> Sequence[Failures]:
    """What failed lately, by the type of the error, the most frequent first; canceled tasks didn't fail."""
    rows = await session.execute(
        select(Task.error_type, func.count(), func.max(Task.completed_at))
        .where(Task.state == State.FAILED, Task.completed_at > func.now() - within)
        .group_by(Task.error_type)
        .order_by(func.count().desc(), Task.error_type)
    )
    return [Failures(type, tasks, latest) for type, tasks, latest in rows if type and latest]


async def storage(session: AsyncSession) -> Storage:
    """What is kept for all accounts, by its rows: of results and uploads from an index alone."""
    found = await session.execute(
        select(func.count(), func.coalesce(func.sum(Task.result_bytes), 0)).where(
            Task.result_key.is_not(None)
        )
    )
    results, result_bytes = found.one()
    uploaded, uploaded_bytes = await uploads.kept_in_all(session)
    source = func.jsonb_each(Task.inputs).table_valued("key", "value", name="source")
    inputs = await session.scalar(
        select(func.count())
        .select_from(Task)
        .join(source, true())
        .where(
            Task.state.in_([State.QUEUED, State.RUNNING]),
            type_coerce(source.c.value, JSONB)["value"].as_string().startswith("inputs/"),
        )
    )
    return Storage(
        Stored(results, int(result_bytes or 0)), Stored(uploaded, uploaded_bytes), Stored(inputs or 0, None)
    )

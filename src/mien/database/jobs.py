"""Wake-ups for workers, through Procrastinate: a job says that there is something to do about one row.

A job carries the row's id and no truth: losing one, or having two, costs time and changes nothing. Each room
has a queue of its own, so that what is quick never waits behind what is slow.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from psycopg import AsyncConnection
from sqlalchemy import (
    ColumnElement,
    SQLColumnExpression,
    String,
    bindparam,
    column,
    exists,
    func,
    select,
    table,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, array
from sqlalchemy.ext.asyncio import AsyncSession

_CONNECTIONS = 8  # a job needs one only to be taken and to be deleted

_jobs = table("procrastinate_jobs", column("queue_name"), column("args", JSONB))


@dataclass(frozen=True)
class Served:
    """A queue as a worker serves it: `run` is called with a row's id, for up to `concurrency` at once."""

    queue: str
    run: Callable[[str], Awaitable[None]]
    concurrency: int


def waking(queue: SQLColumnExpression[str], row_id: SQLColumnExpression[str]) -> ColumnElement[Any]:
    """What wakes a worker for a row when a statement that selects or returns it is committed.

    By the function that Procrastinate's own deferring calls, so that it costs no statement of its own.
    """
    job = func.row(queue, queue, 0, None, None, func.jsonb_build_object("row_id", row_id), None)
    return func.procrastinate_defer_jobs_v1(array([job.op("::")(text("procrastinate_job_to_defer_v1"))]))


_WAKE: Final = select(waking(bindparam("queue", type_=String), bindparam("row_id", type_=String)))


async def wake(session: AsyncSession, queue: str, row_id: str) -> None:
    """Wake a worker for a row when the session's transaction commits, and only then."""
    await session.execute(_WAKE, {"queue": queue, "row_id": row_id})


async def serve(
    database_url: str,
    queues: Sequence[Served],
    *,
    heartbeat: timedelta,
    dead_after: timedelta,
    grace: timedelta,
) -> None:
    """Run what the queues' jobs ask for until cancelled; each queue has its own slots.

    Cancelled, it takes no further job, waits up to `grace` for those under way, then cancels them. Raises an
    exception group when the database is gone.
    """
    from procrastinate import App, PsycopgConnector  # which no API process needs

    connector = PsycopgConnector(
        conninfo=database_url,
        min_size=len(queues),  # so that none waits for its first one, where a cancel could be lost
        max_size=_CONNECTIONS,
        configure=_commit_each_statement,
    )
    app = App(connector=connector)

    async def work(served: Served) -> None:
        async def run(row_id: str) -> None:
            await served.run(row_id)

        app.task(name=served.queue, queue=served.queue)(run)
        await app.run_worker_async(
            queues=[served.queue],
            concurrency=served.concurrency,
            delete_jobs="always",
            install_signal_handlers=False,
            # A notification can slip through while a fetch is under way.
            fetch_job_polling_interval=1.0,
            update_heartbeat_interval=heartbeat.total_seconds(),
            stalled_worker_timeout=dead_after.total_seconds(),
            shutdown_graceful_timeout=grace.total_seconds(),
        )
        raise ConnectionError(f"the queue {served.queue} is not served any more")  # so the others end, too

    async with app.open_async():
        _heed_cancel()
        async with asyncio.TaskGroup() as group:
            for served in queues:
                group.create_task(work(served))


def _heed_cancel() -> None:
    """Raise `CancelledError` if this task was cancelled, and what it waited for swallowed that: before Python
    3.12 `asyncio.wait_for` does when both come at once."""
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError


async def _commit_each_statement(connection: AsyncConnection[Any]) -> None:
    """So that a worker that freezes between a statement and its commit keeps no locks."""
    await connection.set_autocommit(True)


async def delete_abandoned(session: AsyncSession, dead_after: timedelta) -> None:
    """Delete jobs that a dead worker holds, so that `has_no_job` finds their rows."""
    await session.execute(
        text("DELETE FROM procrastinate_workers WHERE last_heartbeat <= now() - :dead_after"),
        {"dead_after": dead_after},
    )
    # Its worker's row gone, a job's reference to it is null.
    await session.execute(text("DELETE FROM procrastinate_jobs WHERE status <> 'todo' AND worker_id IS NULL"))


def has_no_job(queue: str, row_id: SQLColumnExpression[str]) -> ColumnElement[bool]:
    """The condition that no job will wake a worker for the row with this id, given as text."""
    job = exists().where(_jobs.c.queue_name == queue, _jobs.c.args["row_id"].astext == row_id)
    return ~job

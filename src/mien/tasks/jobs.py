"""Wake-ups for workers, through Procrastinate: one job says that one task is queued.

A job carries a task's id and no truth: losing one, or having two, costs time and changes nothing.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from procrastinate import App, PsycopgConnector
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_JOB = "run_task"
_QUEUE = "tasks"
_CONNECTIONS = 8  # a job needs one only to be taken and to be deleted

# Never opened: it defers on its callers' connections only.
_deferrer = App(connector=PsycopgConnector())


async def wake(session: AsyncSession, task_id: str) -> None:
    """Wake a worker for a queued task when the session's transaction commits, and only then."""
    connection = await (await session.connection()).get_raw_connection()
    job = _deferrer.configure_task(_JOB, queue=_QUEUE, connection=connection.driver_connection)
    await job.defer_async(task_id=task_id)


async def serve(
    database_url: str,
    run_task: Callable[[str], Awaitable[None]],
    *,
    concurrency: int,
    heartbeat: timedelta,
    dead_after: timedelta,
    grace: timedelta,
) -> None:
    """Call `run_task` for every task that is woken, up to `concurrency` at once, until cancelled.

    Cancelled, it takes no further job, waits up to `grace` for those under way, then cancels them. Returns or
    raises when the database is gone.
    """
    app = App(connector=PsycopgConnector(conninfo=database_url, min_size=1, max_size=_CONNECTIONS))
    app.task(name=_JOB, queue=_QUEUE)(run_task)
    async with app.open_async():
        await app.run_worker_async(
            queues=[_QUEUE],
            concurrency=concurrency,
            delete_jobs="always",
            install_signal_handlers=False,
            # A notification can slip through while a fetch is under way.
            fetch_job_polling_interval=1.0,
            update_heartbeat_interval=heartbeat.total_seconds(),
            stalled_worker_timeout=dead_after.total_seconds(),
            shutdown_graceful_timeout=grace.total_seconds(),
        )


async def delete_abandoned(session: AsyncSession, dead_after: timedelta) -> None:
    """Delete jobs that a dead worker holds, so that `unheard` finds their tasks."""
    await session.execute(
        text("DELETE FROM procrastinate_workers WHERE last_heartbeat <= now() - :dead_after"),
        {"dead_after": dead_after},
    )
    # Its worker's row gone, a job's reference to it is null.
    await session.execute(
        text(
            "DELETE FROM procrastinate_jobs"
            " WHERE queue_name = :queue AND status <> 'todo' AND worker_id IS NULL"
        ),
        {"queue": _QUEUE},
    )


async def unheard(session: AsyncSession, limit: int) -> list[str]:
    """Queued tasks that still have time, but no job to wake a worker."""
    found = await session.scalars(
        text(
            "SELECT id FROM tasks WHERE state = 'queued' AND deadline_at > now() AND NOT EXISTS"
            " (SELECT FROM procrastinate_jobs WHERE queue_name = :queue AND args->>'task_id' = tasks.id)"
            " LIMIT :limit"
        ),
        {"queue": _QUEUE, "limit": limit},
    )
    return list(found)

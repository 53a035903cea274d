import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text, update

from mien.resources import Resources
from mien.storage import objects
from mien.tasks import inputs, queries
from mien.tasks.models import Task, Worker
from mien.tasks.reaper import bury, reap

Queue = Callable[[], Awaitable[Task]]
ByTask = Callable[[Task], Awaitable[Task]]


async def enlist(resources: Resources, task: Task, worker_id: UUID, pid: int = 1) -> Task:
    """Have a living worker start `task`."""
    async with resources.sessions.begin() as session:
        await queries.beat(session, worker_id, socket.gethostname(), pid)
        started = await queries.start(session, task.id, worker_id)
    assert started
    return started


async def silence(resources: Resources, worker_id: UUID) -> None:
    """Let a worker's last heartbeat be too long ago."""
    long_ago = func.now() - resources.settings.worker_timeout - timedelta(seconds=1)
    async with resources.sessions.begin() as session:
        await session.execute(update(Worker).where(Worker.id == worker_id).values(heartbeat_at=long_ago))


async def jobs(resources: Resources) -> list[tuple[str, str]]:
    """Id of the row and status of each job."""
    query = text("SELECT args->>'row_id', status::text FROM procrastinate_jobs ORDER BY id")
    async with resources.sessions() as session:
        return [(row[0], row[1]) for row in await session.execute(query)]


async def test_what_a_living_worker_holds_is_left_alone(
    resources: Resources, queue: Queue, reread: ByTask
) -> None:
    task = await enlist(resources, await queue(), uuid4())
    await reap(resources)
    task = await reread(task)
    assert (task.state, task.attempt) == ("running", 1)


async def test_what_a_silent_worker_held_is_queued_again(
    resources: Resources, queue: Queue, reread: ByTask
) -> None:
    worker_id = uuid4()
    task = await enlist(resources, await queue(), worker_id)
    await silence(resources, worker_id)
    await reap(resources)
    task = await reread(task)
    assert (task.state, task.stage, task.worker_id) == ("queued", "queued", None)
    assert (task.id, "todo") in await jobs(resources)
    async with resources.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Worker)) == 0


async def test_a_worker_that_froze_while_it_held_its_own_row_is_not_waited_for(
    resources: Resources, queue: Queue, reread: ByTask
) -> None:
    frozen, silent = uuid4(), uuid4()
    tasks = [await enlist(resources, await queue(), worker_id) for worker_id in (frozen, silent)]
    for worker_id in (frozen, silent):
        await silence(resources, worker_id)
    async with resources.sessions.begin() as session:
        await session.execute(select(Worker).where(Worker.id == frozen).with_for_update())
        async with asyncio.timeout(5):
            await reap(resources)
    assert [(await reread(task)).state for task in tasks] == ["queued", "queued"]
    async with resources.sessions() as session:
        assert (await session.scalars(select(Worker.id))).all() == [frozen]


async def test_a_task_that_kills_its_worker_three_times_fails_and_loses_its_pictures(
    resources: Resources, queue: Queue, start: ByTask, reread: ByTask
) -> None:
    task = await queue()
    for _ in range(3):
        assert (await reread(task)).state == "queued"
        await start(task)
        await reap(resources)
    task = await reread(task)
    assert (task.state, task.attempt) == ("failed", 3)
    assert task.error and task.error["type"] == "internal_error"
    with pytest.raises(FileNotFoundError):
        await objects.read(resources.store, inputs.key_of(task.id, "image"))


@pytest.mark.parametrize("running", [False, True])
async def test_a_task_past_its_deadline_fails(
    resources: Resources,
    queue: Queue,
    reread: ByTask,
    make_overdue: Callable[[Task], Awaitable[None]],
    running: bool,
) -> None:
    task = await queue()
    if running:
        await enlist(resources, task, uuid4())
    await make_overdue(task)
    await reap(resources)
    task = await reread(task)
    assert task.state == "failed"
    assert task.error and task.error["type"] == "timeout"


async def test_a_queued_task_whose_job_was_lost_gets_another(resources: Resources, queue: Queue) -> None:
    task = await queue()
    await reap(resources)
    assert await jobs(resources) == [(task.id, "todo")]
    async with resources.sessions.begin() as session:
        await session.execute(text("DELETE FROM procrastinate_jobs"))
    await reap(resources)
    assert await jobs(resources) == [(task.id, "todo")]


async def test_a_job_taken_by_a_worker_that_died_before_starting_is_replaced(
    resources: Resources, queue: Queue
) -> None:
    task = await queue()
    async with resources.sessions.begin() as session:
        worker = await session.scalar(
            text(
                "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour')"
                " RETURNING id"
            )
        )
        await session.execute(text("SELECT procrastinate_fetch_job_v2(NULL, :id)"), {"id": worker})
    assert await jobs(resources) == [(task.id, "doing")]
    await reap(resources)
    assert await jobs(resources) == [(task.id, "todo")]


async def test_a_buried_worker_is_not_waited_for(resources: Resources, queue: Queue, reread: ByTask) -> None:
    theirs = await enlist(resources, await queue(), uuid4(), pid=os.getpid())
    mine = await enlist(resources, await queue(), uuid4(), pid=4321)
    await bury(resources, 4321)
    assert (await reread(mine)).state == "queued"
    assert (await reread(theirs)).state == "running"


async def test_many_reapers_at_once_queue_a_task_once(
    resources: Resources, queue: Queue, start: ByTask, reread: ByTask
) -> None:
    task = await start(await queue())
    await asyncio.gather(*(reap(replace(resources)) for _ in range(8)))
    assert (await reread(task)).state == "queued"
    assert [status for _, status in await jobs(resources)] == ["todo", "todo"]

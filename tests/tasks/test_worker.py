from collections.abc import Awaitable, Callable
from uuid import uuid4

from sqlalchemy import select

from mien.resources import Resources
from mien.tasks import queries
from mien.tasks.engines import Engines
from mien.tasks.models import Task, Worker
from mien.tasks.worker import WorkerSession

Queue = Callable[[], Awaitable[Task]]
ByTask = Callable[[Task], Awaitable[Task]]


async def test_a_heartbeat_is_written_down_and_renewed(resources: Resources) -> None:
    session = WorkerSession(resources, Engines())
    beats = []
    for _ in range(2):
        await session.beat()
        async with resources.sessions() as reading:
            beats.append((await reading.scalars(select(Worker))).one())
    assert beats[0].id == beats[1].id == session.id
    assert beats[0].heartbeat_at < beats[1].heartbeat_at
    assert beats[0].started_at == beats[1].started_at


async def test_what_a_worker_dropped_is_given_back_with_the_next_heartbeat(
    resources: Resources, queue: Queue, start: ByTask, reread: ByTask
) -> None:
    session = WorkerSession(resources, Engines())
    held, dropped, others = await queue(), await queue(), await start(await queue())
    async with resources.sessions.begin() as writing:
        for task in (held, dropped):
            assert await queries.start(writing, task.id, session.id)
    session.held.append(held.id)
    await session.beat()
    assert [(await reread(task)).state for task in (held, dropped, others)] == [
        "running",
        "queued",
        "running",
    ]


async def test_a_task_is_held_only_while_it_is_tried(resources: Resources) -> None:
    session = WorkerSession(resources, Engines())
    await session.run_task(f"{uuid4().hex}_faceswap")
    assert session.held == []

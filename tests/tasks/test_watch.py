import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from sqlalchemy import event

from mien.resources import Resources
from mien.tasks import endings, queries
from mien.tasks.models import Task
from mien.tasks.watch import Watch

Queue = Callable[[], Awaitable[Task]]
ByTask = Callable[[Task], Awaitable[Task]]


@pytest.fixture
async def watch(resources: Resources) -> AsyncIterator[Watch]:
    """A watch that watches."""
    watch = Watch(resources)
    watching = asyncio.create_task(watch.keep_watching())
    await listeners(resources, 1)
    yield watch
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


async def listeners(resources: Resources, wanted: int) -> list[int]:
    """Process ids of the connections that listen, once there are so many."""
    found: list[int] = []
    url = resources.settings.database_url
    assert url
    async with await psycopg.AsyncConnection.connect(url.get_secret_value(), autocommit=True) as connection:
        for _ in range(500):
            rows = await connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query ~ '^LISTEN'"
            )
            found = [row[0] for row in await rows.fetchall()]
            if len(found) == wanted:
                return found
            await asyncio.sleep(0.01)
    raise AssertionError(f"there are {len(found)} listeners")


def state(task: Task | None) -> str | None:
    return task.state.value if task else None


async def cancel(resources: Resources, task: Task) -> None:
    async with resources.sessions.begin() as session:
        assert await endings.cancel(resources, session, task)


async def test_every_change_is_told(resources: Resources, watch: Watch, queue: Queue, start: ByTask) -> None:
    task = await queue()
    with watch.changes(task.id) as changes:
        stages = [(await changes.get()).stage]  # type: ignore[union-attr]
        running = await start(task)
        stages.append((await changes.get()).stage)  # type: ignore[union-attr]
        async with resources.sessions.begin() as session:
            assert await queries.set_stage(session, running, "detecting")
        stages.append((await changes.get()).stage)  # type: ignore[union-attr]
    assert stages == ["queued", "fetching", "detecting"]


async def test_waiting_ends_with_the_task(resources: Resources, watch: Watch, queue: Queue) -> None:
    task = await queue()
    waiting = asyncio.create_task(watch.wait_for_end(task.id, 30))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await cancel(resources, task)
    assert state(await asyncio.wait_for(waiting, 5)) == "canceled"


async def test_waiting_ends_with_the_time(watch: Watch, queue: Queue) -> None:
    task = await queue()
    assert await watch.wait_for_end(task.id, 0.05) is None
    assert await watch.wait_for_end(task.id, 0) is None


async def test_a_task_that_ended_before_it_was_watched_is_seen(
    resources: Resources, watch: Watch, queue: Queue
) -> None:
    task = await queue()
    await cancel(resources, task)
    assert state(await asyncio.wait_for(watch.wait_for_end(task.id, 30), 5)) == "canceled"


async def test_many_who_wait_are_answered_with_few_queries_and_without_connections(
    resources: Resources, watch: Watch, queue: Queue
) -> None:
    tasks = [await queue() for _ in range(5)]
    queries: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        queries.append(statement)

    event.listen(resources.engine.sync_engine, "before_cursor_execute", note)
    waiting = [asyncio.create_task(watch.wait_for_end(task.id, 30)) for task in tasks for _ in range(40)]
    await asyncio.sleep(0.2)
    assert len(queries) <= 2
    assert resources.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    async with resources.sessions.begin() as session:
        for task in tasks:
            assert await endings.cancel(resources, session, task)
    queries.clear()
    ended = await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert {state(task) for task in ended} == {"canceled"}
    assert len(queries) <= 5


async def test_what_was_said_while_the_connection_was_lost_is_seen(
    resources: Resources, watch: Watch, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.database.listen._PAUSE", 0.3)
    task = await queue()
    waiting = asyncio.create_task(watch.wait_for_end(task.id, 30))
    (pid,) = await listeners(resources, 1)
    assert resources.settings.database_url
    with psycopg.connect(resources.settings.database_url.get_secret_value(), autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", [pid])
    await cancel(resources, task)
    assert state(await asyncio.wait_for(waiting, 5)) == "canceled"
    assert await listeners(resources, 1) != [pid]


async def test_who_waits_goes_when_the_process_is_to_end(watch: Watch, queue: Queue) -> None:
    task = await queue()
    waiting = asyncio.create_task(watch.wait_for_end(task.id, 30))
    await asyncio.sleep(0.05)
    watch.close()
    assert await asyncio.wait_for(waiting, 1) is None
    assert await asyncio.wait_for(watch.wait_for_end(task.id, 30), 1) is None

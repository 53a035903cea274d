"""Queues side by side, on a real database."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Text, cast, literal, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mien.database import jobs
from mien.database.jobs import Served

Sessions = async_sessionmaker[AsyncSession]


def serving(database_url: str, *queues: Served, grace: float = 5) -> "asyncio.Task[None]":
    return asyncio.create_task(
        jobs.serve(
            database_url,
            queues,
            heartbeat=timedelta(seconds=1),
            dead_after=timedelta(seconds=5),
            grace=timedelta(seconds=grace),
        )
    )


async def stop(worker: "asyncio.Task[None]") -> None:
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker


async def wake(sessions: Sessions, queue: str, row_id: str) -> None:
    async with sessions.begin() as session:
        await jobs.wake(session, queue, row_id)


async def count(sessions: Sessions) -> int:
    async with sessions() as session:
        return int(await session.scalar(text("SELECT count(*) FROM procrastinate_jobs")) or 0)


def collecting(into: "asyncio.Queue[str]") -> Callable[[str], Awaitable[None]]:
    async def run(row_id: str) -> None:
        await into.put(row_id)

    return run


async def test_a_queue_never_waits_behind_another(database_url: str, sessions: Sessions) -> None:
    slow_ones, quick_ones, end = asyncio.Queue[str](), asyncio.Queue[str](), asyncio.Event()

    async def be_slow(row_id: str) -> None:
        await slow_ones.put(row_id)
        await end.wait()

    worker = serving(database_url, Served("slow", be_slow, 2), Served("quick", collecting(quick_ones), 1))
    for number in range(4):
        await wake(sessions, "slow", f"slow {number}")
    async with asyncio.timeout(10):
        assert {await slow_ones.get(), await slow_ones.get()} == {"slow 0", "slow 1"}
        for number in range(3):
            await wake(sessions, "quick", f"quick {number}")
            assert await quick_ones.get() == f"quick {number}"
        assert slow_ones.empty()  # two at a time
        end.set()
        assert {await slow_ones.get(), await slow_ones.get()} == {"slow 2", "slow 3"}
    await stop(worker)
    assert await count(sessions) == 0


async def test_a_worker_has_no_transaction_open_in_which_it_could_freeze(
    database_url: str, sessions: Sessions
) -> None:
    done = asyncio.Queue[str]()
    address = make_url(database_url).update_query_dict({"application_name": "frozen"})
    worker = serving(address.render_as_string(hide_password=False), Served("a", collecting(done), 1))
    await wake(sessions, "a", "row")
    async with asyncio.timeout(10):
        await done.get()
    await asyncio.sleep(0.3)  # until it has nothing left to say
    said = text("SELECT query FROM pg_stat_activity WHERE application_name = 'frozen'")
    async with sessions() as session:
        last = set(await session.scalars(said))
    assert last
    assert not {"BEGIN", "COMMIT"} & last
    await stop(worker)


async def test_stopping_at_any_moment_of_the_start_ends_it(database_url: str) -> None:
    for moment in range(12):
        worker = serving(database_url, *(Served(queue, collecting(asyncio.Queue()), 1) for queue in "abc"))
        await asyncio.sleep(moment / 200)
        time.sleep(0.05)  # noqa: ASYNC251  # as imports do: what happens meanwhile is heard of at once
        worker.cancel()
        ended, _ = await asyncio.wait([worker], timeout=5)
        assert ended


async def test_stopping_waits_for_what_is_under_way_in_every_queue(
    database_url: str, sessions: Sessions
) -> None:
    begun, ended = asyncio.Semaphore(0), []

    async def take_a_while(row_id: str) -> None:
        begun.release()
        await asyncio.sleep(0.3)
        ended.append(row_id)

    worker = serving(database_url, Served("a", take_a_while, 1), Served("b", take_a_while, 1))
    for queue in ("a", "b"):
        await wake(sessions, queue, queue)
    async with asyncio.timeout(10):
        await begun.acquire()
        await begun.acquire()
        await stop(worker)
    assert sorted(ended) == ["a", "b"]


async def test_connections_that_were_cut_are_made_again(database_url: str, sessions: Sessions) -> None:
    served = asyncio.Queue[str]()
    worker = serving(database_url, Served("a", collecting(served), 1), grace=1)
    async with asyncio.timeout(20):
        await wake(sessions, "a", "first")
        assert await served.get() == "first"
        for _ in range(1000):
            if not await count(sessions):
                break
            await asyncio.sleep(0.01)
        async with sessions.begin() as session:
            await session.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        await wake(sessions, "a", "second")
        assert await served.get() == "second"
    await stop(worker)


async def test_nobody_is_woken_for_what_was_rolled_back(sessions: Sessions) -> None:
    with pytest.raises(RuntimeError):
        async with sessions.begin() as session:
            await jobs.wake(session, "queue", "row")
            raise RuntimeError
    assert await count(sessions) == 0


async def test_a_row_is_known_to_have_a_job_or_none(sessions: Sessions) -> None:
    row_id: UUID = uuid4()
    await wake(sessions, "queue", str(row_id))

    async def has_no_job(queue: str, row_id: UUID) -> bool | None:
        async with sessions() as session:
            return await session.scalar(select(jobs.has_no_job(queue, cast(literal(row_id), Text))))

    assert await has_no_job("queue", row_id) is False
    assert await has_no_job("another", row_id) is True
    assert await has_no_job("queue", uuid4()) is True

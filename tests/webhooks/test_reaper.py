import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update

from mien.resources import Resources
from mien.webhooks import queries
from mien.webhooks.models import Delivery, Endpoint, State
from mien.webhooks.reaper import reap

Create = Callable[..., Awaitable[Endpoint]]
Announce = Callable[..., Awaitable[list[UUID]]]
Jobs = Callable[[], Awaitable[list[UUID]]]


@pytest.fixture
async def made(create: Create, announce: Announce) -> UUID:
    """A delivery that is due, with its job."""
    await create("https://example.com/")
    return (await announce())[0]


async def lose_jobs(resources: Resources) -> None:
    async with resources.sessions.begin() as session:
        await session.execute(text("DELETE FROM procrastinate_jobs"))


async def test_what_is_due_and_has_no_job_gets_one(resources: Resources, made: UUID, jobs: Jobs) -> None:
    await lose_jobs(resources)
    await reap(resources)
    await reap(resources)
    assert await jobs() == [made]


async def test_what_has_a_job_gets_no_other(resources: Resources, made: UUID, jobs: Jobs) -> None:
    await asyncio.gather(*(reap(resources) for _ in range(4)))
    assert await jobs() == [made]


async def test_what_is_not_due_is_let_wait(resources: Resources, made: UUID, jobs: Jobs) -> None:
    await lose_jobs(resources)
    async with resources.sessions.begin() as session:
        assert await queries.start_attempt(session, made, timedelta(minutes=1))
    await reap(resources)
    assert await jobs() == []


async def test_a_job_that_died_with_its_worker_is_replaced(
    resources: Resources, made: UUID, jobs: Jobs
) -> None:
    async with resources.sessions.begin() as session:
        worker = await session.scalar(
            text(
                "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour')"
                " RETURNING id"
            )
        )
        await session.execute(text("SELECT procrastinate_fetch_job_v2(NULL, :id)"), {"id": worker})
    await reap(resources)
    assert await jobs() == [made]
    async with resources.sessions() as session:
        assert await session.scalar(text("SELECT status::text FROM procrastinate_jobs")) == "todo"


@pytest.mark.parametrize(("state", "left"), [(State.DELIVERED, 0), (State.FAILED, 0), (State.PENDING, 1)])
async def test_only_ended_deliveries_are_swept_and_only_once_their_time_is_over(
    resources: Resources, made: UUID, state: State, left: int
) -> None:
    async def count_after(age: timedelta) -> int:
        async with resources.sessions.begin() as session:
            ended_at = None if state is State.PENDING else func.now() - age
            await session.execute(update(Delivery).values(state=state, ended_at=ended_at))
        await reap(resources)
        async with resources.sessions() as session:
            return await session.scalar(select(func.count()).select_from(Delivery)) or 0

    retention = resources.settings.webhook_retention
    assert await count_after(retention - timedelta(minutes=1)) == 1
    assert await count_after(retention) == left

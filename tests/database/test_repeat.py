"""What is to be done for ever is done for ever."""

import asyncio
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy.exc import OperationalError

from mien.database.repeat import repeat


async def test_work_goes_on_whatever_it_raises() -> None:
    outcomes: list[Exception | None] = [
        OperationalError("SELECT 1", {}, psycopg.OperationalError("the server went away")),
        ValueError("a bug"),
        None,
    ]
    done = asyncio.Event()

    async def work() -> None:
        if not outcomes:
            done.set()
            return
        if outcome := outcomes.pop(0):
            raise outcome

    repeating = asyncio.create_task(repeat("work", work, every=timedelta(0)))
    async with asyncio.timeout(5):
        await done.wait()
    repeating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await repeating


async def test_a_pause_is_made_after_each_time() -> None:
    times = 0

    async def work() -> None:
        nonlocal times
        times += 1

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await repeat("work", work, every=timedelta(hours=1))

    assert times == 1

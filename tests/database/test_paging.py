"""Pages of a list fit together, whatever comes and goes meanwhile."""

import base64
from typing import Any

import pytest
from sqlalchemy import Select, delete, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import InstrumentedAttribute

from mien.accounts.models import Account
from mien.billing.models import LedgerEntry
from mien.database.paging import read_page
from mien.errors import InvalidRequest
from mien.tasks.models import Task

Sessions = async_sessionmaker[AsyncSession]

NEWEST = (Account.created_at, Account.id)


@pytest.fixture
async def names(sessions: Sessions) -> list[str]:
    """Of accounts made at two moments, three each, the newest first by time and id."""
    for number in range(2):
        async with sessions.begin() as session:
            session.add_all(Account(name=f"{number}.{each}") for each in range(3))
    async with sessions() as session:
        found = select(Account.name).order_by(*(column.desc() for column in NEWEST))
        return list(await session.scalars(found))


async def test_pages_hold_every_row_once(sessions: Sessions, names: list[str]) -> None:
    read: list[str] = []
    cursor = None
    async with sessions() as session:
        for rows in (2, 2, 2):
            page = await read_page(session, select(Account), NEWEST, limit=2, cursor=cursor)
            assert len(page.rows) == rows
            read += [account.name for account in page.rows]
            cursor = page.next_cursor
    assert cursor is None
    assert read == names


async def test_a_page_goes_on_where_its_last_row_was(sessions: Sessions, names: list[str]) -> None:
    async with sessions.begin() as session:
        first = await read_page(session, select(Account), NEWEST, limit=2, cursor=None)
        await session.execute(delete(Account).where(Account.id == first.rows[-1].id))
        session.add(Account(name="newer"))
    async with sessions() as session:
        rest = await read_page(session, select(Account), NEWEST, limit=9, cursor=first.next_cursor)
    assert [account.name for account in rest.rows] == names[2:]


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


MOMENT = "2026-12-24T00:00:00+00:00"


@pytest.mark.parametrize(
    ("found", "by", "cursor"),
    [
        (select(Account), NEWEST, "x"),
        (select(Account), NEWEST, "ü"),
        (select(Account), NEWEST, encoded(MOMENT)),
        (select(Account), NEWEST, encoded(f"{MOMENT} 7")),
        (select(Account), NEWEST, encoded("2026-12-24 6f1c2a9b-e0d8-4c1f-9a5b-7d3e2f4a6c8d")),
        (select(Task), (Task.created_at, Task.id), encoded(f"{MOMENT} \0")),
        (select(LedgerEntry), (LedgerEntry.id,), encoded("one")),
        (select(LedgerEntry), (LedgerEntry.id,), encoded(str(2**63))),
    ],
)
async def test_cursors_of_elsewhere_are_refused(
    sessions: Sessions, found: Select[Any], by: tuple[InstrumentedAttribute[Any], ...], cursor: str
) -> None:
    async with sessions() as session:
        with pytest.raises(InvalidRequest) as refused:
            await read_page(session, found, by, limit=1, cursor=cursor)
    assert refused.value.param == "cursor"

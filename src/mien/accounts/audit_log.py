"""The audit log: a line for everything that an administrator does, written in the transaction that does it.

Whoever does it, by a page, by the API or on the command line, goes through the function that writes the line:
an act without its line can't be committed.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mien.accounts.models import Account, Act, AuditLine
from mien.database.paging import Page, read_page
from mien.http.principal import Principal

COMMAND_LINE = "command line"
_AT_ONCE = 500  # lines


@dataclass(frozen=True, slots=True)
class LineFilter:
    """Which lines somebody wants to see; all that they don't choose by."""

    act: Act | None = None
    actor: UUID | str | None = None
    """An administrator's account, or `COMMAND_LINE`."""
    account_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Lines before this moment."""


async def write(
    session: AsyncSession,
    by: Principal | None,
    act: Act,
    *,
    account_id: UUID | None = None,
    subject: object = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add a line to what the session commits; `by` is None for the command line.

    `details` are kept for good, so they hold no secret, and nothing that tells who a person is.
    """
    line = AuditLine(
        act=act,
        actor_id=by.account_id if by else None,
        key_id=by.key_id if by else None,
        account_id=account_id,
        subject=None if subject is None else str(subject),
        details=dict(details or {}),
    )
    session.add(line)
    await session.flush()


def name_of(by: Principal | None) -> str:
    """How other tables name who did something: by the account's id, or as the command line."""
    return str(by.account_id) if by else COMMAND_LINE


async def newest(
    session: AsyncSession, wanted: LineFilter, *, limit: int, cursor: str | None
) -> Page[AuditLine]:
    """The lines that are wanted, the newest first. Raises `InvalidRequest` for a cursor of elsewhere."""
    return await read_page(session, _found(wanted), (AuditLine.id,), limit=limit, cursor=cursor)


async def every(sessions: async_sessionmaker[AsyncSession], wanted: LineFilter) -> AsyncIterator[AuditLine]:
    """All lines that are wanted, the newest first. No connection is held while somebody takes their time."""
    cursor = None
    while True:
        async with sessions() as session:
            page = await newest(session, wanted, limit=_AT_ONCE, cursor=cursor)
        for line in page.rows:
            yield line
        if page.next_cursor is None:
            return
        cursor = page.next_cursor


async def administrators(session: AsyncSession) -> Sequence[Account]:
    """Who can do something, by their names."""
    found = select(Account).where(Account.is_administrator)
    return (await session.scalars(found.order_by(Account.name, Account.id))).all()


def named(lines: Iterable[AuditLine]) -> set[UUID]:
    """The ids of the accounts that lines name; some may be gone."""
    return {id for line in lines for id in (line.actor_id, line.account_id) if id}


def _found(wanted: LineFilter) -> Select[AuditLine]:
    found = select(AuditLine)
    if wanted.act:
        found = found.where(AuditLine.act == wanted.act)
    if wanted.actor == COMMAND_LINE:
        found = found.where(AuditLine.actor_id.is_(None))
    elif wanted.actor:
        found = found.where(AuditLine.actor_id == wanted.actor)
    if wanted.account_id:
        found = found.where(AuditLine.account_id == wanted.account_id)
    if wanted.since:
        found = found.where(AuditLine.created_at >= wanted.since)
    if wanted.until:
        found = found.where(AuditLine.created_at < wanted.until)
    return found

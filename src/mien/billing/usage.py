"""What an account has used, read off the ledger: every task has a hold there, also where swaps are free."""

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Date, String, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from mien.accounts.models import ApiKey
from mien.billing.models import Kind, LedgerEntry, Outcome, tasks

IN_PROGRESS = "IN_PROGRESS"

_hold = aliased(LedgerEntry, name="hold")
_closing = aliased(LedgerEntry, name="closing")
_is_closing = (_closing.task_id == _hold.task_id) & _closing.kind.in_([Kind.SETTLE, Kind.RELEASE])


@dataclass(frozen=True)
class Used:
    """Tasks that were created on one day (UTC) with one key and stand alike."""

    date: date
    key_id: UUID | None
    key_name: str | None
    status: str
    tasks: int
    faces: int
    credits: int
    """What they cost; of tasks in progress, what they hold."""


@dataclass(frozen=True)
class Activity:
    """`held` is the price of the tasks in flight."""

    held: int
    tasks_in_flight: int
    tasks_last_24_hours: int
    keys: int
    """That work."""


async def per_day(session: AsyncSession, account_id: UUID, first: date, last: date) -> Sequence[Used]:
    """An account's usage from the day `first` to the day `last`, both included, in UTC."""
    day = cast(func.timezone("UTC", _hold.created_at), Date)
    outcome = func.coalesce(cast(_closing.outcome, String), IN_PROGRESS)
    spent = func.sum(-_hold.credits).filter(_is_open_or_completed())
    found = await session.execute(
        select(
            day,
            _hold.key_id,
            ApiKey.name,
            outcome,
            func.count(),
            func.sum(_hold.faces),
            func.coalesce(spent, 0),
        )
        .select_from(_hold)
        .outerjoin(_closing, _is_closing)
        .outerjoin(ApiKey, ApiKey.id == _hold.key_id)
        .where(
            _hold.account_id == account_id,
            _hold.kind == Kind.HOLD,
            _hold.created_at >= datetime.combine(first, time.min, UTC),
            _hold.created_at <= datetime.combine(last, time.max, UTC),
        )
        .group_by(day, _hold.key_id, ApiKey.name, outcome)
        .order_by(day, ApiKey.name, _hold.key_id, outcome)
    )
    return [
        Used(day, key_id, key_name, status, tasks, int(faces or 0), int(credits))
        for day, key_id, key_name, status, tasks, faces, credits in found
    ]


async def activity(session: AsyncSession, account_id: UUID) -> Activity:
    """What an account is doing right now."""
    # The ledger knows this as well, but would have to be read from its beginning.
    in_flight = await session.execute(
        select(func.count(), func.coalesce(func.sum(-_hold.credits), 0))
        .select_from(tasks)
        .outerjoin(_hold, (_hold.task_id == tasks.c.id) & (_hold.kind == Kind.HOLD))
        .where(tasks.c.account_id == account_id, tasks.c.state.in_(["queued", "running"]))
    )
    count, held = in_flight.one()
    lately = select(func.count()).where(
        _hold.account_id == account_id,
        _hold.kind == Kind.HOLD,
        _hold.created_at > func.now() - timedelta(hours=24),
    )
    keys = select(func.count()).where(
        ApiKey.account_id == account_id,
        ApiKey.revoked_at.is_(None),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now()),
    )
    return Activity(
        held=int(held),
        tasks_in_flight=count,
        tasks_last_24_hours=(await session.scalars(lately)).one(),
        keys=(await session.scalars(keys)).one(),
    )


def as_csv(used: Sequence[Used]) -> str:
    """A table with a head, as RFC 4180 has it."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(field.name for field in fields(Used))
    writer.writerows(astuple(row) for row in used)
    return text.getvalue()


def _is_open_or_completed() -> ColumnElement[bool]:
    return or_(_closing.outcome.is_(None), _closing.outcome == Outcome.COMPLETED)

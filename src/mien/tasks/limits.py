"""How many tasks an account, and a key, may create: at once, and in a day.

Both are counted in the transaction that creates a task, behind the lock of the account's row in
`task_counts`: no two processes count at the same time, so that the limits are exact.
"""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, case, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from mien.database.connection import table_of
from mien.errors import RateLimited
from mien.http.principal import Limits, Principal
from mien.tasks.models import State, Task, TaskCount

_SOON = 2
"""Seconds until one of the tasks in flight may have ended."""


# Made once, since they run for every task, behind a lock.
_COUNTS, _TASKS = table_of(TaskCount), table_of(Task)
_ROW: Final = insert(_COUNTS).values(
    subject_id=bindparam("subject"), day=func.timezone("UTC", func.clock_timestamp()), created=1
)
_IS_LATER: Final = _COUNTS.c.day < _ROW.excluded.day  # a transaction that began yesterday must not count back
_COUNT_TODAY: Final = _ROW.on_conflict_do_update(
    index_elements=[_COUNTS.c.subject_id],
    set_={
        "created": case((_IS_LATER, 1), else_=_COUNTS.c.created + 1),
        "day": func.greatest(_COUNTS.c.day, _ROW.excluded.day),
    },
).returning(_COUNTS.c.created)
_COUNT_IN_FLIGHT: Final = select(
    func.count(), func.count().filter(_TASKS.c.key_id == bindparam("key_id"))
).where(_TASKS.c.account_id == bindparam("account_id"), _TASKS.c.state.in_([State.QUEUED, State.RUNNING]))


async def count(session: AsyncSession, caller: Principal) -> None:
    """Count a task whose row the session has just written.

    The locks are held until the commit, which should come soon. Raises `RateLimited` if it's one too many.
    """
    limits = {caller.account_id: caller.limits}
    if caller.key_id and caller.key_limits:
        limits[caller.key_id] = caller.key_limits
    for subject_id, limit in limits.items():  # the account comes first, so that its row's lock does
        if await _count_today(session, subject_id) > limit.tasks_per_day:
            raise RateLimited(
                f"{_whose(caller, subject_id)} may create {limit.tasks_per_day} tasks a day (UTC). Try again "
                "tomorrow, or ask who runs this service for more.",
                retry_after=_seconds_until_tomorrow(),
            )
    # A statement of its own: it sees what others have committed before they gave the lock away.
    of_account, of_key = await _count_in_flight(session, caller)
    _check_in_flight(of_account, caller.limits, "This account")
    if caller.key_limits:
        _check_in_flight(of_key, caller.key_limits, "This key")


async def _count_today(session: AsyncSession, subject_id: UUID) -> int:
    """How many tasks it has created today, with this one."""
    created: int = (await session.execute(_COUNT_TODAY, {"subject": subject_id})).scalar_one()
    return created


async def _count_in_flight(session: AsyncSession, caller: Principal) -> tuple[int, int]:
    """Of the account and of the key."""
    subjects = {"account_id": caller.account_id, "key_id": caller.key_id}
    of_account, of_key = (await session.execute(_COUNT_IN_FLIGHT, subjects)).one()
    return of_account, of_key


def _check_in_flight(count: int, limits: Limits, whose: str) -> None:
    if count > limits.tasks_in_flight:
        raise RateLimited(
            f"{whose} may have {limits.tasks_in_flight} tasks in progress at once. Wait until one has ended.",
            retry_after=_SOON,
        )


def _whose(caller: Principal, subject_id: UUID) -> str:
    return "This account" if subject_id == caller.account_id else "This key"


def _seconds_until_tomorrow() -> int:
    now = datetime.now(UTC)
    tomorrow = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return int((tomorrow - now).total_seconds()) + 1

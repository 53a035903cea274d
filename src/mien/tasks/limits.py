"""How many tasks an account, and a key, may create: at once, and in a day.

Both are counted in the transaction that creates a task, behind the lock of the account's row in
`task_counts`: no two processes count at the same time, so that the limits are exact. The counting is part of
statements that are made anyway (`mien.tasks.creation`), since every task waits for them.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import CTE, Select, Uuid, bindparam, case, func, literal_column, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from mien.database.connection import table_of
from mien.errors import RateLimited
from mien.http.principal import Limits, Principal
from mien.tasks.models import State, Task, TaskCount

_SOON = 2
"""Seconds until one of the tasks in flight may have ended."""


_COUNTS, _TASKS = table_of(TaskCount), table_of(Task)
_ROW: Final = insert(_COUNTS).values(
    subject_id=bindparam("subject", type_=Uuid), day=func.timezone("UTC", func.clock_timestamp()), created=1
)
_IS_LATER: Final = _COUNTS.c.day < _ROW.excluded.day  # a transaction that began yesterday must not count back
_COUNT_TODAY: Final = _ROW.on_conflict_do_update(
    index_elements=[_COUNTS.c.subject_id],
    set_={
        "created": case((_IS_LATER, 1), else_=_COUNTS.c.created + 1),
        "day": func.greatest(_COUNTS.c.day, _ROW.excluded.day),
    },
).returning(_COUNTS.c.created)

TODAY: Final[CTE] = _COUNT_TODAY.cte("today")
"""Counts a task of today for `subject`, and locks the row until the commit, which should come soon; with the
column `created`, which counts this one, too."""

IN_FLIGHT: Final[Select[int, int]] = select(
    func.count(), func.count().filter(_TASKS.c.key_id == bindparam("key_id", type_=Uuid))
).where(
    _TASKS.c.account_id == bindparam("account_id", type_=Uuid),
    # Written out, so that a plan that is made once can use the index of open tasks.
    _TASKS.c.state.in_([literal_column(f"'{state.value}'") for state in (State.QUEUED, State.RUNNING)]),
)
"""How many tasks the account, and the key, have in flight. To be executed after `TODAY`, not with it: it then
sees what others have committed before they gave the lock away."""


async def check_today(session: AsyncSession, caller: Principal, created: int) -> None:
    """Raises `RateLimited` if the account has created too many tasks today, or the key, which is counted here
    if it has limits of its own."""
    _check_today(created, caller.limits, "This account")
    if caller.key_id and caller.key_limits:
        of_key = await session.scalar(_COUNT_TODAY, {"subject": caller.key_id})
        _check_today(of_key or 0, caller.key_limits, "This key")


def check_in_flight(caller: Principal, of_account: int, of_key: int) -> None:
    """Raises `RateLimited` if the account or the key has too many tasks in flight, with the new one."""
    _check_in_flight(of_account, caller.limits, "This account")
    if caller.key_limits:
        _check_in_flight(of_key, caller.key_limits, "This key")


def _check_today(count: int, limits: Limits, whose: str) -> None:
    if count > limits.tasks_per_day:
        raise RateLimited(
            f"{whose} may create {limits.tasks_per_day} tasks a day (UTC). Try again tomorrow, or ask who "
            "runs this service for more.",
            retry_after=_seconds_until_tomorrow(),
        )


def _check_in_flight(count: int, limits: Limits, whose: str) -> None:
    if count > limits.tasks_in_flight:
        raise RateLimited(
            f"{whose} may have {limits.tasks_in_flight} tasks in progress at once. Wait until one has ended.",
            retry_after=_SOON,
        )


def _seconds_until_tomorrow() -> int:
    now = datetime.now(UTC)
    tomorrow = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return int((tomorrow - now).total_seconds()) + 1

"""Limits on what can be tried without a key: exact across processes, since the database counts each try.

A try is counted before it's known how it goes, in a transaction of its own. So however many come at once, no
more than allowed get through.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import ceil

from sqlalchemy import case, delete, extract, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mien.accounts.models import Throttle
from mien.accounts.tokens import digest
from mien.errors import RateLimited


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many tries in a span of time, which begins with the first of them."""

    tries: int
    within: timedelta


async def take(sessions: async_sessionmaker[AsyncSession], tries: Mapping[str, Allowance]) -> None:
    """Count a try for each subject, in their order, up to the first that has no more.

    Raises `RateLimited` for that one.
    """
    async with sessions.begin() as session:
        for subject, allowance in tries.items():
            wait = await _count(session, subject, allowance)
            if wait is not None:
                break
    if wait is not None:
        raise RateLimited(
            f"This was tried too often. Try again in {ceil(wait / 60)} minutes.", retry_after=wait
        )


async def give_back(session: AsyncSession, subjects: Collection[str]) -> None:
    """Uncount a try for each subject: it turned out to be harmless."""
    ongoing = update(Throttle).where(
        Throttle.subject.in_(subjects), Throttle.ends_at > func.now(), Throttle.tries > 0
    )
    await session.execute(ongoing.values(tries=Throttle.tries - 1))


async def clear(session: AsyncSession, subject: str) -> None:
    """Forget a subject's tries."""
    await session.execute(delete(Throttle).where(Throttle.subject == subject))


async def clear_all(session: AsyncSession, email: str) -> None:
    """Forget the tries of all subjects that name this e-mail address, which they do by its hash."""
    subjects = Throttle.subject.endswith(digest(email).hex())
    await session.execute(delete(Throttle).where(subjects))


async def forget(session: AsyncSession) -> None:
    """Delete what no longer counts."""
    await session.execute(delete(Throttle).where(Throttle.ends_at <= func.now()))


async def _count(session: AsyncSession, subject: str, allowance: Allowance) -> int | None:
    """Seconds to wait, if there are no more tries."""
    first = insert(Throttle).values(subject=subject, tries=1, ends_at=func.now() + allowance.within)
    is_over = Throttle.ends_at <= func.now()
    counted = first.on_conflict_do_update(
        index_elements=[Throttle.subject],
        set_={
            "tries": case((is_over, 1), else_=Throttle.tries + 1),
            "ends_at": case((is_over, first.excluded.ends_at), else_=Throttle.ends_at),
        },
    ).returning(Throttle.tries, extract("epoch", Throttle.ends_at - func.now()))
    tries, seconds = (await session.execute(counted)).one()
    return max(1, ceil(seconds)) if tries > allowance.tries else None

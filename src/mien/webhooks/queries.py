"""Every query on endpoints and deliveries. Whoever calls them commits. Times are the database's."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, Select, Text, cast, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from mien.database import jobs
from mien.database.paging import Page, read_page
from mien.webhooks.models import CallbackSecret, Delivery, Endpoint, State

# Endpoints ------------------------------------------------------------------------------------------------


async def endpoints_of(session: AsyncSession, account_id: UUID) -> Sequence[Endpoint]:
    """All of an account's, the oldest first."""
    found = select(Endpoint).where(Endpoint.account_id == account_id)
    return (await session.scalars(found.order_by(Endpoint.created_at, Endpoint.id))).all()


async def wanting(session: AsyncSession, account_id: UUID, event: str) -> Sequence[Endpoint]:
    """Enabled endpoints of an account that want to hear of an event."""
    found = select(Endpoint).where(
        Endpoint.account_id == account_id, Endpoint.disabled_at.is_(None), Endpoint.events.any_() == event
    )
    return (await session.scalars(found)).all()


async def find_endpoint(
    session: AsyncSession, account_id: UUID, endpoint_id: UUID, *, lock: bool = False
) -> Endpoint | None:
    found = select(Endpoint).where(Endpoint.id == endpoint_id, Endpoint.account_id == account_id)
    return await session.scalar(found.with_for_update() if lock else found)


async def endpoint_succeeded(session: AsyncSession, endpoint_id: UUID) -> None:
    was_failing = update(Endpoint).where(Endpoint.id == endpoint_id, Endpoint.failing_since.is_not(None))
    await session.execute(was_failing.values(failing_since=None))


async def endpoint_failed(session: AsyncSession, endpoint_id: UUID) -> None:
    was_fine = update(Endpoint).where(Endpoint.id == endpoint_id, Endpoint.failing_since.is_(None))
    await session.execute(was_fine.values(failing_since=func.now()))


async def disable(
    session: AsyncSession, endpoint_id: UUID, reason: str, failing_for: timedelta = timedelta(0)
) -> None:
    """Disable an endpoint that no attempt has reached for so long."""
    enabled = update(Endpoint).where(
        Endpoint.id == endpoint_id,
        Endpoint.disabled_at.is_(None),
        Endpoint.failing_since <= func.now() - failing_for,
    )
    await session.execute(enabled.values(disabled_at=func.now(), disabled_reason=reason))


async def callback_secret(
    session: AsyncSession, account_id: UUID, new: str, *, lock: bool = False
) -> CallbackSecret:
    """The account's; one with the secret `new` if it has none yet."""
    found = select(CallbackSecret).where(CallbackSecret.account_id == account_id)
    found = found.with_for_update() if lock else found
    if known := await session.scalar(found):
        return known
    await session.execute(
        insert(CallbackSecret).values(account_id=account_id, secret=new).on_conflict_do_nothing()
    )
    return (await session.scalars(found)).one()


async def erase(session: AsyncSession, account_id: UUID) -> None:
    """Delete an account's endpoints, its secret of callbacks, and all that was sent or waits to be."""
    for owned in (Delivery, Endpoint, CallbackSecret):
        await session.execute(delete(owned).where(owned.account_id == account_id))


# Deliveries -----------------------------------------------------------------------------------------------


async def account_of(session: AsyncSession, delivery_id: UUID) -> UUID | None:
    """Whose pending delivery this is."""
    return await session.scalar(
        select(Delivery.account_id).where(Delivery.id == delivery_id, Delivery.state == State.PENDING)
    )


async def start_attempt(session: AsyncSession, delivery_id: UUID, patience: timedelta) -> Delivery | None:
    """Take a delivery that is due for a new attempt; None if it isn't. It's due again after `patience`."""
    due = update(Delivery).where(
        Delivery.id == delivery_id, Delivery.state == State.PENDING, Delivery.next_attempt_at <= func.now()
    )
    return await session.scalar(
        due.values(attempt=Delivery.attempt + 1, next_attempt_at=func.now() + patience).returning(Delivery)
    )


async def end_attempt(
    session: AsyncSession,
    delivery: Delivery,
    *,
    attempts: Sequence[Mapping[str, Any]],
    state: State,
    delay: timedelta,
) -> bool:
    """Write down how the attempt of `delivery`, as it was read, ended; False if there has been another."""
    mine = update(Delivery).where(
        Delivery.id == delivery.id, Delivery.state == State.PENDING, Delivery.attempt == delivery.attempt
    )
    ended = mine.values(
        attempts=list(attempts),
        state=state,
        next_attempt_at=func.now() + delay,
        ended_at=None if state is State.PENDING else func.now(),
    )
    result = await session.execute(ended.execution_options(synchronize_session=False))
    assert isinstance(result, CursorResult)  # noqa: S101 - what an UPDATE without RETURNING gives
    return bool(result.rowcount == 1)


async def start_over(session: AsyncSession, delivery: Delivery) -> None:
    """Make an ended delivery due, with all attempts before it."""
    delivery.state = State.PENDING
    delivery.attempts_before = delivery.attempt
    delivery.next_attempt_at = func.now()
    delivery.ended_at = None
    await session.flush()


async def find_delivery(
    session: AsyncSession, account_id: UUID, delivery_id: UUID, *, lock: bool = False
) -> Delivery | None:
    found = select(Delivery).where(Delivery.id == delivery_id, Delivery.account_id == account_id)
    return await session.scalar(found.with_for_update() if lock else found)


async def deliveries_of(
    session: AsyncSession,
    account_id: UUID,
    *,
    endpoint_id: UUID | None = None,
    task_id: str | None = None,
    limit: int,
    cursor: str | None,
) -> Page[Delivery]:
    """An account's deliveries, the latest first. Raises `InvalidRequest` for a cursor of elsewhere."""
    found: Select[Delivery] = select(Delivery).where(Delivery.account_id == account_id)
    if endpoint_id:
        found = found.where(Delivery.endpoint_id == endpoint_id)
    if task_id is not None:
        found = found.where(Delivery.task_id == task_id)
    return await read_page(session, found, (Delivery.created_at, Delivery.id), limit=limit, cursor=cursor)


async def unheard(session: AsyncSession, limit: int) -> Sequence[UUID]:
    """Deliveries that are due, the longest first, but have no job to wake a sender."""
    due = select(Delivery.id).where(
        Delivery.state == State.PENDING,
        Delivery.next_attempt_at <= func.now(),
        jobs.has_no_job("webhooks", cast(Delivery.id, Text)),
    )
    return (await session.scalars(due.order_by(Delivery.next_attempt_at).limit(limit))).all()


async def forget_old(session: AsyncSession, retention: timedelta, limit: int) -> int:
    """Delete deliveries that ended so long ago, at most `limit`; how many."""
    old = select(Delivery.id).where(Delivery.ended_at <= func.now() - retention).limit(limit)
    result = await session.execute(delete(Delivery).where(Delivery.id.in_(old)))
    assert isinstance(result, CursorResult)  # noqa: S101 - what a DELETE without RETURNING gives
    return int(result.rowcount)

"""Orders: packs of credits, credited once when their price is paid, and taken back when the money is.

Reports of payments come again, late and in any order. Each is compared with what the ledger already says,
while the order is locked, so that a second one changes nothing.
"""

from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mien.accounts import audit_log
from mien.accounts.models import Act
from mien.billing import ledger
from mien.billing.models import Kind, LedgerEntry, Order, OrderState
from mien.billing.payments import Abandoned, Disputed, Paid, PaymentEvent, PaymentProvider, Refunded
from mien.database.paging import Page, read_page
from mien.errors import Conflict, InvalidRequest, NotFound, Unavailable
from mien.http.principal import Principal
from mien.money import Money, Pack
from mien.resources import Resources
from mien.settings import Settings

logger = structlog.get_logger(__name__)


def packs_for_sale(settings: Settings) -> tuple[Pack, ...]:
    """What can be ordered: nothing where swaps are free."""
    return settings.packs if settings.price_per_face else ()


async def place(resources: Resources, payments: PaymentProvider, account_id: UUID, credits: int) -> Order:
    """Order the pack of that many credits.

    Raises `InvalidRequest` if there is no such pack, `Conflict` if nothing is sold here, and `Unavailable` if
    the payment provider is out of order.
    """
    packs = packs_for_sale(resources.settings)
    if not packs:
        raise Conflict("No credits are sold here. If you need some, ask who runs this service.")
    pack = next((pack for pack in packs if pack.credits == credits), None)
    if pack is None:
        sizes = ", ".join(str(pack.credits) for pack in packs)
        raise InvalidRequest(
            f"There is no pack of {credits} credits. There are packs of {sizes}.", param="credits"
        )
    order = Order(
        account_id=account_id,
        credits=pack.credits,
        units=pack.price.units,
        currency=pack.price.currency,
        provider=payments.name,
        state=OrderState.PENDING,
    )
    async with resources.sessions.begin() as session:
        session.add(order)
        await session.flush()
        await session.refresh(order)
    # Nothing in the database waits for the provider.
    try:
        url = await payments.checkout(order.id, pack.credits, pack.price)
    except Unavailable:
        async with resources.sessions.begin() as session:
            await _abandon(session, order.id)
        raise
    if url:
        order.checkout_url = url
        async with resources.sessions.begin() as session:
            await session.execute(update(Order).where(Order.id == order.id).values(checkout_url=url))
    return order


async def erase(session: AsyncSession, account_id: UUID) -> None:
    """Cancel the orders of a deleted account that aren't paid, and forget where they could have been.

    What was ordered and paid stays, as books have to be kept; a payment that still comes is credited.
    """
    theirs = update(Order).where(Order.account_id == account_id)
    await session.execute(theirs.where(Order.state == OrderState.PENDING).values(state=OrderState.CANCELED))
    await session.execute(theirs.values(checkout_url=None))


async def find(session: AsyncSession, account_id: UUID, order_id: UUID) -> Order:
    """An account's own order. Raises `NotFound`, also for somebody else's."""
    order = await session.scalar(select(Order).where(Order.id == order_id, Order.account_id == account_id))
    if order is None:
        raise no_such_order()
    return order


async def newest(session: AsyncSession, account_id: UUID, *, limit: int, cursor: str | None) -> Page[Order]:
    """An account's orders, the newest first. Raises `InvalidRequest` for a cursor of elsewhere."""
    found = select(Order).where(Order.account_id == account_id)
    return await read_page(session, found, (Order.created_at, Order.id), limit=limit, cursor=cursor)


async def pending(session: AsyncSession) -> Sequence[Order]:
    """The orders of all accounts that wait for their payment, oldest first."""
    found = select(Order).where(Order.state == OrderState.PENDING).order_by(Order.created_at)
    return (await session.scalars(found)).all()


async def confirm(session: AsyncSession, order_id: UUID, by: Principal | None) -> Order:
    """Credit an order whose payment somebody has seen; `by` is who, None for the command line.

    A second time changes nothing. Raises `NotFound`.
    """
    order = await _locked(session, Order.id == order_id)
    if order is None:
        raise no_such_order()
    if order.state != OrderState.PAID:
        order.confirmed_by = audit_log.name_of(by)
        await _credit(session, order)
        await _note(session, by, Act.ORDER_CONFIRMED, order, order.credits)
    return order


async def cancel(session: AsyncSession, order_id: UUID, by: Principal | None) -> Order:
    """Wait no longer for an order's payment; `by` is who decides so, None for the command line.

    A second time changes nothing, and a payment that still comes is credited. Raises `NotFound`, and
    `Conflict` if the order is paid.
    """
    order = await _locked(session, Order.id == order_id)
    if order is None:
        raise no_such_order()
    if order.state == OrderState.PAID:
        raise Conflict("This order is paid, so it can't be canceled. Take its credits back with a refund.")
    if order.state == OrderState.PENDING:
        order.state = OrderState.CANCELED
        await _note(session, by, Act.ORDER_CANCELED, order, order.credits)
    return order


async def refund(
    session: AsyncSession, order_id: UUID, credits: int | None, by: Principal | None
) -> LedgerEntry:
    """Take back credits of an order whose price somebody has returned; all that are left, unless `credits`
    says how many. `by` is who does it, None for the command line.

    Raises `NotFound`, `Conflict` if the order isn't paid, has nothing left, or was paid through a provider
    that reports refunds by itself, and `InvalidRequest` if it has fewer left.
    """
    order = await _locked(session, Order.id == order_id)
    if order is None:
        raise no_such_order()
    if order.state != OrderState.PAID:
        raise Conflict("This order has not been paid, so there is nothing to take back.")
    if order.payment_id:
        raise Conflict(
            f"This order was paid through {order.provider.title()}. Refund it there: its credits are then "
            "taken back by themselves."
        )
    left = await _left(session, order)
    if not left:
        raise Conflict("All credits of this order have been taken back before.")
    if credits is not None and credits > left:
        raise InvalidRequest(
            f"Of this order {left} credits are left. Take back as many or fewer.", param="credits"
        )
    taken = credits or left
    await _note(session, by, Act.ORDER_REFUNDED, order, taken)
    return await ledger.refund(session, order, taken, audit_log.name_of(by))


async def record(session: AsyncSession, event: PaymentEvent) -> None:
    """Write down what a payment provider reports."""
    match event:
        case Paid():
            await _paid(session, event)
        case Abandoned():
            await _abandon(session, event.order_id)
        case Refunded():
            order = await _paid(session, Paid(event.order_id, event.payment_id, event.amount))
            if order:
                await _refund(session, order, event)
        case Disputed():
            order = await _locked(session, Order.payment_id == event.payment_id)
            if order is None:
                # Perhaps of something else that the operator sells.
                logger.warning("dispute fits no order", payment=event.payment_id, dispute=event.dispute)
                return
            await _dispute(session, order, event)


async def _paid(session: AsyncSession, event: Paid) -> Order | None:
    """The order, locked and credited; None if it isn't one of ours, or something else was paid."""
    order = await _locked(session, Order.id == event.order_id)
    if order is None or event.amount != price_of(order):
        logger.error("payment fits no order", order_id=str(event.order_id), amount=str(event.amount))
        return None
    order.payment_id = order.payment_id or event.payment_id
    if order.state != OrderState.PAID:
        await _credit(session, order)
    return order


async def _note(session: AsyncSession, by: Principal | None, act: Act, order: Order, credits: int) -> None:
    details = {"credits": credits}
    await audit_log.write(session, by, act, account_id=order.account_id, subject=order.id, details=details)


async def _credit(session: AsyncSession, order: Order) -> None:
    order.state = OrderState.PAID
    order.paid_at = func.now()
    await session.flush()
    await session.refresh(order)
    await ledger.purchase(session, order)
    logger.info("order paid", order_id=str(order.id), credits=order.credits)


async def _abandon(session: AsyncSession, order_id: UUID) -> None:
    await session.execute(
        update(Order)
        .where(Order.id == order_id, Order.state == OrderState.PENDING)
        .values(state=OrderState.CANCELED)
    )


async def _refund(session: AsyncSession, order: Order, event: Refunded) -> None:
    due = order.credits * min(event.refunded.units, order.units) // order.units
    credits = due - await _taken(session, order, Kind.REFUND)
    credits = min(credits, await _left(session, order))
    if credits > 0:
        await ledger.refund(session, order, credits)


async def _dispute(session: AsyncSession, order: Order, event: Disputed) -> None:
    taken = await _of_dispute(session, Kind.CHARGEBACK, event.dispute)
    if taken is None:
        # In another currency it's the whole sum, changed.
        units = event.amount.units if event.amount.currency == order.currency else order.units
        due = order.credits * min(units, order.units) // order.units
        credits = min(due, await _left(session, order))
        taken = await ledger.charge_back(session, order, credits, event.dispute)
        logger.warning("payment disputed", order_id=str(order.id), dispute=event.dispute, credits=credits)
    if event.won and await _of_dispute(session, Kind.REINSTATEMENT, event.dispute) is None:
        await ledger.reinstate(session, order, taken.debt - taken.credits, event.dispute)


async def _of_dispute(session: AsyncSession, kind: Kind, dispute: str) -> LedgerEntry | None:
    return await session.scalar(
        select(LedgerEntry).where(LedgerEntry.kind == kind, LedgerEntry.reference == dispute)
    )


async def _left(session: AsyncSession, order: Order) -> int:
    """Credits of a paid order that haven't been taken back."""
    return order.credits - await _taken(session, order, Kind.REFUND, Kind.CHARGEBACK, Kind.REINSTATEMENT)


async def _taken(session: AsyncSession, order: Order, *kinds: Kind) -> int:
    taken = select(func.coalesce(func.sum(LedgerEntry.debt - LedgerEntry.credits), 0)).where(
        LedgerEntry.order_id == order.id, LedgerEntry.kind.in_(kinds)
    )
    return int((await session.scalars(taken)).one())


async def _locked(session: AsyncSession, which: ColumnElement[bool]) -> Order | None:
    return await session.scalar(select(Order).where(which).with_for_update())


def price_of(order: Order) -> Money:
    """What an order costs."""
    return Money(order.units, order.currency)


def no_such_order() -> NotFound:
    return NotFound("There is no such order. Check its id and the key.", param="order_id")

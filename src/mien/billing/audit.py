"""Do the books add up? What the tables' constraints can't say, checked on one snapshot of the database."""

from collections.abc import Sequence

from sqlalchemy import and_, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from mien.accounts.models import Account
from mien.billing.models import Kind, LedgerEntry, Order, OrderState, tasks

_hold, _closing = aliased(LedgerEntry, name="hold"), aliased(LedgerEntry, name="closing")
_is_hold_of_task = and_(_hold.task_id == tasks.c.id, _hold.kind == Kind.HOLD)
_is_closing_of_hold = and_(_closing.task_id == _hold.task_id, _closing.kind.in_([Kind.SETTLE, Kind.RELEASE]))
_task_is_open = tasks.c.state.in_(["queued", "running"])


async def audit(session: AsyncSession) -> Sequence[str]:
    """What is wrong, a sentence each; nothing, if all is well. The session must not have been used yet.

    Balance and debt are what the ledger adds up to; every hold belongs to a task, is closed once the task has
    ended and not before, and says how it ended; no closing lacks a hold; orders are credited when they are
    paid and only then.
    """
    await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    return [
        *await _wrong_balances(session),
        *await _wrong_holds(session),
        *await _wrong_closings(session),
        *await _wrong_orders(session),
    ]


async def _wrong_balances(session: AsyncSession) -> list[str]:
    sums = (
        select(
            LedgerEntry.account_id,
            func.sum(LedgerEntry.credits).label("credits"),
            func.sum(LedgerEntry.debt).label("debt"),
        )
        .group_by(LedgerEntry.account_id)
        .subquery()
    )
    credits, debt = func.coalesce(sums.c.credits, 0), func.coalesce(sums.c.debt, 0)
    found = await session.execute(
        select(Account.id, Account.balance, Account.debt, credits, debt)
        .outerjoin(sums, sums.c.account_id == Account.id)
        .where(or_(Account.balance != credits, Account.debt != debt))
    )
    return [
        f"Account {id} has a balance of {balance} and a debt of {debt}; its entries add up to {credits} and "
        f"{owed}."
        for id, balance, debt, credits, owed in found
    ]


async def _wrong_holds(session: AsyncSession) -> list[str]:
    missing = select(tasks.c.id).outerjoin(_hold, _is_hold_of_task).where(_hold.id.is_(None))
    left_open = (
        select(_hold.task_id)
        .outerjoin(_closing, _is_closing_of_hold)
        .outerjoin(tasks, tasks.c.id == _hold.task_id)
        .where(_hold.kind == Kind.HOLD, _closing.id.is_(None), or_(tasks.c.id.is_(None), not_(_task_is_open)))
    )
    return [
        *(f"Task {id} has no hold." for id in await session.scalars(missing)),
        *(f"Task {id} has ended, but its hold is open." for id in await session.scalars(left_open)),
    ]


async def _wrong_closings(session: AsyncSession) -> list[str]:
    # What a release doesn't add to the balance, it takes off the debt.
    given_back = _closing.credits - _closing.debt
    wrong = (
        select(_closing.task_id, _closing.outcome, tasks.c.state)
        .outerjoin(_hold, and_(_is_closing_of_hold, _hold.kind == Kind.HOLD))
        .outerjoin(tasks, tasks.c.id == _closing.task_id)
        .where(
            _closing.kind.in_([Kind.SETTLE, Kind.RELEASE]),
            or_(
                _hold.id.is_(None),
                _hold.account_id != _closing.account_id,
                and_(_closing.kind == Kind.RELEASE, given_back != -_hold.credits),
                tasks.c.state != _closing.outcome,
            ),
        )
    )
    return [
        f"Task {id} is {state or 'unknown'}, but its hold was closed as {outcome}, or not by what was held."
        for id, outcome, state in await session.execute(wrong)
    ]


async def _wrong_orders(session: AsyncSession) -> list[str]:
    purchase = and_(LedgerEntry.order_id == Order.id, LedgerEntry.kind == Kind.PURCHASE)
    credited = LedgerEntry.credits - LedgerEntry.debt
    wrong = (
        select(Order.id, Order.state, credited)
        .outerjoin(LedgerEntry, purchase)
        .where(
            or_(
                and_(Order.state == OrderState.PAID, func.coalesce(credited, 0) != Order.credits),
                and_(Order.state != OrderState.PAID, LedgerEntry.id.is_not(None)),
            )
        )
    )
    return [
        f"Order {id} is {state.value}, and {credits or 0} credits were added for it."
        for id, state, credits in await session.execute(wrong)
    ]

"""The ledger: every change of an account's credits, written in the transaction of what it is for.

A task holds its price when it's created, and its end closes the hold once: completed settles it, failed and
canceled release it. All functions take the caller's session and leave the commit to it.

The balance never falls below 0. What a refund or a chargeback can't find there becomes debt, which keeps new
tasks from being created; credits that come in pay it off first.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import Select, bindparam, exists, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningInsert

from mien.accounts import audit_log
from mien.accounts.models import Account, Act
from mien.accounts.service import no_such_account
from mien.billing.models import Kind, LedgerEntry, Order, Outcome
from mien.database.connection import table_of
from mien.database.paging import Page, read_page
from mien.errors import InsufficientCredits, InvalidRequest
from mien.http.principal import Principal

Failed = Literal[Outcome.FAILED, Outcome.CANCELED]

MAX_GRANT = 1_000_000_000_000


def _hold_statement() -> ReturningInsert[int]:
    """A hold and its change of the balance; returns nothing where the balance doesn't allow it.

    It's one statement, so that the lock is as short as the commit. Where somebody else changed the row
    meanwhile, PostgreSQL checks the conditions again on what is there now. A price of 0 takes no lock.
    """
    accounts, entries = table_of(Account), table_of(LedgerEntry)
    names = ("account_id", "kind", "credits", "task_id", "key_id", "faces")
    values = {name: bindparam(name, type_=entries.c[name].type) for name in names}
    is_free = values["credits"] == 0
    left = accounts.c.balance + values["credits"]
    paid = (
        update(accounts)
        .where(accounts.c.id == values["account_id"], ~is_free, left >= 0, accounts.c.debt == 0)
        .values(balance=left)
        .returning(accounts.c.id)
        .cte("paid")
    )
    hold = select(*values.values()).where(or_(is_free, exists(select(paid.c.id))))
    return insert(entries).from_select(names, hold).returning(entries.c.id)


def holding(reading: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """The statement by which `hold` reads something else as well, as it is before.

    To be made once: every task needs it, behind a lock.
    """
    return reading.add_columns(select(_hold_statement().cte("held").c.id).scalar_subquery())


_HOLDING: Final = holding(select())


async def hold(
    session: AsyncSession,
    account_id: UUID,
    task_id: str,
    key_id: UUID | None,
    faces: int,
    *,
    price_per_face: int,
    statement: Select[*tuple[Any, ...]] = _HOLDING,
) -> Sequence[Any]:
    """Take the price of a new task from the balance, and return what `statement` reads beside it (`holding`).

    The price is frozen: what is held is what is settled or released. Call it last before the commit, since
    from here on the account's row is locked. A price of 0 needs neither credits nor a clean record, and takes
    no lock. Raises `InsufficientCredits`.
    """
    price = faces * price_per_face
    values = {
        "account_id": account_id,
        "kind": Kind.HOLD,
        "credits": -price,
        "task_id": task_id,
        "key_id": key_id,
        "faces": faces,
    }
    found: Sequence[Any] = (await session.execute(statement, values)).one()
    *read, entry_id = found
    if entry_id is None:
        raise await _insufficient(session, account_id, price, faces)
    return read


async def settle(session: AsyncSession, task_id: str) -> bool:
    """Close the hold of a completed task; False, and nothing is changed, if there is no open one."""
    hold = await _find_hold(session, task_id)
    return hold is not None and await _close(session, hold, Kind.SETTLE, Outcome.COMPLETED, credits=0, debt=0)


async def release(
    session: AsyncSession,
    task_id: str,
    outcome: Failed = Outcome.FAILED,
) -> bool:
    """Give back what a failed or canceled task held; False, and nothing is changed, if nothing is open."""
    hold = await _find_hold(session, task_id)
    if hold is None:
        return False
    change = await _change(session, hold.account_id, -hold.credits)
    if not await _close(session, hold, Kind.RELEASE, outcome, **change):
        return False
    await _apply(session, hold.account_id, change)
    return True


async def grant(
    session: AsyncSession, account_id: UUID, credits: int, reason: str, by: Principal | None
) -> LedgerEntry:
    """Give credits away. `reason` is for the account's owner; `by` is who gives, None for the command line.

    Raises `NotFound` if there is no such account.
    """
    if not 0 < credits <= MAX_GRANT:
        raise InvalidRequest(f"Grant between 1 and {MAX_GRANT} credits.", param="credits")
    made_by = audit_log.name_of(by)
    entry = await _write(session, account_id, Kind.GRANT, credits, reason=reason, made_by=made_by)
    details = {"credits": credits}
    await audit_log.write(session, by, Act.CREDITS_GRANTED, account_id=account_id, details=details)
    return entry


async def purchase(session: AsyncSession, order: Order) -> LedgerEntry:
    """Credit what an order bought; a unique index lets an order be credited once."""
    return await _write(session, order.account_id, Kind.PURCHASE, order.credits, order_id=order.id)


async def refund(session: AsyncSession, order: Order, credits: int, by: str | None = None) -> LedgerEntry:
    """Take back credits whose price the operator has returned; `by` names who did it by hand."""
    return await _write(session, order.account_id, Kind.REFUND, -credits, order_id=order.id, made_by=by)


async def charge_back(session: AsyncSession, order: Order, credits: int, dispute: str) -> LedgerEntry:
    """Take back credits whose price the buyer's bank has taken back in the dispute of that name."""
    return await _write(
        session, order.account_id, Kind.CHARGEBACK, -credits, order_id=order.id, reference=dispute
    )


async def reinstate(session: AsyncSession, order: Order, credits: int, dispute: str) -> LedgerEntry:
    """Give back what `charge_back` took, when the dispute was won."""
    return await _write(
        session, order.account_id, Kind.REINSTATEMENT, credits, order_id=order.id, reference=dispute
    )


async def newest(
    session: AsyncSession, account_id: UUID, *, limit: int, cursor: str | None
) -> Page[LedgerEntry]:
    """An account's entries, the newest first. Raises `InvalidRequest` for a cursor of elsewhere."""
    found = select(LedgerEntry).where(LedgerEntry.account_id == account_id)
    return await read_page(session, found, (LedgerEntry.id,), limit=limit, cursor=cursor)


async def _find_hold(session: AsyncSession, task_id: str) -> LedgerEntry | None:
    return await session.scalar(
        select(LedgerEntry).where(LedgerEntry.task_id == task_id, LedgerEntry.kind == Kind.HOLD)
    )


async def _close(
    session: AsyncSession, hold: LedgerEntry, kind: Kind, outcome: Outcome, **change: int
) -> bool:
    """Write the entry that closes a hold, unless it has one: a unique index knows, also at the same time."""
    entry = (
        insert(LedgerEntry)
        .values(
            account_id=hold.account_id,
            kind=kind,
            task_id=hold.task_id,
            key_id=hold.key_id,
            faces=hold.faces,
            outcome=outcome,
            **change,
        )
        .on_conflict_do_nothing(
            index_elements=[LedgerEntry.task_id],
            index_where=text("kind IN ('settle', 'release')"),
        )
        .returning(LedgerEntry.id)
    )
    return await session.scalar(entry) is not None


async def _write(
    session: AsyncSession, account_id: UUID, kind: Kind, credits: int, **details: Any
) -> LedgerEntry:
    change = await _change(session, account_id, credits)
    entry = LedgerEntry(account_id=account_id, kind=kind, **change, **details)
    session.add(entry)
    await session.flush()
    await _apply(session, account_id, change)
    return entry


async def _change(session: AsyncSession, account_id: UUID, credits: int) -> dict[str, int]:
    """What `credits` more, or fewer, do to balance and debt of an account, which stays locked."""
    found = await session.execute(
        select(Account.balance, Account.debt)
        .where(Account.id == account_id)
        .with_for_update(key_share=True)  # FOR NO KEY UPDATE: rows that refer to the account don't wait
    )
    account = found.one_or_none()
    if account is None:
        raise no_such_account()
    if credits >= 0:
        paid_off = min(account.debt, credits)
        return {"credits": credits - paid_off, "debt": -paid_off}
    taken = min(account.balance, -credits)
    return {"credits": -taken, "debt": -credits - taken}


async def _apply(session: AsyncSession, account_id: UUID, change: dict[str, int]) -> None:
    await session.execute(
        update(Account)
        .where(Account.id == account_id)
        .values(balance=Account.balance + change["credits"], debt=Account.debt + change["debt"])
    )


async def _insufficient(
    session: AsyncSession, account_id: UUID, price: int, faces: int
) -> InsufficientCredits:
    found = await session.execute(select(Account.balance, Account.debt).where(Account.id == account_id))
    balance, debt = found.one()
    if debt:
        return InsufficientCredits(
            f"A payment was taken back, which left a debt of {debt} credits. Pay it off first: credits that "
            "you buy with POST /api/v1/orders do so."
        )
    return InsufficientCredits(
        f"This task costs {price} credits ({price // faces} a face), and the balance is {balance}. Buy "
        "credits with POST /api/v1/orders, or ask who runs this service for some."
    )

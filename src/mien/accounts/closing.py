"""The end of an account: from one moment on it's nobody's.

What it owns elsewhere is erased afterwards, by the rooms that keep it (`mien.privacy.deletion`). Its row
stays, without anything personal: the ledger, which is only ever added to, is about it.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mien.accounts import audit_log, throttle
from mien.accounts.demo import DEMO_ACCOUNT
from mien.accounts.models import Account, Act, ApiKey, Invite, PasswordReset, SignIn
from mien.accounts.service import no_such_account
from mien.errors import Conflict

NAME: Final = "Deleted account"


async def close(session: AsyncSession, account_id: UUID, *, by_operator: bool) -> None:
    """Take from an account its person, its keys and its sessions, at once and for good.

    A second time changes nothing. `by_operator` if it isn't its owner who wants it. Raises `NotFound`, and
    `Conflict` for the last administrator's and for the one of visitors.
    """
    if account_id == DEMO_ACCOUNT:
        raise Conflict("This is the account of visitors who try the service. Disable it instead.")
    if await session.scalar(select(Account.is_administrator).where(Account.id == account_id)):
        await _check_not_last(session, account_id)
    # From here on, whoever adds something to the account waits, and is then refused.
    account = await session.scalar(
        select(Account)
        .where(Account.id == account_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if account is None:
        raise no_such_account()
    if account.deleted_at:
        return
    if account.email:
        await throttle.clear_all(session, account.email)
        await session.execute(delete(Invite).where(Invite.email == account.email))
    for owned in (SignIn, ApiKey, PasswordReset):
        await session.execute(delete(owned).where(owned.account_id == account_id))
    account.name, account.email, account.password_hash = NAME, None, None
    account.is_administrator, account.retention = False, None
    account.requests_per_minute = account.tasks_in_flight = account.tasks_per_day = None
    account.disabled_at = account.disabled_at or func.now()
    account.deleted_at = func.now()
    await session.flush()
    if by_operator:
        await audit_log.write(session, None, Act.ACCOUNT_DELETED, account_id=account_id)


async def _check_not_last(session: AsyncSession, account_id: UUID) -> None:
    """Raises `Conflict` for the only administrator's account."""
    # In their order: of two administrators who leave at the same moment, one is the last.
    administrators = select(Account.id).where(Account.is_administrator, Account.disabled_at.is_(None))
    remaining = (await session.scalars(administrators.order_by(Account.id).with_for_update())).all()
    if remaining == [account_id]:
        raise Conflict(
            "This is the last administrator's account. Make somebody else an administrator first (`mien "
            "accounts create --administrator`)."
        )


async def unerased(session: AsyncSession) -> Sequence[UUID]:
    """Accounts that were closed and may still own something, the longest first."""
    found = select(Account.id).where(Account.deleted_at.is_not(None), Account.erased_at.is_(None))
    return (await session.scalars(found.order_by(Account.deleted_at))).all()


async def set_erased(session: AsyncSession, account_id: UUID) -> None:
    """Note that nothing is left of a closed account but what has to be kept."""
    closed = update(Account).where(Account.id == account_id, Account.deleted_at.is_not(None))
    await session.execute(closed.values(erased_at=func.now()))

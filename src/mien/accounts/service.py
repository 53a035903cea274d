"""Accounts and their keys: who is asking?"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from mien.accounts.models import Account, ApiKey

_KEY = re.compile(r"aio_[A-Za-z0-9_-]{43}")
_PREFIX_LENGTH = 12
# Often enough for a page that shows it; a write for each request would be a burden.
_LAST_USED_PRECISION = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a request, and with which key."""

    account_id: UUID
    key_id: UUID


def generate_key() -> str:
    """A new key: `aio_` and 256 random bits in base64url."""
    return f"aio_{secrets.token_urlsafe(32)}"


def is_key(text: str) -> bool:
    """Whether `text` has the form of a key."""
    return _KEY.fullmatch(text) is not None


async def create_account(session: AsyncSession, name: str) -> Account:
    account = Account(name=name)
    session.add(account)
    await session.flush()
    return account


async def issue_key(session: AsyncSession, account_id: UUID, name: str) -> str:
    """A new key of the account. This is the only time that it can be seen: the database has its hash."""
    key = generate_key()
    await _register(session, account_id, name, key)
    return key


async def authenticate(session: AsyncSession, key: str) -> Principal | None:
    """Whose key this is; None if it's unknown or revoked, or its account is disabled.

    The key is looked up by its hash, so the time it takes says nothing about other keys. Notes when the key
    was last used, to the minute.
    """
    if not is_key(key):
        return None
    found = await session.scalar(
        select(ApiKey)
        .join(Account, Account.id == ApiKey.account_id)
        .where(ApiKey.key_hash == _hash(key), ApiKey.revoked_at.is_(None), Account.disabled_at.is_(None))
    )
    if found is None:
        return None
    now = datetime.now(UTC)
    if found.last_used_at is None or found.last_used_at < now - _LAST_USED_PRECISION:
        found.last_used_at = now
    return Principal(account_id=found.account_id, key_id=found.id)


async def admit_first_key(session: AsyncSession, key: str) -> None:
    """Make the key that the operator keeps work: it becomes one of the oldest account, made if there is none.

    A key that was known before stays what it is, also revoked.
    """
    # Two services that start on one new database make one account.
    await session.execute(text("LOCK TABLE accounts IN SHARE ROW EXCLUSIVE MODE"))
    if await session.scalar(select(ApiKey.id).where(ApiKey.key_hash == _hash(key))):
        return
    account = await session.scalar(select(Account).order_by(Account.created_at).limit(1))
    account = account or await create_account(session, "First account")
    await _register(session, account.id, "First key", key)


async def _register(session: AsyncSession, account_id: UUID, name: str, key: str) -> None:
    session.add(ApiKey(account_id=account_id, name=name, key_hash=_hash(key), prefix=key[:_PREFIX_LENGTH]))
    await session.flush()


def _hash(key: str) -> bytes:
    # Keys are random in full, so that a fast hash is as good as a slow one.
    return hashlib.sha256(key.encode()).digest()

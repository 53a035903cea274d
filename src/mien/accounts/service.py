"""Accounts and their keys: who is asking?"""

import hashlib
import re
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from mien.accounts.models import Account, ApiKey
from mien.http.principal import Limits, Principal
from mien.settings import Settings

_KEY = re.compile(r"aio_[A-Za-z0-9_-]{43}")
_PREFIX_LENGTH = 12
# Often enough for a page that shows it; a write for each request would be a burden.
_LAST_USED_PRECISION = timedelta(minutes=1)


def generate_key() -> str:
    """A new key: `aio_` and 256 random bits in base64url."""
    return f"aio_{secrets.token_urlsafe(32)}"


def is_key(text: str) -> bool:
    """Whether `text` has the form of a key."""
    return _KEY.fullmatch(text) is not None


async def create_account(session: AsyncSession, name: str, *, is_administrator: bool = False) -> Account:
    """A new account that has no e-mail address, only keys."""
    account = Account(name=name, is_administrator=is_administrator)
    session.add(account)
    await session.flush()
    return account


async def issue_key(session: AsyncSession, account_id: UUID, name: str) -> str:
    """A new key of the account. This is the only time that it can be seen: the database has its hash."""
    key = generate_key()
    await _register(session, account_id, name, key)
    return key


async def authenticate(session: AsyncSession, settings: Settings, key: str) -> Principal | None:
    """Whose key this is; None if it's unknown, revoked or has expired, or if its account is disabled.

    The key is looked up by its hash, so the time it takes says nothing about other keys. Notes when the key
    was last used, to the minute.
    """
    if not is_key(key):
        return None
    found = (
        await session.execute(
            select(ApiKey, Account)
            .join(Account, Account.id == ApiKey.account_id)
            .where(
                ApiKey.key_hash == _hash(key),
                ApiKey.revoked_at.is_(None),
                or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now()),
                Account.disabled_at.is_(None),
            )
        )
    ).one_or_none()
    if found is None:
        return None
    api_key, account = found
    now = datetime.now(UTC)
    if api_key.last_used_at is None or api_key.last_used_at < now - _LAST_USED_PRECISION:
        api_key.last_used_at = now
    return Principal(
        account_id=account.id,
        key_id=api_key.id,
        is_administrator=account.is_administrator,
        limits=account_limits(settings, account),
        key_limits=key_limits(settings, account, api_key),
    )


def account_limits(settings: Settings, account: Account) -> Limits:
    """The account's own limits, and the settings' where it has none."""
    return Limits(
        requests_per_minute=account.requests_per_minute or settings.requests_per_minute,
        tasks_in_flight=account.tasks_in_flight or settings.tasks_in_flight,
        tasks_per_day=account.tasks_per_day or settings.tasks_per_day,
    )


def key_limits(settings: Settings, account: Account, key: ApiKey) -> Limits | None:
    """The key's own limits, nowhere above the account's; None if it has none."""
    if not (key.requests_per_minute or key.tasks_in_flight or key.tasks_per_day):
        return None
    most = account_limits(settings, account)
    return Limits(
        requests_per_minute=min(
            key.requests_per_minute or most.requests_per_minute, most.requests_per_minute
        ),
        tasks_in_flight=min(key.tasks_in_flight or most.tasks_in_flight, most.tasks_in_flight),
        tasks_per_day=min(key.tasks_per_day or most.tasks_per_day, most.tasks_per_day),
    )


async def admit_first_key(session: AsyncSession, key: str) -> None:
    """Make the key that the operator keeps work: it becomes one of the oldest account.

    If there is none, an account is made that is the administrator's. A key that was known before stays what
    it is, also revoked.
    """
    # Two services that start on one new database make one account.
    await session.execute(text("LOCK TABLE accounts IN SHARE ROW EXCLUSIVE MODE"))
    if await session.scalar(select(ApiKey.id).where(ApiKey.key_hash == _hash(key))):
        return
    account = await session.scalar(select(Account).order_by(Account.created_at).limit(1))
    account = account or await create_account(session, "First account", is_administrator=True)
    await _register(session, account.id, "First key", key)


async def _register(session: AsyncSession, account_id: UUID, name: str, key: str) -> None:
    session.add(ApiKey(account_id=account_id, name=name, key_hash=_hash(key), prefix=key[:_PREFIX_LENGTH]))
    await session.flush()


def _hash(key: str) -> bytes:
    # Keys are random in full, so that a fast hash is as good as a slow one.
    return hashlib.sha256(key.encode()).digest()

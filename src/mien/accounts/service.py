"""Accounts and their keys: who is asking?"""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

from sqlalchemy import String, bindparam, cast, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from mien.accounts import audit_log
from mien.accounts.demo import DEMO_ACCOUNT
from mien.accounts.models import Account, Act, ApiKey
from mien.accounts.tokens import digest, new_token
from mien.database.connection import table_of
from mien.database.paging import Page, read_page
from mien.errors import Conflict, NotFound, PermissionDenied
from mien.http.principal import Limits, Principal
from mien.settings import Settings

MAX_KEYS = 100

_KEY = re.compile(r"aio_[A-Za-z0-9_-]{43}")
_PREFIX_LENGTH = 12
# Often enough for a page that shows it; a write for each request would be a burden.
_LAST_USED_PRECISION = timedelta(minutes=1)


class Limited(Protocol):
    """What has limits of its own, or none where they are None: an account, or a key."""

    @property
    def requests_per_minute(self) -> int | None: ...
    @property
    def tasks_in_flight(self) -> int | None: ...
    @property
    def tasks_per_day(self) -> int | None: ...


class OwnLimits(NamedTuple):
    """The same, as it's read for nearly every request."""

    requests_per_minute: int | None
    tasks_in_flight: int | None
    tasks_per_day: int | None


# Made once, and without the ORM, since nearly every request asks.
_KEYS, _ACCOUNTS = table_of(ApiKey), table_of(Account)
_WHOSE_KEY: Final = (
    select(
        _KEYS.c.id,
        _KEYS.c.account_id,
        _KEYS.c.last_used_at,
        _KEYS.c.expires_at,
        _ACCOUNTS.c.is_administrator,
        *(table.c[name] for table in (_ACCOUNTS, _KEYS) for name in OwnLimits._fields),
    )
    .join_from(_KEYS, _ACCOUNTS)
    .where(
        _KEYS.c.key_hash == bindparam("key_hash"),
        _KEYS.c.revoked_at.is_(None),
        or_(_KEYS.c.expires_at.is_(None), _KEYS.c.expires_at > func.now()),
        _ACCOUNTS.c.disabled_at.is_(None),
    )
)


# Accounts -------------------------------------------------------------------------------------------------


async def create_account(
    session: AsyncSession, name: str, *, is_administrator: bool = False, credits: int = 0
) -> Account:
    """A new account that has no e-mail address, only keys. It starts with `credits`."""
    account = Account(name=name, is_administrator=is_administrator, balance=credits)
    session.add(account)
    await session.flush()
    return account


async def admit_first_key(session: AsyncSession, key: str, *, credits: int = 0) -> None:
    """Make the key that the operator keeps work: it becomes one of the oldest account.

    If there is none, an account is made that is the administrator's and starts with `credits`. A key that was
    known before stays what it is, also revoked.
    """
    # Two services that start on one new database make one account.
    await session.execute(text("LOCK TABLE accounts IN SHARE ROW EXCLUSIVE MODE"))
    if await session.scalar(select(ApiKey.id).where(ApiKey.key_hash == digest(key))):
        return
    account = await oldest_account(session)
    account = account or await create_account(
        session, "First account", is_administrator=True, credits=credits
    )
    await _register(session, account.id, "First key", key)


async def oldest_account(session: AsyncSession) -> Account | None:
    """The one that the first key belongs to: an administrator's, if there is one."""
    found = select(Account).where(Account.id != DEMO_ACCOUNT, Account.deleted_at.is_(None))
    return await session.scalar(found.order_by(Account.is_administrator.desc(), Account.created_at).limit(1))


async def find_account(session: AsyncSession, account_id: UUID) -> Account:
    """Raises `NotFound`."""
    account = await session.get(Account, account_id)
    if account is None:
        raise no_such_account()
    return account


async def find_accounts(session: AsyncSession, account_ids: Collection[UUID]) -> Mapping[UUID, Account]:
    """Those of the accounts that there are, by their ids."""
    found = await session.scalars(select(Account).where(Account.id.in_(account_ids)))
    return {account.id: account for account in found}


def no_such_account() -> NotFound:
    return NotFound("There is no such account. Check its id.", param="account_id")


async def list_accounts(
    session: AsyncSession, *, limit: int, cursor: str | None, search: str = ""
) -> Page[Account]:
    """A page of the accounts whose name, e-mail address or id holds `search`, the newest first.

    Raises `InvalidRequest` for a cursor of elsewhere.
    """
    found = select(Account)
    if search:
        texts = (Account.name, Account.email, cast(Account.id, String))
        found = found.where(or_(*(text.icontains(search, autoescape=True) for text in texts)))
    return await read_page(session, found, (Account.created_at, Account.id), limit=limit, cursor=cursor)


async def lock_account(session: AsyncSession, account_id: UUID) -> None:
    """Until the commit, let nobody else count or spend what an account has. New rows of it needn't wait."""
    found = select(Account.id).where(Account.id == account_id)
    await session.execute(found.with_for_update(key_share=True))


async def update_account(session: AsyncSession, account_id: UUID, properties: Mapping[str, Any]) -> Account:
    """Change an account's name or retention. Raises `NotFound`."""
    account = await find_account(session, account_id)
    for name, value in properties.items():
        setattr(account, name, value)
    await session.flush()
    return account


async def change_limits(
    session: AsyncSession, account_id: UUID, limits: Mapping[str, int | None], by: Principal | None
) -> Account:
    """Give an account these limits of its own, and the settings' where they are None. Raises `NotFound`."""
    before = {name: getattr(await find_account(session, account_id), name) for name in limits}
    account = await update_account(session, account_id, limits)
    changed = {name: [before[name], limit] for name, limit in limits.items() if limit != before[name]}
    if changed:
        await audit_log.write(session, by, Act.LIMITS_CHANGED, account_id=account_id, details=changed)
    return account


def account_limits(settings: Settings, account: Limited) -> Limits:
    """The account's own limits, and the settings' where it has none."""
    return Limits(
        requests_per_minute=account.requests_per_minute or settings.requests_per_minute,
        tasks_in_flight=account.tasks_in_flight or settings.tasks_in_flight,
        tasks_per_day=account.tasks_per_day or settings.tasks_per_day,
    )


# Keys -----------------------------------------------------------------------------------------------------


def generate_key() -> str:
    """A new key: `aio_` and 256 random bits in base64url."""
    return f"aio_{new_token()}"


def is_key(text: str) -> bool:
    """Whether `text` has the form of a key."""
    return _KEY.fullmatch(text) is not None


async def issue_key(session: AsyncSession, account_id: UUID, name: str) -> str:
    """A new key of the account. This is the only time that it can be seen: the database has its hash."""
    key = generate_key()
    await _register(session, account_id, name, key)
    return key


async def create_key(
    session: AsyncSession, caller: Principal, properties: Mapping[str, Any]
) -> tuple[ApiKey, str]:
    """A new key of the caller's account, with a name and maybe limits and an end, and the key itself.

    Raises `PermissionDenied` if the caller may not manage keys, and `Conflict` if there are too many.
    """
    check_unrestricted(caller)
    await lock_account(session, caller.account_id)
    if len(await list_keys(session, caller.account_id)) >= MAX_KEYS:
        raise Conflict(f"There are {MAX_KEYS} keys, which is all that an account can have. Revoke some.")
    key = generate_key()
    api_key = await _register(session, caller.account_id, properties["name"], key)
    return await _with(session, api_key, properties), key


async def list_keys(session: AsyncSession, account_id: UUID) -> Sequence[ApiKey]:
    """An account's keys that aren't revoked, newest first."""
    keys = select(ApiKey).where(ApiKey.account_id == account_id, ApiKey.revoked_at.is_(None))
    return (await session.scalars(keys.order_by(ApiKey.created_at.desc(), ApiKey.id))).all()


async def update_key(
    session: AsyncSession, caller: Principal, key_id: UUID, properties: Mapping[str, Any]
) -> ApiKey:
    """Change a key's name, limits or end. Raises `NotFound`, and `PermissionDenied` as `create_key` does."""
    check_unrestricted(caller)
    return await _with(session, await find_key(session, caller.account_id, key_id), properties)


async def revoke_key(session: AsyncSession, caller: Principal, key_id: UUID) -> None:
    """Let a key work no more, from now on, in every process. A key may always revoke itself.

    Raises `NotFound`, and `PermissionDenied` as `create_key` does.
    """
    if caller.key_id != key_id:
        check_unrestricted(caller)
    key = await find_key(session, caller.account_id, key_id)
    key.revoked_at = datetime.now(UTC)
    await session.flush()


async def revoke_key_of(session: AsyncSession, account_id: UUID, key_id: UUID, by: Principal | None) -> None:
    """Let somebody else's key work no more. Raises `NotFound`."""
    key = await find_key(session, account_id, key_id)
    key.revoked_at = datetime.now(UTC)
    await audit_log.write(session, by, Act.KEY_REVOKED, account_id=account_id, subject=key_id)


async def authenticate(session: AsyncSession, settings: Settings, key: str) -> Principal | None:
    """Whose key this is; None if it's unknown, revoked or has expired, or if its account is disabled.

    The key is looked up by its hash, so the time it takes says nothing about other keys. Notes when the key
    was last used, to the minute.
    """
    if not is_key(key):
        return None
    found = (await session.execute(_WHOSE_KEY, {"key_hash": digest(key)})).one_or_none()
    if found is None:
        return None
    key_id, account_id, last_used_at, expires_at, is_administrator, *own = found
    account, api_key = OwnLimits(*own[:3]), OwnLimits(*own[3:])
    if last_used_at is None or last_used_at < datetime.now(UTC) - _LAST_USED_PRECISION:
        await session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=func.now()))
    limits = key_limits(settings, account, api_key)
    is_restricted = limits is not None or expires_at is not None
    return Principal(
        account_id=account_id,
        key_id=key_id,
        is_administrator=is_administrator and not is_restricted,
        limits=account_limits(settings, account),
        key_limits=limits,
        is_restricted=is_restricted,
    )


def check_unrestricted(caller: Principal) -> None:
    """Raises `PermissionDenied` for a key that could free itself of its limits by what it does."""
    if caller.is_restricted:
        raise PermissionDenied(
            "This key has limits or an end of its own, so it can't do this. Use one that has none, or "
            "sign in."
        )


def key_limits(settings: Settings, account: Limited, key: Limited) -> Limits | None:
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


def no_such_key() -> NotFound:
    return NotFound("There is no such key: its id is wrong, or it was revoked.", param="key_id")


async def find_key(session: AsyncSession, account_id: UUID, key_id: UUID) -> ApiKey:
    """An account's own key that isn't revoked. Raises `NotFound`, also for somebody else's."""
    key = await session.scalar(
        select(ApiKey).where(
            ApiKey.id == key_id, ApiKey.account_id == account_id, ApiKey.revoked_at.is_(None)
        )
    )
    if key is None:
        raise no_such_key()
    return key


async def _register(session: AsyncSession, account_id: UUID, name: str, key: str) -> ApiKey:
    api_key = ApiKey(account_id=account_id, name=name, key_hash=digest(key), prefix=key[:_PREFIX_LENGTH])
    session.add(api_key)
    await session.flush()
    return api_key


async def _with(session: AsyncSession, key: ApiKey, properties: Mapping[str, Any]) -> ApiKey:
    for name, value in properties.items():
        setattr(key, name, value)
    await session.flush()
    return key

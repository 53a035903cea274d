"""People: who may sign up, sign in with e-mail address and password, and stay signed in.

An unknown address and a wrong password are told apart by nobody: the same is done and answered, in the same
time. Hashing takes long, so no connection to the database is held meanwhile.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from mien.accounts import audit_log, invites, passwords, throttle
from mien.accounts.demo import DEMO_ACCOUNT
from mien.accounts.models import Account, Act, SignIn
from mien.accounts.service import account_limits
from mien.accounts.throttle import Allowance
from mien.accounts.tokens import digest, new_token
from mien.errors import AuthenticationError, Conflict, PermissionDenied
from mien.http.principal import Principal
from mien.resources import Resources
from mien.settings import Settings

# 350 000 guesses a year: little against 10 characters, and enough for a bad memory.
_SIGN_INS = Allowance(10, timedelta(minutes=15))
# Many people share an address, behind a company's router.
_SIGN_INS_OF_CLIENT = Allowance(50, timedelta(minutes=15))
_SIGN_UPS_OF_CLIENT = Allowance(10, timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser; `token` is for its cookie and shown only once."""

    account: Account
    expires_at: datetime
    token: str = field(repr=False)


async def sign_up(
    resources: Resources, email: str, password: str, *, name: str, invite: str | None, client: str
) -> Session:
    """Make an account for a person, and sign them in.

    Raises `PermissionDenied` if the settings or the invite don't allow it, `Conflict` if there is an account
    with this e-mail address, `RateLimited` if `client`, an address, has tried too often.
    """
    settings = resources.settings
    if settings.signup == "closed":
        raise PermissionDenied("Nobody can sign up here. Ask the operator for an account.")
    if settings.signup == "invite" and not invite:
        raise PermissionDenied("Signing up needs an invite here. Ask the operator for one.", param="invite")
    await throttle.take(resources.sessions, {f"sign-up from {client}": _SIGN_UPS_OF_CLIENT})
    password_hash = await passwords.hash_password(password)
    async with resources.sessions.begin() as session:
        if invite:
            await invites.redeem(session, invite, email)
        account = await add_person(
            session, email, password_hash, name=name, credits=settings.new_account_credits
        )
        return await _open_session(session, settings, account)


async def add_person(
    session: AsyncSession,
    email: str,
    password_hash: str,
    *,
    name: str,
    is_administrator: bool = False,
    credits: int = 0,
) -> Account:
    """A new account of a person, which starts with `credits`; the first of all is an administrator's.

    Raises `Conflict` if there is one with this e-mail address.
    """
    if not await _any_account(session):
        # Of two who come at once only one is first.
        await session.execute(text("LOCK TABLE accounts IN SHARE ROW EXCLUSIVE MODE"))
        is_administrator = is_administrator or not await _any_account(session)
    added: Account | None = await session.scalar(
        insert(Account)
        .values(
            email=email,
            password_hash=password_hash,
            name=name or email,
            is_administrator=is_administrator,
            balance=credits,
        )
        .on_conflict_do_nothing(index_elements=[Account.email])
        .returning(Account)
    )
    if added is None:
        raise Conflict(
            "There is an account with this e-mail address. Sign in, or reset its password.", param="email"
        )
    return added


async def adopt(session: AsyncSession, account: Account, email: str, password_hash: str) -> None:
    """Let a person sign in to an account that had keys only.

    Raises `Conflict` if there is another with this e-mail address.
    """
    if await find_by_email(session, email):
        raise Conflict("There is an account with this e-mail address.", param="email")
    account.email, account.password_hash = email, password_hash
    await session.flush()


async def find_by_email(session: AsyncSession, email: str) -> Account | None:
    """The account of the person with this e-mail address, in lower case."""
    return await session.scalar(select(Account).where(Account.email == email))


async def sign_in(resources: Resources, email: str, password: str, *, client: str) -> Session:
    """Sign a person in.

    Raises `AuthenticationError` if address or password are wrong, `PermissionDenied` if the account is
    disabled, and `RateLimited` if it was tried too often, with this address or from `client`.
    """
    tries = _tries(email, client)
    await throttle.take(resources.sessions, tries)
    async with resources.sessions() as session:
        account = await find_by_email(session, email)
    password_hash = account.password_hash if account else None
    if not await passwords.matches(password_hash, password):
        raise AuthenticationError("The e-mail address or the password is wrong.")
    if account is None or password_hash is None:
        raise RuntimeError("nobody's password matched")
    if passwords.is_outdated(password_hash):
        password_hash = await _rehash(resources, account.id, password_hash, password)
    async with resources.sessions.begin() as session:
        # Locked, so that whoever changes the password at this moment ends this session, too.
        known = await session.scalar(
            select(Account)
            .where(Account.id == account.id, Account.password_hash == password_hash)
            .with_for_update(key_share=True)
        )
        if known is None:
            raise AuthenticationError("The password has just been changed. Sign in with the new one.")
        if known.disabled_at:
            raise PermissionDenied("This account is disabled. Ask the operator.")
        await throttle.give_back(session, tries)
        return await _open_session(session, resources.settings, known)


async def change_password(
    resources: Resources, account_id: UUID, current: str, new: str, *, client: str
) -> Session:
    """Give an account another password and end all its sessions, also the caller's: they get a new one.

    Raises `PermissionDenied` if the current password is wrong, and `RateLimited` if it was tried too often.
    """
    account = await check_password(resources, account_id, current, client=client, param="current_password")
    password_hash = await passwords.hash_password(new)
    async with resources.sessions.begin() as session:
        changed = await session.scalar(
            update(Account)
            .where(Account.id == account_id, Account.password_hash == account.password_hash)
            .values(password_hash=password_hash)
            .returning(Account)
        )
        if changed is None:
            raise PermissionDenied("The password has just been changed.", param="current_password")
        await end_sessions(session, account_id)
        return await _open_session(session, resources.settings, changed)


async def check_password(
    resources: Resources, account_id: UUID, password: str, *, client: str, param: str
) -> Account:
    """The account, if this is its password; `param` is the field that holds it.

    Raises `PermissionDenied` if it isn't, and `RateLimited` if it was tried too often.
    """
    async with resources.sessions() as session:
        account = (await session.scalars(select(Account).where(Account.id == account_id))).one()
    if account.email is None:
        raise Conflict("This account has no password: it has keys only.")
    tries = _tries(account.email, client)
    await throttle.take(resources.sessions, tries)
    if not await passwords.matches(account.password_hash, password):
        raise PermissionDenied("The current password is wrong.", param=param)
    async with resources.sessions.begin() as session:
        await throttle.give_back(session, tries)
    return account


async def resume(session: AsyncSession, settings: Settings, token: str) -> Principal | None:
    """Whose session this is; None if it's unknown, has ended, or if its account is disabled."""
    account = await session.scalar(
        select(Account)
        .join(SignIn, SignIn.account_id == Account.id)
        .where(
            SignIn.token_hash == digest(token),
            SignIn.expires_at > func.now(),
            Account.disabled_at.is_(None),
        )
    )
    if account is None:
        return None
    return Principal(
        account_id=account.id,
        key_id=None,
        is_administrator=account.is_administrator,
        limits=account_limits(settings, account),
        key_limits=None,
    )


async def find_session(session: AsyncSession, token: str) -> Session | None:
    """The session that has this token."""
    found = (
        await session.execute(
            select(SignIn, Account)
            .join(Account, Account.id == SignIn.account_id)
            .where(SignIn.token_hash == digest(token))
        )
    ).one_or_none()
    if found is None:
        return None
    sign_in, account = found
    return Session(account, sign_in.expires_at, token)


async def sign_out(session: AsyncSession, token: str) -> None:
    """End a session; nothing happens if it has ended."""
    await session.execute(delete(SignIn).where(SignIn.token_hash == digest(token)))


async def end_sessions(session: AsyncSession, account_id: UUID) -> None:
    """Sign a person out everywhere."""
    await session.execute(delete(SignIn).where(SignIn.account_id == account_id))


async def replace_password(session: AsyncSession, account_id: UUID, password_hash: str) -> None:
    """Give an account a password, sign its person out everywhere, and forget how often they guessed.

    Raises `PermissionDenied` if the account is disabled.
    """
    email = await session.scalar(
        update(Account)
        .where(Account.id == account_id, Account.disabled_at.is_(None))
        .values(password_hash=password_hash)
        .returning(Account.email)
    )
    if email is None:
        raise PermissionDenied("This account is disabled. Ask the operator.")
    await end_sessions(session, account_id)
    await throttle.clear(session, _sign_in_as(email))


async def set_disabled(session: AsyncSession, account: Account, disabled: bool, by: Principal | None) -> None:
    """Let an account's keys and sessions work no more, or its keys again: sessions end for good.

    `by` is who does it, None for the command line. Nothing happens if the account is so already.
    """
    if disabled == (account.disabled_at is not None):
        return
    if account.deleted_at:
        raise Conflict("This account was deleted, which can't be undone.")
    account.disabled_at = datetime.now(UTC) if disabled else None
    if disabled:
        await end_sessions(session, account.id)
    act = Act.ACCOUNT_DISABLED if disabled else Act.ACCOUNT_ENABLED
    await audit_log.write(session, by, act, account_id=account.id)


def check_not_own(caller: Principal, account_id: UUID) -> None:
    """Raises `Conflict` for an administrator who would disable their own account."""
    if account_id == caller.account_id:
        raise Conflict("You would lock yourself out: disable your own account with `mien accounts disable`.")


async def forget(session: AsyncSession) -> None:
    """Delete sessions that have ended."""
    await session.execute(delete(SignIn).where(SignIn.expires_at <= func.now()))


def _tries(email: str, client: str) -> Mapping[str, Allowance]:
    return {f"sign-in from {client}": _SIGN_INS_OF_CLIENT, _sign_in_as(email): _SIGN_INS}


def _sign_in_as(email: str) -> str:
    return f"sign-in as {digest(email).hex()}"


async def _open_session(session: AsyncSession, settings: Settings, account: Account) -> Session:
    token = new_token()
    sign_in = await session.scalar(
        insert(SignIn)
        .values(
            account_id=account.id,
            token_hash=digest(token),
            expires_at=func.now() + settings.session_lifetime,
        )
        .returning(SignIn)
    )
    assert sign_in  # noqa: S101 - what an INSERT without conflicts returns
    return Session(account, sign_in.expires_at, token)


async def _rehash(resources: Resources, account_id: UUID, outdated: str, password: str) -> str:
    """Hash a password with today's parameters; the hash that counts now."""
    password_hash = await passwords.hash_password(password)
    async with resources.sessions.begin() as session:
        kept = await session.scalar(
            update(Account)
            .where(Account.id == account_id, Account.password_hash == outdated)
            .values(password_hash=password_hash)
            .returning(Account.password_hash)
        )
    return kept or outdated


async def _any_account(session: AsyncSession) -> bool:
    return await session.scalar(select(Account.id).where(Account.id != DEMO_ACCOUNT).limit(1)) is not None

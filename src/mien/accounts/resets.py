"""Forgotten passwords: a link by mail, or without a mail server in the log and on the administrators' list.

The link's token is the request's id and a signature, so that it can be shown again, and the database holds
nothing that would open an account.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from mien.accounts import audit_log, letters, passwords, people, throttle
from mien.accounts.mail import Mail
from mien.accounts.models import Account, Act, PasswordReset
from mien.accounts.throttle import Allowance
from mien.accounts.tokens import digest, read_signed_token, signed_token
from mien.errors import AuthenticationError, NotFound
from mien.http.principal import Principal
from mien.resources import Resources

logger = structlog.get_logger(__name__)

LIFETIME = timedelta(hours=1)
_PURPOSE = "password reset"
_REQUESTS = Allowance(3, timedelta(hours=1))
_REQUESTS_OF_CLIENT = Allowance(20, timedelta(hours=1))
_TRIES_OF_CLIENT = Allowance(20, timedelta(hours=1))

_SUBJECT = "Reset your password"
_TEXT = """Somebody, probably you, asked to reset the password for {email} at {public_url}.

Choose a new one within an hour:
{link}

If it wasn't you, do nothing: your password stays as it is.
"""


@dataclass(frozen=True, slots=True)
class OpenReset:
    """Somebody who waits for a link that can't be mailed."""

    reset: PasswordReset
    email: str


@dataclass(frozen=True, slots=True)
class ShownReset(OpenReset):
    """The same with the link, which opens the account for whoever has it."""

    link: str = field(repr=False)


async def check_tries(resources: Resources, email: str, client: str) -> None:
    """Count a request for a link. Raises `RateLimited` if there were too many, whether or not it's known."""
    subjects = {
        f"reset from {client}": _REQUESTS_OF_CLIENT,
        f"reset of {digest(email).hex()}": _REQUESTS,
    }
    await throttle.take(resources.sessions, subjects)


async def request(resources: Resources, email: str) -> None:
    """Have a link sent to whoever has this e-mail address; nothing happens if nobody has.

    To be called when the request has been answered: how long it takes tells whether the address is known.
    """
    async with resources.sessions.begin() as session:
        known = select(Account.id).where(Account.email == email, Account.disabled_at.is_(None))
        account_id = await session.scalar(known)
        if account_id is None:
            return
        reset = await session.scalar(
            insert(PasswordReset)
            .values(account_id=account_id, expires_at=func.now() + LIFETIME)
            .returning(PasswordReset)
        )
        assert reset  # noqa: S101 - what an INSERT without conflicts returns
        if resources.settings.smtp_url:
            await letters.write(session, reset)
            return
    logger.warning(
        "password reset asked for; no mail server is set",
        account_id=str(account_id),
        link=_link(resources, reset.id),
    )


async def compose(resources: Resources, session: AsyncSession, reset: PasswordReset) -> Mail:
    """The letter with the link."""
    account = await session.get_one(Account, reset.account_id)
    email = account.email or ""
    text = _TEXT.format(
        email=email, public_url=resources.settings.public_url, link=_link(resources, reset.id)
    )
    return Mail(email, _SUBJECT, text)


async def list_open(session: AsyncSession, resources: Resources) -> Sequence[OpenReset]:
    """Who waits for a link that can still be used, newest first; nobody where mail is sent."""
    if resources.settings.smtp_url:
        return []
    rows = await session.execute(
        select(PasswordReset, Account.email)
        .join(Account, Account.id == PasswordReset.account_id)
        .where(PasswordReset.expires_at > func.now())
        .order_by(PasswordReset.created_at.desc())
    )
    return [OpenReset(reset, email or "") for reset, email in rows]


async def reveal_all(session: AsyncSession, resources: Resources, by: Principal) -> Sequence[ShownReset]:
    """Show an administrator all links that somebody waits for."""
    return [await _reveal(session, resources, waiting, by) for waiting in await list_open(session, resources)]


async def reveal(session: AsyncSession, resources: Resources, reset_id: UUID, by: Principal) -> ShownReset:
    """Show an administrator the link that somebody waits for. Raises `NotFound`."""
    for waiting in await list_open(session, resources):
        if waiting.reset.id == reset_id:
            return await _reveal(session, resources, waiting, by)
    raise no_such_reset()


async def _reveal(
    session: AsyncSession, resources: Resources, waiting: OpenReset, by: Principal
) -> ShownReset:
    reset = waiting.reset
    await audit_log.write(session, by, Act.RESET_SHOWN, account_id=reset.account_id, subject=reset.id)
    return ShownReset(reset, waiting.email, _link(resources, reset.id))


def no_such_reset() -> NotFound:
    return NotFound("Nobody waits for this link: it was used or has expired.", param="reset_id")


async def confirm(resources: Resources, token: str, password: str, *, client: str) -> None:
    """Give an account the password that its owner chose, and sign them out everywhere.

    Raises `AuthenticationError` if the link isn't valid any more, and `RateLimited`.
    """
    await throttle.take(resources.sessions, {f"reset try from {client}": _TRIES_OF_CLIENT})
    reset_id = read_signed_token(_PURPOSE, token, resources.secret)
    password_hash = await passwords.hash_password(password)
    async with resources.sessions.begin() as session:
        used = delete(PasswordReset).where(
            PasswordReset.id == reset_id, PasswordReset.expires_at > func.now()
        )
        account_id = await session.scalar(used.returning(PasswordReset.account_id))
        if account_id is None:
            raise AuthenticationError("The link isn't valid: it was used or has expired. Ask for another.")
        await session.execute(delete(PasswordReset).where(PasswordReset.account_id == account_id))
        await people.replace_password(session, account_id, password_hash)


async def forget(session: AsyncSession) -> None:
    """Delete what has expired."""
    await session.execute(delete(PasswordReset).where(PasswordReset.expires_at <= func.now()))


def _link(resources: Resources, reset_id: UUID) -> str:
    # What follows the # stays in the browser: no proxy's log has it.
    token = signed_token(_PURPOSE, reset_id, resources.secret)
    return f"{resources.settings.public_url}/reset-password#{token}"

"""Invites: links that let one person sign up, where not everybody can."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from mien.accounts import audit_log, letters
from mien.accounts.mail import Mail
from mien.accounts.models import Act, Invite
from mien.accounts.tokens import digest, signed_token
from mien.errors import Conflict, NotFound, PermissionDenied
from mien.http.principal import Principal
from mien.resources import Resources

LIFETIME = timedelta(days=7)
_PURPOSE = "invite"

_SUBJECT = "You are invited"
_TEXT = """You are invited to {public_url}. Choose a password within a week:

{link}
"""


async def create(
    session: AsyncSession, resources: Resources, email: str | None, by: Principal | None
) -> Invite:
    """A new invite, for whoever has this e-mail address if one is given.

    `by` is who invites, None for the command line.

    Raises `Conflict` if invites don't help, since nobody can sign up.
    """
    if resources.settings.signup == "closed":
        raise Conflict("Nobody can sign up here, with or without an invite. Set MIEN_SIGNUP=invite first.")
    invite_id = uuid4()
    token_hash = digest(signed_token(_PURPOSE, invite_id, resources.secret))
    invite: Invite | None = await session.scalar(
        insert(Invite)
        .values(id=invite_id, token_hash=token_hash, email=email, expires_at=func.now() + LIFETIME)
        .returning(Invite)
    )
    assert invite  # noqa: S101 - what an INSERT without conflicts returns
    # The log stays for good, so it doesn't say who.
    details = {"domain": email.partition("@")[2]} if email else {}
    await audit_log.write(session, by, Act.INVITE_CREATED, subject=invite.id, details=details)
    return invite


def link(resources: Resources, invite: Invite) -> str:
    """Where the invited sign up. What follows the # stays in the browser: no proxy's log has it."""
    token = signed_token(_PURPOSE, invite.id, resources.secret)
    return f"{resources.settings.public_url}/sign-up#{token}"


async def mail_link(session: AsyncSession, resources: Resources, invite: Invite) -> None:
    """Have the link sent to who is invited, if that is known and there is a mail server."""
    if invite.email and resources.settings.smtp_url:
        await letters.write(session, invite)


def compose(resources: Resources, invite: Invite) -> Mail:
    """The letter with the link."""
    text = _TEXT.format(public_url=resources.settings.public_url, link=link(resources, invite))
    return Mail(invite.email or "", _SUBJECT, text)


async def list_open(session: AsyncSession) -> Sequence[Invite]:
    """Those that can still be used, newest first."""
    invites = select(Invite).where(Invite.expires_at > func.now()).order_by(Invite.created_at.desc())
    return (await session.scalars(invites)).all()


async def withdraw(session: AsyncSession, invite_id: UUID, by: Principal | None) -> None:
    """Delete an invite. Raises `NotFound`."""
    if not await session.scalar(delete(Invite).where(Invite.id == invite_id).returning(Invite.id)):
        raise no_such_invite()
    await audit_log.write(session, by, Act.INVITE_WITHDRAWN, subject=invite_id)


def no_such_invite() -> NotFound:
    return NotFound("There is no such invite: it was used or withdrawn.", param="invite_id")


async def redeem(session: AsyncSession, token: str, email: str) -> None:
    """Use an invite up. Raises `PermissionDenied` if that can't be done, or not by this e-mail address."""
    fits = or_(Invite.email.is_(None), Invite.email == email)
    used = delete(Invite).where(Invite.token_hash == digest(token), Invite.expires_at > func.now(), fits)
    if not await session.scalar(used.returning(Invite.id)):
        raise PermissionDenied(
            "The invite isn't valid: it was used, withdrawn, has expired, or is for another address.",
            param="invite",
        )


async def forget(session: AsyncSession) -> None:
    """Delete what has expired."""
    await session.execute(delete(Invite).where(Invite.expires_at <= func.now()))

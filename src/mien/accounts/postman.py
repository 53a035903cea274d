"""Sends letters: one try whenever a job wakes it. A worker with a mail server in its settings has one."""

from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from mien.accounts import invites, letters, mail, resets
from mien.accounts.models import Invite, Letter, PasswordReset
from mien.database.jobs import Served
from mien.resources import Resources

logger = structlog.get_logger(__name__)

_CONCURRENCY: Final = 2


def served(resources: Resources) -> list[Served]:
    """The queue of letters, as a worker serves it; none without a mail server."""

    async def deliver(row_id: str) -> None:
        await send(resources, UUID(row_id))

    return [Served(letters.QUEUE, deliver, _CONCURRENCY)] if resources.settings.smtp_url else []


async def send(resources: Resources, letter_id: UUID) -> None:
    """Try to send a letter if it's due. It's taken in one transaction and ended in another."""
    async with resources.sessions.begin() as session:
        letter = await letters.start_try(session, letter_id)
        if letter is None:
            return
        composed = await _compose(resources, session, letter)
    failure = await mail.send(resources.settings, composed)
    async with resources.sessions.begin() as session:
        if failure is None:
            await letters.end_sent(session, letter)
            return
        await letters.end_failed(session, letter, failure)
    logger.warning(
        "letter not sent",
        letter_id=str(letter.id),
        about=letter.about,
        tries=letter.tries,
        reason=failure,
    )


async def _compose(resources: Resources, session: AsyncSession, letter: Letter) -> mail.Mail:
    # What it's about is there: the letter would have gone with it, and is locked.
    if letter.invite_id:
        return invites.compose(resources, await session.get_one(Invite, letter.invite_id))
    reset = await session.get_one(PasswordReset, letter.reset_id)
    return await resets.compose(resources, session, reset)

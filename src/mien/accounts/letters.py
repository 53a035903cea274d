"""Letters to people: written in the transaction of what they are about, sent by a worker.

A row says what a letter is about, an invite or a reset, and holds neither text nor link: both follow from
that and from the service's secret when it's sent (`mien.accounts.postman`). So the database has nothing that
would open an account, and with an invite that is used or withdrawn its letter goes, too.

A letter is sent at least once: a worker that dies between sending it and saying so sends it twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import Text, cast, delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from mien.accounts.models import Account, Invite, Letter, PasswordReset
from mien.database import jobs
from mien.resources import Resources

logger = structlog.get_logger(__name__)

QUEUE: Final = "letters"

TRIED_FOR: Final = timedelta(days=1)
"""At most; a link that is over sooner is mailed no more."""
DELAYS: Final = tuple(timedelta(minutes=minutes) for minutes in (0.2, 1, 5, 15, 30, 60, 120, 240))
"""From one try's end to the next; the last of them again and again."""

_PATIENCE: Final = timedelta(minutes=2)  # a try that hasn't ended by then has been forgotten
_BATCH: Final = 100
_LOCK: Final = 0x6D61_696C

_GIVE_UP: Final = (
    update(Letter)
    .where(Letter.given_up_at.is_(None), Letter.tried_until <= func.now())
    .values(given_up_at=func.now(), failure=func.coalesce(Letter.failure, "No worker sent it in time."))
    .returning(Letter)
)


@dataclass(frozen=True, slots=True)
class Unsent:
    """A letter that the mail server hasn't taken."""

    letter: Letter
    recipient: str


async def write(session: AsyncSession, about: Invite | PasswordReset) -> None:
    """Send a letter about it when the session's transaction commits, and only then."""
    letter = Letter(tried_until=min(about.expires_at, datetime.now(UTC) + TRIED_FOR))
    if isinstance(about, Invite):
        letter.invite_id = about.id
    else:
        letter.reset_id = about.id
    session.add(letter)
    await session.flush()
    await jobs.wake(session, QUEUE, str(letter.id))


async def list_unsent(session: AsyncSession) -> Sequence[Unsent]:
    """Letters that couldn't be sent so far, and those that were given up, newest first."""
    found = await session.execute(
        select(Letter, func.coalesce(Invite.email, Account.email))
        .outerjoin(Invite, Invite.id == Letter.invite_id)
        .outerjoin(PasswordReset, PasswordReset.id == Letter.reset_id)
        .outerjoin(Account, Account.id == PasswordReset.account_id)
        .where(Letter.failure.is_not(None))
        .order_by(Letter.created_at.desc())
    )
    return [Unsent(letter, recipient or "") for letter, recipient in found]


async def reap(resources: Resources) -> None:
    """Give up letters whose time is over, and wake a worker for those that are to be tried again, or whose
    worker died; in every API process.

    One transaction under an advisory lock: when another process is at it, this one does nothing.
    """
    async with resources.sessions.begin() as session:
        if not await session.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _LOCK}):
            return
        for letter in await session.scalars(_GIVE_UP):
            logger.error(
                "letter given up",
                letter_id=str(letter.id),
                about=letter.about,
                tries=letter.tries,
                reason=letter.failure,
            )
        due = select(Letter.id).where(
            Letter.given_up_at.is_(None),
            Letter.next_try_at <= func.now(),
            jobs.has_no_job(QUEUE, cast(Letter.id, Text)),
        )
        for letter_id in await session.scalars(due.limit(_BATCH)):
            await jobs.wake(session, QUEUE, str(letter_id))


# Tries ----------------------------------------------------------------------------------------------------


async def start_try(session: AsyncSession, letter_id: UUID) -> Letter | None:
    """Take a letter that is due; None if it isn't. It's due again in a while, should it never be ended."""
    return await session.scalar(
        update(Letter)
        .where(
            Letter.id == letter_id,
            Letter.given_up_at.is_(None),
            Letter.next_try_at <= func.now(),
            Letter.tried_until > func.now(),
        )
        .values(tries=Letter.tries + 1, next_try_at=func.now() + _PATIENCE)
        .returning(Letter)
    )


async def end_sent(session: AsyncSession, letter: Letter) -> None:
    """It's out: nobody needs to know any more."""
    await session.execute(delete(Letter).where(Letter.id == letter.id))


async def end_failed(session: AsyncSession, letter: Letter, failure: str) -> None:
    """Write down why a try failed: the letter is due again later."""
    delay = DELAYS[min(letter.tries, len(DELAYS)) - 1]
    # The try is named, so that one that ends late changes nothing.
    mine = update(Letter).where(Letter.id == letter.id, Letter.tries == letter.tries)
    await session.execute(mine.values(failure=failure, next_try_at=func.now() + delay))

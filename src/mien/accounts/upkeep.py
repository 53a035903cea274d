"""Deletes what has expired: sessions, invites, links that reset passwords, counts of tries."""

import asyncio
from datetime import timedelta

import structlog
from sqlalchemy.exc import OperationalError

from mien.accounts import invites, people, resets, throttle
from mien.resources import Resources

logger = structlog.get_logger(__name__)

_INTERVAL = timedelta(hours=1)


async def keep_tidying(resources: Resources) -> None:
    """Tidy now and then until cancelled, through any failure. Several processes may do so at once."""
    while True:
        try:
            await tidy(resources)
        except OperationalError as error:
            logger.warning("tidying failed", reason=str(error.orig))
        except Exception:
            logger.exception("tidying failed")
        await asyncio.sleep(_INTERVAL.total_seconds())


async def tidy(resources: Resources) -> None:
    """Delete what has expired; none of it counts any more anyway."""
    async with resources.sessions.begin() as session:
        for room in (people, invites, resets, throttle):
            await room.forget(session)

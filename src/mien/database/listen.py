"""PostgreSQL's LISTEN, on a connection of its own, for as long as a process lives."""

import asyncio
from collections.abc import Callable
from typing import Final, NoReturn

import psycopg
import structlog
from psycopg.sql import SQL, Identifier

logger = structlog.get_logger(__name__)

_QUIET: Final = 15.0
"""Seconds without a word, after which the connection has to show that it's alive."""
_PATIENCE: Final = 10.0  # seconds for an answer
_PAUSE: Final = 1.0  # seconds before the next try


async def listen(
    database_url: str, channel: str, heard: Callable[[str], None], connected: Callable[[], None]
) -> NoReturn:
    """Call `heard` with every payload of `channel` until cancelled, through any outage of the database.

    What is said during an outage is lost: `connected` is called whenever listening has begun, so that whoever
    depends on it can look for themselves.
    """
    while True:
        try:
            await _listen(database_url, channel, heard, connected)
        except (psycopg.OperationalError, TimeoutError) as error:
            logger.warning("listening ended", channel=channel, reason=str(error).strip())
        except Exception:
            logger.exception("listening ended", channel=channel)
        await asyncio.sleep(_PAUSE)


async def _listen(
    database_url: str, channel: str, heard: Callable[[str], None], connected: Callable[[], None]
) -> NoReturn:
    async with await psycopg.AsyncConnection.connect(
        database_url, autocommit=True, connect_timeout=int(_PATIENCE)
    ) as connection:
        await connection.execute(SQL("LISTEN {}").format(Identifier(channel)))
        connected()
        while True:
            async for notification in connection.notifies(timeout=_QUIET):
                heard(notification.payload)
            async with asyncio.timeout(_PATIENCE):
                await connection.execute("SELECT 1")

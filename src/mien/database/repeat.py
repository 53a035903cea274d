"""What is done again and again for as long as a process lives, through any outage of the database."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import NoReturn

import structlog
from sqlalchemy.exc import OperationalError

logger = structlog.get_logger(__name__)


async def repeat(name: str, work: Callable[[], Awaitable[object]], *, every: timedelta) -> NoReturn:
    """Do `work` at once and again after each pause, until cancelled; its failures are logged under `name`."""
    while True:
        try:
            await work()
        except OperationalError as error:
            logger.warning("work failed", work=name, reason=str(error.orig))
        except Exception:
            logger.exception("work failed", work=name)
        await asyncio.sleep(every.total_seconds())

"""Deleting objects together with the rows that name them. All of it can be killed at any moment.

A row is forgotten first and its object deleted after; objects that lost their row on the way, or never got
one, are found by listing.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mien.storage import objects
from mien.storage.objects import Store

logger = structlog.get_logger(__name__)

_BATCH = 500


async def delete_expired(
    store: Store,
    sessions: async_sessionmaker[AsyncSession],
    forget: Callable[[AsyncSession, int], Awaitable[Sequence[str]]],
    event: str,
) -> None:
    """Let `forget` forget up to so many rows that are over, and delete the objects whose keys it returns,
    until there are no more. `event` is logged with their number."""
    keys: Sequence[str] = []
    while not keys or len(keys) == _BATCH:
        async with sessions.begin() as session:
            keys = await forget(session, _BATCH)
        if not keys:
            return
        await objects.delete(store, keys)
        logger.info(event, count=len(keys))


async def delete_unnamed(
    store: Store,
    sessions: async_sessionmaker[AsyncSession],
    prefix: str,
    older_than: timedelta,
    kept: Callable[[AsyncSession, Sequence[str]], Awaitable[set[str]]],
) -> None:
    """Delete the objects below `prefix` that are older and not among those that `kept` says are needed."""
    before = datetime.now(UTC) - older_than
    async for batch in objects.list_objects(store, prefix):
        keys = [found.key for found in batch if found.modified < before]
        async with sessions() as session:
            needed = await kept(session, keys)
        await objects.delete(store, set(keys) - needed)

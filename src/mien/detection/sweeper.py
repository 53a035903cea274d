"""Deletes annotated pictures after an hour. No row names them: their age says all."""

import asyncio
from datetime import UTC, datetime, timedelta

import structlog

from mien.resources import Resources
from mien.storage import objects

logger = structlog.get_logger(__name__)

PREFIX = "annotated/"
KEPT = timedelta(hours=1)

_INTERVAL = timedelta(minutes=10)


async def keep_sweeping_annotated(resources: Resources) -> None:
    """Sweep now and then until cancelled, through any failure. Several processes may do so at once."""
    while True:
        try:
            await sweep(resources)
        except Exception:
            logger.exception("sweeping annotated pictures failed")
        await asyncio.sleep(_INTERVAL.total_seconds())


async def sweep(resources: Resources, older_than: timedelta = KEPT) -> None:
    """Delete annotated pictures that are older than that."""
    before = datetime.now(UTC) - older_than
    async for batch in objects.list_objects(resources.store, PREFIX):
        await objects.delete(resources.store, [found.key for found in batch if found.modified < before])

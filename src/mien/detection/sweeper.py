"""Deletes annotated pictures after an hour. No row names them: their age says all."""

from datetime import UTC, datetime, timedelta

from mien.resources import Resources
from mien.storage import objects

PREFIX = "annotated/"
KEPT = timedelta(hours=1)


async def sweep(resources: Resources, older_than: timedelta = KEPT) -> None:
    """Delete annotated pictures that are older than that."""
    before = datetime.now(UTC) - older_than
    async for batch in objects.list_objects(resources.store, PREFIX):
        await objects.delete(resources.store, [found.key for found in batch if found.modified < before])

"""Deletes uploads whose time is over, and what was stored without becoming one."""

from datetime import timedelta

from mien.resources import Resources
from mien.storage.sweeping import delete_expired, delete_unnamed
from mien.uploads import queries
from mien.uploads.service import PREFIX


async def expire(resources: Resources) -> None:
    """Forget uploads that have expired, then delete their objects."""
    await delete_expired(resources.store, resources.sessions, queries.remove_expired, "uploads expired")


async def sweep(resources: Resources, older_than: timedelta) -> None:
    """Delete objects that no upload names: of rows that never came, or went without them."""
    await delete_unnamed(resources.store, resources.sessions, PREFIX, older_than, queries.kept)

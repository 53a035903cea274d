"""Wakes senders for deliveries that are due, and sweeps those that are over; in every API process."""

from sqlalchemy import text

from mien.database import jobs
from mien.resources import Resources
from mien.webhooks import queries
from mien.webhooks.service import QUEUE

_LOCK = 0x686F_6F6B
_BATCH = 500


async def reap(resources: Resources) -> None:
    """Wake a sender for what is to be tried again, or was dropped; forget what ended long ago.

    One transaction under an advisory lock: when another process is at it, this one does nothing.
    """
    settings = resources.settings
    async with resources.sessions.begin() as session:
        if not await session.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _LOCK}):
            return
        await jobs.delete_abandoned(session, settings.worker_timeout)
        for delivery_id in await queries.unheard(session, _BATCH):
            await jobs.wake(session, QUEUE, str(delivery_id))
        await queries.forget_old(session, settings.webhook_retention, _BATCH)

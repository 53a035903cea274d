"""Deletes what has expired: sessions, invites, links that reset passwords, counts of tries."""

from mien.accounts import invites, people, resets, throttle
from mien.resources import Resources


async def tidy(resources: Resources) -> None:
    """Delete what has expired; none of it counts any more anyway."""
    async with resources.sessions.begin() as session:
        for room in (people, invites, resets, throttle):
            await room.forget(session)

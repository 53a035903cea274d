"""The trail of who made what: an entry for each task that ended, in the transaction that ended it.

It is for the day when somebody asks who made a picture. It has the hashes of pictures and not the pictures,
and goes after `settings.trail_retention`. It stays when the account goes, which it names by its id alone.
"""

import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mien.accounts import audit_log
from mien.accounts.models import Act
from mien.database.connection import table_of
from mien.database.paging import Page, read_page
from mien.http.principal import Principal
from mien.resources import Resources
from mien.safety.models import TrailEntry

_AT_ONCE: Final = 500
_ADD: Final = insert(table_of(TrailEntry))


@dataclass(frozen=True, slots=True)
class TrailFilter:
    """Which entries are wanted; all that they aren't chosen by."""

    since: datetime | None = None
    until: datetime | None = None
    """Before this moment; both are about when tasks ended."""
    account_id: UUID | None = None
    task_id: str | None = None
    sha256: str | None = None
    """Of a result, or of a picture that went in; hexadecimal digits."""
    client: bytes | None = None
    """What `client_digest` makes of an address."""


def client_digest(resources: Resources, client: str) -> bytes:
    """What is kept of the address that somebody asks from.

    Who knows the service's secret can tell whether an address is the one, and nobody can list addresses.
    """
    return hmac.digest(resources.secret, b"client of the trail: " + client.encode(), "sha256")[:16]


def hashes_of(pictures: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """What the trail keeps of pictures, given by field of the request."""
    return [
        {"field": field, "sha256": hashlib.sha256(picture).hexdigest()} for field, picture in pictures.items()
    ]


async def add(session: AsyncSession, entry: Mapping[str, Any]) -> None:
    """Write a task's entry, given by column."""
    await session.execute(_ADD, dict(entry))


async def forget_words(session: AsyncSession, account_id: UUID) -> None:
    """Forget what a deleted account's callers chose freely, and so may name somebody: the ids of requests."""
    theirs = update(TrailEntry).where(TrailEntry.account_id == account_id)
    await session.execute(theirs.values(request_id=""))


async def note_reading(session: AsyncSession, by: Principal | None, wanted: TrailFilter) -> None:
    """Write down that an administrator read the trail, and by what they chose."""
    chosen = [field.name for field in fields(wanted) if getattr(wanted, field.name) is not None]
    await audit_log.write(session, by, Act.TRAIL_READ, account_id=wanted.account_id, details={"by": chosen})


async def newest(
    session: AsyncSession, wanted: TrailFilter, *, limit: int, cursor: str | None
) -> Page[TrailEntry]:
    """What ended last comes first. Raises `InvalidRequest` for a cursor of elsewhere."""
    by = (TrailEntry.ended_at, TrailEntry.task_id)
    return await read_page(session, _found(wanted), by, limit=limit, cursor=cursor)


async def every(session: AsyncSession, wanted: TrailFilter) -> AsyncIterator[TrailEntry]:
    """All entries that are wanted, the newest first, however many there are."""
    cursor = None
    while True:
        page = await newest(session, wanted, limit=_AT_ONCE, cursor=cursor)
        for entry in page.rows:
            session.expunge(entry)
            yield entry
        if page.next_cursor is None:
            return
        cursor = page.next_cursor


async def forget_old(resources: Resources) -> None:
    """Delete what has been kept long enough."""
    async with resources.sessions.begin() as session:
        limit = func.now() - resources.settings.trail_retention
        await session.execute(delete(TrailEntry).where(TrailEntry.ended_at <= limit))


def _found(wanted: TrailFilter) -> Select[TrailEntry]:
    found = select(TrailEntry)
    if wanted.since:
        found = found.where(TrailEntry.ended_at >= wanted.since)
    if wanted.until:
        found = found.where(TrailEntry.ended_at < wanted.until)
    if wanted.account_id:
        found = found.where(TrailEntry.account_id == wanted.account_id)
    if wanted.task_id:
        found = found.where(TrailEntry.task_id == wanted.task_id)
    if wanted.sha256:
        is_input = TrailEntry.pictures.contains([{"sha256": wanted.sha256}])
        found = found.where(or_(TrailEntry.result_sha256 == wanted.sha256, is_input))
    if wanted.client:
        found = found.where(TrailEntry.client == wanted.client)
    return found

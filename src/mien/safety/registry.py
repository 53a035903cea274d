"""The do-not-swap list: who registers a face, who removes it again, and the list as workers read it.

    registered = await register(resources, identify(swapper, image))
    await remove(resources, registered.face.id, registered.secret, client="203.0.113.7")

The embedding of a face is all that is kept, and nobody is ever shown one. Only who has the secret, which is
shown once, or an administrator can remove a face.
"""

import asyncio
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mien.accounts import audit_log, throttle
from mien.accounts.models import Act
from mien.accounts.throttle import Allowance
from mien.accounts.tokens import digest, new_token
from mien.database.paging import Page, read_page
from mien.errors import NotFound, PermissionDenied, Unavailable
from mien.http.principal import Principal
from mien.resources import Resources
from mien.safety.models import FaceListVersion, ListedFace
from mien.sealing import Sealing

MAX_FACES: Final = 20_000
"""Each takes 4 kB of every engine process."""
# A family behind one router gets through; nobody fills the list with faces that aren't theirs.
_REGISTRATIONS: Final = Allowance(10, timedelta(days=1))
_REMOVALS: Final = Allowance(50, timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class Registered:
    face: ListedFace
    secret: str = field(repr=False)
    """Removes the face; shown only once."""


@dataclass(frozen=True, slots=True)
class PackedList:
    """The list at one version: packed embeddings, one behind the other, in the order of their `ids`."""

    version: int
    ids: tuple[str, ...]
    embeddings: bytes = field(repr=False)


EMPTY: Final = PackedList(version=0, ids=(), embeddings=b"")


async def admit(resources: Resources, client: str) -> None:
    """Count a registration from the address `client`, before its pictures are looked at.

    Raises `PermissionDenied` where only the operator puts faces on the list, and `RateLimited`.
    """
    if resources.settings.do_not_swap != "open":
        raise PermissionDenied("Only the operator of this service puts faces on its list. Ask them.")
    await throttle.take(resources.sessions, {f"do-not-swap from {client}": _REGISTRATIONS})


async def register(resources: Resources, embedding: bytes) -> Registered:
    """Put the face of whoever asks on the list, by its embedding. Raises `Unavailable` if it's full."""
    registered = _registered(resources, embedding, by_operator=False, note="")
    async with resources.sessions.begin() as session:
        await _add(session, registered.face)
    return registered


async def register_for(resources: Resources, embedding: bytes, by: Principal | None, note: str) -> Registered:
    """Put somebody's face on the list, as the operator. Raises as `register` does."""
    registered = _registered(resources, embedding, by_operator=True, note=note)
    async with resources.sessions.begin() as session:
        await _add(session, registered.face)
        await audit_log.write(session, by, Act.FACE_LISTED, subject=registered.face.id)
    return registered


async def remove(resources: Resources, face_id: UUID, secret: str, *, client: str) -> None:
    """Take a face off the list, by whoever has its secret.

    Raises `NotFound`, also for a wrong secret, and `RateLimited` if the address `client` has tried too often.
    """
    await throttle.take(resources.sessions, {f"do-not-swap removal from {client}": _REMOVALS})
    async with resources.sessions.begin() as session:
        face = await session.get(ListedFace, face_id)
        if face is None or not hmac.compare_digest(face.secret_hash, digest(secret)):
            raise no_such_face()
        await _remove(session, face_id)


async def remove_for(session: AsyncSession, face_id: UUID, by: Principal | None) -> None:
    """Take a face off the list, as the operator. Raises `NotFound`."""
    await _remove(session, face_id)
    await audit_log.write(session, by, Act.FACE_UNLISTED, subject=face_id)


async def newest(session: AsyncSession, *, limit: int, cursor: str | None) -> Page[ListedFace]:
    """Who is on the list, the newest first. Raises `InvalidRequest` for a cursor of elsewhere."""
    by = (ListedFace.created_at, ListedFace.id)
    return await read_page(session, select(ListedFace), by, limit=limit, cursor=cursor)


def no_such_face() -> NotFound:
    return NotFound("There is no such face on the list, or the secret is wrong.")


class ListReader:
    """The list as a worker has it, read again when it has changed."""

    def __init__(self) -> None:
        self._last = EMPTY

    async def current(self, resources: Resources) -> PackedList:
        """The list as it's now: one short query, unless it has changed."""
        async with resources.autocommit() as session:
            version = await session.scalar(select(FaceListVersion.version))
        if version != self._last.version:
            self._last = await _read(resources)
        return self._last


async def _read(resources: Resources) -> PackedList:
    async with resources.sessions() as session:
        # One snapshot, so that version and faces belong together.
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        version = await session.scalar(select(FaceListVersion.version))
        rows = (await session.execute(select(ListedFace.id, ListedFace.embedding))).all()
    embeddings = await asyncio.to_thread(_opened, resources.sealing, [row.embedding for row in rows])
    return PackedList(version or 0, tuple(str(row.id) for row in rows), embeddings)


def _opened(sealing: Sealing, embeddings: Sequence[bytes]) -> bytes:
    return b"".join(sealing.open(embedding) for embedding in embeddings)


def _registered(resources: Resources, embedding: bytes, *, by_operator: bool, note: str) -> Registered:
    secret = new_token()
    face = ListedFace(
        id=uuid4(),
        embedding=resources.sealing.seal(embedding),
        secret_hash=digest(secret),
        by_operator=by_operator,
        note=note,
    )
    return Registered(face, secret)


async def _add(session: AsyncSession, face: ListedFace) -> None:
    await _count_change(session)
    if await session.scalar(select(func.count()).select_from(ListedFace)) == MAX_FACES:
        raise Unavailable("The list of this service is full. Ask its operator.")
    session.add(face)
    await session.flush()
    await session.refresh(face, ["created_at"])


async def _remove(session: AsyncSession, face_id: UUID) -> None:
    await _count_change(session)
    gone = await session.scalar(delete(ListedFace).where(ListedFace.id == face_id).returning(ListedFace.id))
    if gone is None:
        raise no_such_face()


async def _count_change(session: AsyncSession) -> None:
    """From here on, others who change the list wait for the commit."""
    await session.execute(update(FaceListVersion).values(version=FaceListVersion.version + 1))

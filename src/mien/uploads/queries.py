"""Every query about uploads. All times are the database's."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mien.uploads.models import Upload


async def add(session: AsyncSession, upload: Upload, lifetime: timedelta) -> None:
    """Add `upload`, which expires after `lifetime`."""
    upload.expires_at = func.now() + lifetime
    session.add(upload)
    await session.flush()
    await session.refresh(upload)


async def holds(session: AsyncSession, account_id: UUID, key: str) -> bool:
    """Whether the object is an upload of the account that hasn't expired."""
    found = await session.scalar(
        select(Upload.id).where(
            Upload.key == key, Upload.account_id == account_id, Upload.expires_at > func.now()
        )
    )
    return found is not None


async def remove(session: AsyncSession, account_id: UUID, upload_id: str) -> str | None:
    """Forget an account's own upload; the key of its object, or None if there is no such upload."""
    key: str | None = await session.scalar(
        delete(Upload)
        .where(Upload.id == upload_id, Upload.account_id == account_id, Upload.expires_at > func.now())
        .returning(Upload.key)
    )
    return key


async def remove_expired(session: AsyncSession, limit: int) -> Sequence[str]:
    """Forget uploads that have expired; the keys of their objects."""
    expired = (
        select(Upload.id)
        .where(Upload.expires_at <= func.now())
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    removed = await session.scalars(delete(Upload).where(Upload.id.in_(expired)).returning(Upload.key))
    return removed.all()


async def of_account(session: AsyncSession, account_id: UUID, limit: int) -> Sequence[Upload]:
    """Uploads of an account, also those that have expired."""
    return (await session.scalars(select(Upload).where(Upload.account_id == account_id).limit(limit))).all()


async def forget(session: AsyncSession, upload_ids: Collection[str]) -> None:
    """Forget uploads whose objects are gone."""
    await session.execute(delete(Upload).where(Upload.id.in_(upload_ids)))


async def kept(session: AsyncSession, keys: Collection[str]) -> set[str]:
    """Those of `keys` that an upload names."""
    return set(await session.scalars(select(Upload.key).where(Upload.key.in_(keys))))


async def kept_in_all(session: AsyncSession) -> tuple[int, int]:
    """How many uploads of all accounts there are, and their bytes."""
    found = await session.execute(select(func.count(), func.coalesce(func.sum(Upload.bytes), 0)))
    uploads, bytes = found.one()
    return uploads, int(bytes)

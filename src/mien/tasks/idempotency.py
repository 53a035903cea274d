"""Creations that can be sent again without being done again, by the caller's `Idempotency-Key`.

A key is bound in the transaction that creates the task, and so only if that succeeds. Who sends the same key
at the same time waits for that transaction's end, on the key's row.
"""

from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from mien.errors import IdempotencyMismatch
from mien.tasks.models import IdempotencyKey, Task

KEPT: Final = timedelta(hours=24)


async def find(session: AsyncSession, account_id: UUID, key: str, fingerprint: bytes) -> Task | None:
    """The task that was created with a key of the account.

    Raises `IdempotencyMismatch` if it was asked for something else then.
    """
    row = IdempotencyKey
    found = await session.execute(
        select(Task, row.fingerprint)
        .join(row, row.task_id == Task.id)
        .where(row.account_id == account_id, row.key == key, row.created_at > func.now() - KEPT)
    )
    match found.one_or_none():
        case None:
            return None
        case (task, seen) if seen == fingerprint:
            return task
    raise IdempotencyMismatch(
        "The same Idempotency-Key came with another request before. Send a new request with a new key.",
        param="Idempotency-Key",
    )


async def bind(session: AsyncSession, account_id: UUID, key: str, fingerprint: bytes, task_id: str) -> bool:
    """Bind a key to a task that this transaction creates; False if it's bound already.

    Waits for other transactions that bind the same key.
    """
    row = insert(IdempotencyKey).values(
        account_id=account_id, key=key, fingerprint=fingerprint, task_id=task_id
    )
    again = row.on_conflict_do_update(
        index_elements=[IdempotencyKey.account_id, IdempotencyKey.key],
        set_={"fingerprint": fingerprint, "task_id": task_id, "created_at": func.now()},
        where=IdempotencyKey.created_at <= func.now() - KEPT,
    )
    return await session.scalar(again.returning(IdempotencyKey.task_id)) is not None


async def forget_old(session: AsyncSession) -> None:
    """Forget keys that are past their time."""
    await session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at <= func.now() - KEPT))

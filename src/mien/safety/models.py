"""Tables: faces that are not to be swapped, and the trail of who made what."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, CheckConstraint, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from mien.database.connection import Base


class ListedFace(Base):
    """A face that is not to be swapped. Nothing of its picture is kept but the embedding."""

    __tablename__ = "listed_faces"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    embedding: Mapped[bytes]
    """Biometric data: packed (`mien.safety.likeness.pack`), and sealed if the operator has set a key."""
    secret_hash: Mapped[bytes]
    """SHA-256 of what removes it, which only who registered it has."""
    by_operator: Mapped[bool]
    note: Mapped[str]
    """The operator's own; empty for what others registered."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (Index("ix_listed_faces_created_at_id", "created_at", "id"),)


class FaceListVersion(Base):
    """One row that counts the changes of the list, and is the lock of who changes it."""

    __tablename__ = "face_list_version"

    one: Mapped[bool] = mapped_column(primary_key=True, server_default=text("true"))
    version: Mapped[int] = mapped_column(BigInteger, server_default="0")

    __table_args__ = (CheckConstraint("one", name="one"),)


class TrailEntry(Base):
    """How one task ended, for whom, and with which pictures: written when it ends, and not changed then.

    It names accounts by their ids alone, and outlives them. There is no picture in it, and no embedding.
    """

    __tablename__ = "trail"

    task_id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[UUID]
    key_id: Mapped[UUID | None]
    """Null if the task was created in a browser."""
    request_id: Mapped[str]
    """Empty once the account has been deleted: callers may have chosen it."""
    client: Mapped[bytes | None]
    """Of the address that it was asked from, what `mien.safety.trail.client_digest` makes."""
    consent: Mapped[str | None]
    pictures: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    """field and sha256 of each picture that was fetched."""
    outcome: Mapped[str]
    """completed, failed or canceled"""
    error: Mapped[str | None]
    """The error's type."""
    result_sha256: Mapped[str | None]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_trail_ended_at_task_id", "ended_at", "task_id"),
        Index("ix_trail_account_id_ended_at", "account_id", "ended_at"),
        Index("ix_trail_result_sha256", "result_sha256"),
        Index(
            "ix_trail_pictures",
            "pictures",
            postgresql_using="gin",
            postgresql_ops={"pictures": "jsonb_path_ops"},
        ),
    )

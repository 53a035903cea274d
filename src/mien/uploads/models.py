"""Table: pictures that were uploaded to be used in tasks."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from mien.database.connection import Base


class Upload(Base):
    """A picture of an account. Its object is stored before the row, and deleted after it."""

    __tablename__ = "uploads"

    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    key: Mapped[str]
    """The object, `uploads/<id>/picture.<format>`."""
    format: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int]
    sha256: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]

    __table_args__ = (
        Index("uq_uploads_key", "key", unique=True),
        Index("ix_uploads_account_id", "account_id"),
        Index("ix_uploads_expires_at", "expires_at"),
    )

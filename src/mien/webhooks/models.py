"""Tables: endpoints that want to hear of an account's events, and every delivery to one.

A delivery goes `pending → delivered | failed`, and back to `pending` when it's asked for again. The table is
the truth about what is to be sent and when; jobs only wake who sends it.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ARRAY, CheckConstraint, Enum, ForeignKey, Index, String, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from mien.database.connection import Base
from mien.sealing import Sealing


class Event(StrEnum):
    """What an endpoint may want to hear of."""

    TASK_COMPLETED = "task.completed"
    TASK_FAILED = "task.failed"
    TASK_CANCELED = "task.canceled"


TEST_EVENT = "webhook.test"


class State(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Signing:
    """A secret, and the one before it, which signs as well until the receiver has changed to the new one."""

    secret: Mapped[str]
    """As text that is sealed, where there is a key for it."""
    previous_secret: Mapped[str | None]
    previous_secret_until: Mapped[datetime | None]

    def secrets(self, now: datetime, sealing: Sealing) -> list[str]:
        """Those that sign at `now` (aware), in clear, the current one first."""
        secrets = [self.secret]
        if self.previous_secret and self.previous_secret_until and now < self.previous_secret_until:
            secrets.append(self.previous_secret)
        return [sealing.open_text(secret) for secret in secrets]


class Endpoint(Signing, Base):
    """An address of an account's own that is told of its events."""

    __tablename__ = "webhook_endpoints"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    url: Mapped[str]
    description: Mapped[str]
    events: Mapped[list[str]] = mapped_column(ARRAY(String))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    failing_since: Mapped[datetime | None]
    """Since when no attempt has succeeded."""
    disabled_at: Mapped[datetime | None]
    disabled_reason: Mapped[str | None]


class CallbackSecret(Signing, Base):
    """What an account's deliveries to the `callback_url` of single tasks are signed with."""

    __tablename__ = "webhook_callback_secrets"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)


class Delivery(Base):
    """One event for one receiver: an endpoint, or the callback address of one task."""

    __tablename__ = "webhook_deliveries"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    endpoint_id: Mapped[UUID | None] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    callback_url: Mapped[str | None]
    event: Mapped[str]
    task_id: Mapped[str | None]
    body: Mapped[str]
    """The JSON text that is sent and signed, the same at every attempt."""
    state: Mapped[State] = mapped_column(
        Enum(State, native_enum=False, create_constraint=False, values_callable=list, length=16),
        server_default=State.PENDING.value,
    )
    attempt: Mapped[int] = mapped_column(server_default="0")
    """Number of the latest; who ends an attempt names it, so that a late one changes nothing."""
    attempts_before: Mapped[int] = mapped_column(server_default="0")
    """Attempts made before it was asked for again."""
    attempts: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")
    """How the latest ended: at, status, error, answer, milliseconds."""
    next_attempt_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """When it's due; during an attempt, when it is due again if the sender is never heard of."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("state IN ('pending', 'delivered', 'failed')", name="state"),
        CheckConstraint("(endpoint_id IS NULL) <> (callback_url IS NULL)", name="one_receiver"),
        CheckConstraint("(state = 'pending') = (ended_at IS NULL)", name="ended"),
        Index("ix_webhook_deliveries_account_id_created_at", "account_id", "created_at"),
        Index("ix_webhook_deliveries_endpoint_id_created_at", "endpoint_id", "created_at"),
        Index("ix_webhook_deliveries_task_id", "task_id"),
        Index("ix_webhook_deliveries_due", "next_attempt_at", postgresql_where=text("state = 'pending'")),
        Index("ix_webhook_deliveries_ended_at", "ended_at"),
    )

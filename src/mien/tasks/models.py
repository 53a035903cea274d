"""Tables: the tasks, which are the truth, what goes with them, and the workers that are alive.

A task goes `queued → running → completed | failed | canceled`; a running one goes back to `queued` when its
try was cut short. Each start raises `attempt`, and whoever changes a running task names the attempt that it
acts for: a worker that slept through its own funeral changes nothing. A trigger tells `TASKS_CHANGED` of
every change of state, stage or attempt (`mien.database.migrations`, revision 0005).
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Computed,
    Date,
    Enum,
    ForeignKey,
    Index,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from mien.database.connection import Base

TASKS_CHANGED: Final = "mien_tasks"
"""The channel of PostgreSQL's NOTIFY; its payload is a task's id."""
STAGES: Final = ("fetching", "detecting", "swapping", "marking", "storing")
"""Of one attempt, in their order."""
TASK_SUFFIX: Final = "_faceswap"
"""What every task's id ends in."""


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


class Task(Base):
    """One face swap that was asked for."""

    __tablename__ = "tasks"

    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    key_id: Mapped[UUID | None]
    """The key that it was created with; null if that was done in a browser. It may be gone by now."""
    request_id: Mapped[str]
    # text with a check: a new state is then one constraint, not a type that can't be altered in a transaction
    state: Mapped[State] = mapped_column(
        Enum(State, native_enum=False, create_constraint=False, values_callable=list, length=16)
    )
    stage: Mapped[str]
    attempt: Mapped[int] = mapped_column(server_default="0")
    worker_id: Mapped[UUID | None]
    parameters: Mapped[dict[str, Any]]
    """What was asked, apart from the pictures. See `mien.tasks.requests.FaceSwapRequest.parameters`."""
    inputs: Mapped[dict[str, Any]]
    """Where the pictures are, by field; emptied when the task ends. See `mien.tasks.inputs`."""
    tag: Mapped[int] = mapped_column(BigInteger)
    """What the watermark of its result carries: 48 bits of its id's hash, so two tasks may share one."""
    consent: Mapped[str | None]
    """How the people who are shown have agreed, in the caller's words."""
    client: Mapped[bytes | None]
    """Of the address that it was asked from, and `pictures` of those that were fetched: what the trail will
    have, until the task ends. See `mien.safety.trail`."""
    pictures: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))
    labels: Mapped[dict[str, Any]] = mapped_column("metadata", key="labels", server_default=text("'{}'"))
    """The request's `metadata`, for its sender alone."""
    callback_url: Mapped[str | None]
    credits: Mapped[int] = mapped_column(server_default="0")
    """What was held for it; charged once it's completed, given back if it ends otherwise."""
    result_key: Mapped[str | None]
    """The object that the winning attempt stored; null again once the result has expired."""
    result: Mapped[dict[str, Any] | None]
    """format, width, height, bytes, sha256"""
    result_bytes: Mapped[int | None] = mapped_column(
        BigInteger, Computed("(result ->> 'bytes')::bigint", persisted=True)
    )
    """Of `result`, as `error_type` is of `error`: so that an index knows them."""
    reports: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))
    """What the engine measured, swap by swap."""
    timings: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """Milliseconds of the winning attempt's steps, in their order, which JSONB wouldn't keep."""
    error: Mapped[dict[str, Any] | None]
    """type, message, param"""
    error_type: Mapped[str | None] = mapped_column(Computed("error ->> 'type'", persisted=True))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    deadline_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    """When the first attempt started."""
    completed_at: Mapped[datetime | None]
    """When it ended, however it ended."""
    expires_at: Mapped[datetime | None]
    """Until when the result is kept."""

    @property
    def has_ended(self) -> bool:
        return self.state not in (State.QUEUED, State.RUNNING)

    __table_args__ = (
        CheckConstraint("state IN ('queued', 'running', 'completed', 'failed', 'canceled')", name="state"),
        CheckConstraint("(state = 'running') <= (worker_id IS NOT NULL)", name="running_has_worker"),
        CheckConstraint("(state IN ('failed', 'canceled')) = (error IS NOT NULL)", name="failed_has_error"),
        CheckConstraint("credits >= 0", name="credits"),
        Index("ix_tasks_account_id_created_at", "account_id", "created_at"),
        Index("ix_tasks_tag", "tag"),
        Index(
            "ix_tasks_in_flight",
            "account_id",
            "key_id",
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
        Index(
            "ix_tasks_open", "state", "created_at", postgresql_where=text("state IN ('queued', 'running')")
        ),
        Index(
            "uq_tasks_result_key", "result_key", unique=True, postgresql_where=text("result_key IS NOT NULL")
        ),
        Index("ix_tasks_expires_at", "expires_at", postgresql_where=text("result_key IS NOT NULL")),
        Index("ix_tasks_endings", "completed_at", "state", "error_type"),
        Index("ix_tasks_result_bytes", "result_bytes", postgresql_where=text("result_key IS NOT NULL")),
    )


class TaskCount(Base):
    """How many tasks an account, or one of its keys, has created on a day (UTC).

    Its row is also the lock that whoever creates a task holds until the commit, so that limits are exact.
    """

    __tablename__ = "task_counts"

    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    """An account's id, or a key's."""
    day: Mapped[date] = mapped_column(Date)
    created: Mapped[int]


class IdempotencyKey(Base):
    """A creation that can be sent again without being done again."""

    __tablename__ = "idempotency_keys"

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes]
    """SHA-256 of what was asked."""
    task_id: Mapped[str] = mapped_column(
        ForeignKey("tasks.id", ondelete="CASCADE", deferrable=True, initially="DEFERRED"), index=True
    )
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


class Worker(Base):
    """A worker that is alive while its heartbeat is fresh. It's a row per start, never used again."""

    __tablename__ = "workers"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    host: Mapped[str]
    pid: Mapped[int]
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    heartbeat_at: Mapped[datetime] = mapped_column(server_default=func.now())

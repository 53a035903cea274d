"""Tables: the tasks, which are the truth, and the workers that are alive.

A task goes `queued → running → completed | failed | canceled`; a running one goes back to `queued` when its
try was cut short. Each start raises `attempt`, and whoever changes a running task names the attempt that it
acts for: a worker that slept through its own funeral changes nothing.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Enum, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from mien.database.connection import Base


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
    request_id: Mapped[str]
    # text with a check: a new state is then one constraint, not a type that can't be altered in a transaction
    state: Mapped[State] = mapped_column(
        Enum(State, native_enum=False, create_constraint=False, values_callable=list, length=16)
    )
    stage: Mapped[str]
    attempt: Mapped[int] = mapped_column(server_default="0")
    worker_id: Mapped[UUID | None]
    parameters: Mapped[dict[str, Any]]
    """What was asked, apart from the pictures: target_index, output_format."""
    inputs: Mapped[dict[str, Any]]
    """Where the pictures are, by field; emptied when the task ends. See `mien.tasks.inputs`."""
    result_key: Mapped[str | None]
    """The object that the winning attempt stored; null again once the result has expired."""
    result: Mapped[dict[str, Any] | None]
    """format, width, height, bytes, sha256"""
    report: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    """type, message, param"""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    deadline_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    """When the first attempt started."""
    completed_at: Mapped[datetime | None]
    """When it ended, however it ended."""
    expires_at: Mapped[datetime | None]
    """Until when the result is kept."""

    __table_args__ = (
        CheckConstraint("state IN ('queued', 'running', 'completed', 'failed', 'canceled')", name="state"),
        CheckConstraint("(state = 'running') <= (worker_id IS NOT NULL)", name="running_has_worker"),
        CheckConstraint("(state IN ('failed', 'canceled')) = (error IS NOT NULL)", name="failed_has_error"),
        Index("ix_tasks_account_id_created_at", "account_id", "created_at"),
        Index(
            "ix_tasks_open", "state", "created_at", postgresql_where=text("state IN ('queued', 'running')")
        ),
        Index(
            "uq_tasks_result_key", "result_key", unique=True, postgresql_where=text("result_key IS NOT NULL")
        ),
        Index("ix_tasks_expires_at", "expires_at", postgresql_where=text("result_key IS NOT NULL")),
    )


class Worker(Base):
    """A worker that is alive while its heartbeat is fresh. It's a row per start, never used again."""

    __tablename__ = "workers"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    host: Mapped[str]
    pid: Mapped[int]
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    heartbeat_at: Mapped[datetime] = mapped_column(server_default=func.now())

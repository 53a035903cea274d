"""Tasks, and the workers that run them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("worker_id", sa.Uuid()),
        sa.Column("parameters", JSONB(), nullable=False),
        sa.Column("inputs", JSONB(), nullable=False),
        sa.Column("result_key", sa.String()),
        sa.Column("result", JSONB()),
        sa.Column("report", JSONB()),
        sa.Column("error", JSONB()),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("completed_at", sa.DateTime(timezone=True)),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_tasks_account_id_accounts", ondelete="CASCADE"
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'completed', 'failed', 'canceled')", name="ck_tasks_state"
        ),
        sa.CheckConstraint(
            "(state = 'running') <= (worker_id IS NOT NULL)", name="ck_tasks_running_has_worker"
        ),
        sa.CheckConstraint(
            "(state IN ('failed', 'canceled')) = (error IS NOT NULL)", name="ck_tasks_failed_has_error"
        ),
    )
    op.create_index("ix_tasks_account_id_created_at", "tasks", ["account_id", "created_at"])
    is_open = sa.text("state IN ('queued', 'running')")
    op.create_index("ix_tasks_open", "tasks", ["state", "created_at"], postgresql_where=is_open)
    has_result = sa.text("result_key IS NOT NULL")
    op.create_index("uq_tasks_result_key", "tasks", ["result_key"], unique=True, postgresql_where=has_result)
    op.create_index("ix_tasks_expires_at", "tasks", ["expires_at"], postgresql_where=has_result)
    op.create_table(
        "workers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )

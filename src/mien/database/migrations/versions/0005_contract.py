"""Several swaps in a task, uploads, idempotency keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    _tasks()
    _tell_of_changes()
    _idempotency()
    _uploads()


def _tasks() -> None:
    op.drop_column("tasks", "report")
    op.add_column("tasks", sa.Column("reports", JSONB()))
    op.add_column("tasks", sa.Column("timings", sa.JSON()))
    op.add_column("tasks", sa.Column("key_id", sa.Uuid()))
    op.add_column("tasks", sa.Column("metadata", JSONB(), server_default=sa.text("'{}'"), nullable=False))
    op.add_column("tasks", sa.Column("callback_url", sa.String()))
    op.add_column("tasks", sa.Column("credits", sa.Integer(), server_default="0", nullable=False))
    op.create_check_constraint("ck_tasks_credits", "tasks", "credits >= 0")
    is_open = sa.text("state IN ('queued', 'running')")
    op.create_index("ix_tasks_in_flight", "tasks", ["account_id", "key_id"], postgresql_where=is_open)
    op.create_table(
        "task_counts",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("created", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", name="pk_task_counts"),
    )


def _tell_of_changes() -> None:
    """Whoever listens hears of every change that others can see, however it was made."""
    op.execute(
        """
        CREATE FUNCTION tell_of_changed_task() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('mien_tasks', NEW.id);
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER tell_of_changed_task AFTER UPDATE ON tasks FOR EACH ROW
        WHEN ((OLD.state, OLD.stage, OLD.attempt) IS DISTINCT FROM (NEW.state, NEW.stage, NEW.attempt))
        EXECUTE FUNCTION tell_of_changed_task()
        """
    )


def _idempotency() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("task_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "key", name="pk_idempotency_keys"),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name="fk_idempotency_keys_account_id_accounts",
            ondelete="CASCADE",
        ),
        # Bound before the task is written, in the same transaction.
        sa.ForeignKeyConstraint(
            ["task_id"],
            ["tasks.id"],
            name="fk_idempotency_keys_task_id_tasks",
            ondelete="CASCADE",
            deferrable=True,
            initially="DEFERRED",
        ),
    )
    op.create_index("ix_idempotency_keys_task_id", "idempotency_keys", ["task_id"])
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def _uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_uploads_account_id_accounts", ondelete="CASCADE"
        ),
    )
    op.create_index("uq_uploads_key", "uploads", ["key"], unique=True)
    op.create_index("ix_uploads_account_id", "uploads", ["account_id"])
    op.create_index("ix_uploads_expires_at", "uploads", ["expires_at"])

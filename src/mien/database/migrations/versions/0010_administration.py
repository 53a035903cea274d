"""What the administration shows: administrators' acts, indexes for its lists."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    _create_audit_log()
    # How tasks ended lately, and how many bytes are kept, are then read from indexes alone.
    for name, kind, computed in (
        ("result_bytes", sa.BigInteger(), "(result ->> 'bytes')::bigint"),
        ("error_type", sa.String(), "error ->> 'type'"),
    ):
        op.add_column("tasks", sa.Column(name, kind, sa.Computed(computed, persisted=True)))
    op.create_index("ix_tasks_endings", "tasks", ["completed_at", "state", "error_type"])
    op.create_index(
        "ix_tasks_result_bytes",
        "tasks",
        ["result_bytes"],
        postgresql_where=sa.text("result_key IS NOT NULL"),
    )
    op.create_index("ix_orders_pending", "orders", ["created_at"], postgresql_where="state = 'pending'")


def _create_audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("act", sa.String(32), nullable=False),
        sa.Column("actor_id", sa.Uuid()),
        sa.Column("key_id", sa.Uuid()),
        sa.Column("account_id", sa.Uuid()),
        sa.Column("subject", sa.String()),
        sa.Column("details", JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_account_id_id", "audit_log", ["account_id", "id"])
    # A trigger, since privileges don't bind the table's owner, and that is who the service connects as.
    op.execute(
        """
        CREATE FUNCTION refuse_to_change_the_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'The audit log is only added to.' USING ERRCODE = 'restrict_violation';
        END
        $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER audit_log_is_only_added_to
        BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_the_audit_log()
        """
    )

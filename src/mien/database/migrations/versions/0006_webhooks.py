"""Webhook endpoints and deliveries."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("events", sa.ARRAY(sa.String()), nullable=False),
        *_signing(),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True)),
        sa.Column("disabled_at", sa.DateTime(timezone=True)),
        sa.Column("disabled_reason", sa.String()),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_endpoints"),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name="fk_webhook_endpoints_account_id_accounts",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_webhook_endpoints_account_id", "webhook_endpoints", ["account_id"])
    op.create_table(
        "webhook_callback_secrets",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        *_signing(),
        sa.PrimaryKeyConstraint("account_id", name="pk_webhook_callback_secrets"),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name="fk_webhook_callback_secrets_account_id_accounts",
            ondelete="CASCADE",
        ),
    )
    _create_deliveries()


def _signing() -> list[sa.Column[Any]]:
    return [
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("previous_secret", sa.String()),
        sa.Column("previous_secret_until", sa.DateTime(timezone=True)),
    ]


def _create_deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid()),
        sa.Column("callback_url", sa.String()),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("task_id", sa.String()),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("state", sa.String(16), server_default="pending", nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempts_before", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempts", JSONB(), server_default="[]", nullable=False),
        sa.Column(
            "next_attempt_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name="fk_webhook_deliveries_account_id_accounts",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoints.id"],
            name="fk_webhook_deliveries_endpoint_id_webhook_endpoints",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("state IN ('pending', 'delivered', 'failed')", name="ck_webhook_deliveries_state"),
        sa.CheckConstraint(
            "(endpoint_id IS NULL) <> (callback_url IS NULL)", name="ck_webhook_deliveries_one_receiver"
        ),
        sa.CheckConstraint("(state = 'pending') = (ended_at IS NULL)", name="ck_webhook_deliveries_ended"),
    )
    table = "webhook_deliveries"
    op.create_index("ix_webhook_deliveries_account_id_created_at", table, ["account_id", "created_at"])
    op.create_index("ix_webhook_deliveries_endpoint_id_created_at", table, ["endpoint_id", "created_at"])
    op.create_index("ix_webhook_deliveries_task_id", table, ["task_id"])
    is_pending = sa.text("state = 'pending'")
    op.create_index("ix_webhook_deliveries_due", table, ["next_attempt_at"], postgresql_where=is_pending)
    op.create_index("ix_webhook_deliveries_ended_at", table, ["ended_at"])

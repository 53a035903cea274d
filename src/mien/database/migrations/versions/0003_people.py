"""People: sign-in, sessions, keys with limits."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_LIMITS_ARE_POSITIVE = "requests_per_minute > 0 AND tasks_in_flight > 0 AND tasks_per_day > 0"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("email", sa.String()))
    op.add_column("accounts", sa.Column("password_hash", sa.String()))
    op.add_column(
        "accounts",
        sa.Column("is_administrator", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column("accounts", sa.Column("retention", sa.Interval()))
    op.create_unique_constraint("uq_accounts_email", "accounts", ["email"])
    op.create_check_constraint(
        "ck_accounts_email_has_password", "accounts", "(password_hash IS NULL) = (email IS NULL)"
    )
    op.add_column("api_keys", sa.Column("expires_at", sa.DateTime(timezone=True)))
    for table in ("accounts", "api_keys"):
        for limit in ("requests_per_minute", "tasks_in_flight", "tasks_per_day"):
            op.add_column(table, sa.Column(limit, sa.Integer()))
        op.create_check_constraint(f"ck_{table}_limits_are_positive", table, _LIMITS_ARE_POSITIVE)
    op.create_table(
        "sign_ins",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sign_ins"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_sign_ins_account_id_accounts", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("token_hash", name="uq_sign_ins_token_hash"),
    )
    op.create_index("ix_sign_ins_account_id", "sign_ins", ["account_id"])
    op.create_index("ix_sign_ins_expires_at", "sign_ins", ["expires_at"])
    op.create_table(
        "invites",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("email", sa.String()),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_invites"),
        sa.UniqueConstraint("token_hash", name="uq_invites_token_hash"),
    )
    op.create_index("ix_invites_expires_at", "invites", ["expires_at"])
    op.create_table(
        "password_resets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_password_resets"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_password_resets_account_id_accounts", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_password_resets_account_id", "password_resets", ["account_id"])
    op.create_index("ix_password_resets_expires_at", "password_resets", ["expires_at"])
    op.create_table(
        "throttles",
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_throttles"),
    )
    op.create_index("ix_throttles_ends_at", "throttles", ["ends_at"])

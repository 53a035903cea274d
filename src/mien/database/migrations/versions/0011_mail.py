"""Letters that wait to be sent."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "letters",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("invite_id", sa.Uuid()),
        sa.Column("reset_id", sa.Uuid()),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("tried_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failure", sa.String()),
        sa.Column("given_up_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("id", name="pk_letters"),
        sa.ForeignKeyConstraint(
            ["invite_id"], ["invites.id"], name="fk_letters_invite_id_invites", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["reset_id"],
            ["password_resets.id"],
            name="fk_letters_reset_id_password_resets",
            ondelete="CASCADE",
        ),
        sa.CheckConstraint("(invite_id IS NULL) <> (reset_id IS NULL)", name="ck_letters_about_one"),
        sa.CheckConstraint(
            "given_up_at IS NULL OR failure IS NOT NULL", name="ck_letters_given_up_has_failure"
        ),
    )
    op.create_index("ix_letters_invite_id", "letters", ["invite_id"])
    op.create_index("ix_letters_reset_id", "letters", ["reset_id"])
    is_open = sa.text("given_up_at IS NULL")
    op.create_index("ix_letters_due", "letters", ["next_try_at"], postgresql_where=is_open)

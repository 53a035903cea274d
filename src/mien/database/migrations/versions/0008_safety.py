"""Faces that are not to be swapped, and the trail of who made what."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    _create_list()
    _create_trail()
    # What the trail's entry will hold, until the task ends.
    op.add_column("tasks", sa.Column("client", sa.LargeBinary()))
    op.add_column("tasks", sa.Column("pictures", JSONB(none_as_null=True)))


def _create_list() -> None:
    op.create_table(
        "listed_faces",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("embedding", sa.LargeBinary(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("by_operator", sa.Boolean(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_listed_faces"),
    )
    op.create_index("ix_listed_faces_created_at_id", "listed_faces", ["created_at", "id"])
    op.create_table(
        "face_list_version",
        sa.Column("one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("one", name="pk_face_list_version"),
        sa.CheckConstraint("one", name="ck_face_list_version_one"),
    )
    op.execute("INSERT INTO face_list_version DEFAULT VALUES")


def _create_trail() -> None:
    op.create_table(
        "trail",
        sa.Column("task_id", sa.String(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.Uuid()),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("client", sa.LargeBinary()),
        sa.Column("consent", sa.String()),
        sa.Column("pictures", JSONB(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("error", sa.String()),
        sa.Column("result_sha256", sa.String()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("task_id", name="pk_trail"),
    )
    op.create_index("ix_trail_ended_at_task_id", "trail", ["ended_at", "task_id"])
    op.create_index("ix_trail_account_id_ended_at", "trail", ["account_id", "ended_at"])
    op.create_index("ix_trail_result_sha256", "trail", ["result_sha256"])
    op.create_index(
        "ix_trail_pictures",
        "trail",
        ["pictures"],
        postgresql_using="gin",
        postgresql_ops={"pictures": "jsonb_path_ops"},
    )

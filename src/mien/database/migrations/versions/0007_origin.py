"""What leads from a watermark to its task, and what a request says about its result's marks."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("consent", sa.String()))
    op.add_column("tasks", sa.Column("tag", sa.BigInteger()))
    # What mien.marks.tags.tag_of makes of an id.
    op.execute(
        """
        UPDATE tasks SET
            tag = ('x' || left(encode(sha256(convert_to(id, 'UTF8')), 'hex'), 12))::bit(48)::bigint,
            parameters = '{"label": null, "exif": "drop"}' || parameters
        """
    )
    op.alter_column("tasks", "tag", nullable=False)
    op.create_index("ix_tasks_tag", "tasks", ["tag"])

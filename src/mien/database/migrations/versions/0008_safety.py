"""Faces that are not to be swapped, and the trail of who made what."""

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    pass

"""What encryption at rest and the deletion of accounts ask of the tables."""

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    pass

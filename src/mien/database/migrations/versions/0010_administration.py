"""What the administration shows: administrators' acts, indexes for its lists."""

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    pass

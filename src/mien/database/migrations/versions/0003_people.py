"""People: sign-in, sessions, keys with limits."""

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    pass

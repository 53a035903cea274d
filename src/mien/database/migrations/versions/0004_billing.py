"""The credit ledger, orders and payments."""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    pass

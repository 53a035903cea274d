"""What leads from a watermark to its task, and what a request says about its result's marks."""

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    pass

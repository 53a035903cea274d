"""Times that callers send."""

import re
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator


def _iso_only(value: object) -> object:
    # Pydantic takes seconds since 1970 for times as well, and they are a typing mistake here.
    if isinstance(value, str) and not re.match(r"\d{4}-\d{2}-\d{2}[Tt ]", value, re.ASCII):
        raise ValueError("must be a time with its zone, such as 2026-12-24T00:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_iso_only)]
"""With its zone: `2026-12-24T00:00:00Z`."""

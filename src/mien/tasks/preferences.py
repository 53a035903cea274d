"""The header `Prefer: wait=10` (RFC 7240): how long a caller is willing to wait for a task's end."""

import re
from typing import Final

MAX_WAIT: Final = 60  # seconds

_WAIT = re.compile(r"wait\s*=\s*\"?(\d{1,9})\"?", re.IGNORECASE)


def preferred_wait(header: str) -> int:
    """Seconds, at most `MAX_WAIT`; 0 without such a preference, or if it isn't understood."""
    for preference in header.split(","):
        if found := _WAIT.fullmatch(preference.partition(";")[0].strip()):
            return min(int(found[1]), MAX_WAIT)
    return 0

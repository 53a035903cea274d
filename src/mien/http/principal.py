"""Who makes a request, and how much they may ask for."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one account, or one key, may ask for."""

    requests_per_minute: int
    tasks_in_flight: int
    tasks_per_day: int


@dataclass(frozen=True, slots=True)
class Principal:
    """Who makes a request: an account, by one of its keys or by a signed-in person's session."""

    account_id: UUID
    key_id: UUID | None
    """None for a session."""
    is_administrator: bool
    """Whether this caller may do what only administrators do."""
    limits: Limits
    """Of all that the account does, with whatever key."""
    key_limits: Limits | None
    """Of what is done with this key, never above `limits`; None where the key has none of its own."""
    is_restricted: bool = False
    """The key has limits or an end of its own. It can't make keys without them, nor administrate."""

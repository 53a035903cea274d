"""Requests per minute, counted by each API process for itself, in its memory.

A minute begins with the first request in it. So `n` processes behind a load balancer let up to `n` times as
many pass; a service of `mien serve` has `MIEN_API_PROCESSES`.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from uuid import UUID

from mien.http.principal import Principal

_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left of one limit."""

    name: str
    limit: int
    remaining: int
    seconds: int
    """Until all of it is there again."""
    is_used_up: bool
    """So that this request was refused."""


@dataclass(slots=True)
class _Window:
    ends_at: float
    used: int = 0


class RequestCounter:
    """Counts the requests of accounts and of keys that have a limit of their own."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # All are equally long, so they end in the order in which they were put in.
        self._windows: dict[tuple[str, UUID], _Window] = {}

    def count(self, principal: Principal) -> list[Standing]:
        """Count a request, unless it's refused because one limit has nothing left."""
        now = self._clock()
        self._forget_ended(now)
        counted = [("account", principal.account_id, principal.limits.requests_per_minute)]
        if principal.key_id and principal.key_limits:
            counted.append(("key", principal.key_id, principal.key_limits.requests_per_minute))
        windows = [self._windows.setdefault((name, id_), _Window(now + _MINUTE)) for name, id_, _ in counted]
        is_refused = any(window.used >= limit for window, (_, _, limit) in zip(windows, counted, strict=True))
        standings = []
        for window, (name, _, limit) in zip(windows, counted, strict=True):
            is_used_up = window.used >= limit
            window.used += not is_refused
            seconds = max(1, ceil(window.ends_at - now))
            standings.append(Standing(name, limit, limit - window.used, seconds, is_used_up))
        return standings

    def __len__(self) -> int:
        """How many accounts and keys have been seen in the last minute."""
        return len(self._windows)

    def _forget_ended(self, now: float) -> None:
        while self._windows and self._windows[oldest := next(iter(self._windows))].ends_at <= now:
            del self._windows[oldest]


def headers(standings: Sequence[Standing]) -> dict[str, str]:
    """`RateLimit-Policy` and `RateLimit` as in the IETF's draft-ietf-httpapi-ratelimit-headers-10."""
    return {
        "RateLimit-Policy": ", ".join(f'"{one.name}";q={one.limit};w={_MINUTE}' for one in standings),
        "RateLimit": ", ".join(
            f'"{one.name}";r={max(0, one.remaining)};t={one.seconds}' for one in standings
        ),
    }

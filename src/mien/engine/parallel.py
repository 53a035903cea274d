"""Work side by side. The networks are too small to gain from a second thread, two of them together do."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

First = TypeVar("First")
Second = TypeVar("Second")


class Cores:
    """Up to `threads` pieces of work at a time. What they run must not wait for `Cores` itself."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "mien-engine") if threads > 1 else None

    def both(self, first: Callable[[], First], second: Callable[[], Second]) -> tuple[First, Second]:
        """The results of both. If both fail, `first`'s error is raised."""
        if self._pool is None:
            return first(), second()
        beside = self._pool.submit(second)
        return first(), beside.result()

    def each(self, work: Callable[[First], Second], items: Sequence[First]) -> list[Second]:
        """The results for all items, in their order. The first error is raised once all have ended."""
        if self._pool is None:
            return [work(item) for item in items]
        started = [self._pool.submit(work, item) for item in items]
        ended = [future.exception() for future in started]
        for error in ended:
            if error is not None:
                raise error
        return [future.result() for future in started]


ONE_CORE = Cores(1)


def one_at_a_time(call: Callable[[First], Second]) -> Callable[[First], Second]:
    """`call` for several threads, when it was made for one."""
    lock = Lock()

    def alone(argument: First) -> Second:
        with lock:
            return call(argument)

    return alone

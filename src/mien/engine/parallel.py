"""Work side by side. The networks are too small to gain from a second thread, two of them together do."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Generic, TypeVar

First = TypeVar("First")
Second = TypeVar("Second")


class Cores:
    """Up to `threads` pieces of work at a time. A piece may be split again: who waits for one that no other
    thread has begun does it himself."""

    def __init__(self, threads: int) -> None:
        self._others = ThreadPoolExecutor(threads - 1, "mien-engine") if threads > 1 else None

    def both(self, first: Callable[[], First], second: Callable[[], Second]) -> tuple[First, Second]:
        """The results of both. If both fail, `first`'s error is raised."""
        beside = self._offer(second)
        return first(), beside.result()

    def each(self, work: Callable[[First], Second], items: Sequence[First]) -> list[Second]:
        """The results for all items, in their order. The first error is raised once all have ended."""
        pieces = [self._offer(partial(work, item)) for item in items]
        for piece in pieces:
            piece.wait()
        return [piece.result() for piece in pieces]

    def _offer(self, work: Callable[[], First]) -> "_Piece[First]":
        piece = _Piece(work)
        if self._others is not None:
            self._others.submit(piece.run)
        return piece


class _Piece(Generic[First]):
    """Work that is done once, by whoever comes first."""

    def __init__(self, work: Callable[[], First]) -> None:
        self._work = work
        self._begun = Lock()
        self._outcome: Future[First] = Future()

    def run(self) -> None:
        if self._begun.acquire(blocking=False):
            try:
                self._outcome.set_result(self._work())
            except BaseException as error:
                self._outcome.set_exception(error)

    def wait(self) -> None:
        self.run()
        self._outcome.exception()

    def result(self) -> First:
        self.run()
        return self._outcome.result()


def one_at_a_time(call: Callable[[First], Second]) -> Callable[[First], Second]:
    """`call` for several threads, when it was made for one."""
    lock = Lock()

    def alone(argument: First) -> Second:
        with lock:
            return call(argument)

    return alone

"""How long the steps of a task take."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from time import perf_counter
from typing import Any


class Timings:
    """Milliseconds of each step, in their order."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """What is done within is this step."""
        started = perf_counter()
        yield
        self.add(step, perf_counter() - started)

    def add(self, step: str, seconds: float) -> None:
        self.milliseconds[step] = round(self.milliseconds.get(step, 0.0) + 1000 * seconds, 2)

    def since(self, step: str, start: datetime, end: datetime | None) -> None:
        """What lay between two times of the database."""
        if end:
            self.add(step, (end - start).total_seconds())

    def add_reports(self, reports: Sequence[Mapping[str, Any]]) -> None:
        """The engine's own steps: each is taken for every swap, but the detection is for all of them."""
        for number, report in enumerate(reports):
            for step, milliseconds in report["milliseconds"].items():
                if step != "detecting" or number == 0:
                    self.add(step, milliseconds / 1000)

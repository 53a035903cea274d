"""The sample pictures that come with the package, under `/samples/<name>.jpg`."""

from functools import cache
from pathlib import Path

PREFIX = "/samples/"


def sample(name: str) -> Path | None:
    """The file of the sample called `name`, such as `target.jpg`; None if there is none."""
    return _samples().get(name)


@cache
def _samples() -> dict[str, Path]:
    return {path.name: path for path in (Path(__file__).parent.parent / "samples").glob("*.jpg")}

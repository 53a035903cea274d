"""The sample pictures that come with the package, under `/samples/<name>.jpg`."""

from pathlib import Path

PREFIX = "/samples/"

_FOLDER = Path(__file__).parent.parent / "samples"


def sample(name: str) -> Path | None:
    """The file of the sample called `name`, such as `target.jpg`; None if there is none."""
    return {path.name: path for path in _FOLDER.glob("*.jpg")}.get(name)

"""The data folder: made private, and the small secrets that live in it."""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mien.errors import SetupError


def prepare(folder: Path) -> None:
    """Make `folder` if it doesn't exist and check that it can be written.

    It is made private. For root it may be passed through (mode 0711, also an empty folder that exists),
    because the embedded PostgreSQL runs as an unprivileged user in a folder of its own below it; all else
    inside is private by its own mode.

    Raises `SetupError` with one line on what to do.
    """
    try:
        is_root = os.geteuid() == 0
        folder.mkdir(mode=0o711 if is_root else 0o700, parents=True, exist_ok=True)
        if is_root and not any(folder.iterdir()):
            folder.chmod(folder.stat().st_mode | 0o011)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SetupError(
            f"The data folder {folder} can't be written ({error.strerror}): correct its rights, or choose "
            "another with --data-dir or MIEN_DATA_DIR."
        ) from error


def keep_secret(path: Path, make: Callable[[], str]) -> str:
    """What `path` holds; if it doesn't exist, it's made with `make()`'s text, readable by its owner only.

    Processes that do this at the same time all get the same text. Raises `SetupError` if the file can't be
    read or written.
    """
    try:
        if not path.exists():
            with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}-") as draft:
                draft.write(make() + "\n")
                draft.flush()
                os.fsync(draft.fileno())
                with suppress(FileExistsError):  # another process was first
                    os.link(draft.name, path)
        return path.read_text().strip()
    except OSError as error:
        raise SetupError(f"{path} can't be read or made ({error.strerror}): correct its rights.") from error

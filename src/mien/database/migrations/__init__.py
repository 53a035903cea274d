"""The schema's history, and the one way to bring a database up to date.

Revisions in `versions/` are written by hand; a test compares their result with the tables' declarations. The
tables of Procrastinate come from the SQL that it ships. Whether a database is up to date is told without the
two libraries: API processes ask that, and have no other use for them.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Connection, NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from mien.database.migrations import job_tables
from mien.errors import SetupError

if TYPE_CHECKING:
    from alembic.config import Config

logger = structlog.get_logger(__name__)

_FOLDER = Path(__file__).parent
_PATIENCE = 30.0  # seconds
_POLL = 1.0  # seconds
# Any number that nobody else takes in this database.
_LOCK = 0x6D69656E


def migrate(url: str) -> None:
    """Bring the database at the libpq address `url` up to date, in one transaction; blocks.

    Processes that do this at the same time wait for each other. Raises `SetupError` if a newer Mien was here,
    or if the database can't be reached for half a minute.
    """
    with _reach(url) as connection, connection.begin():
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if not is_current(connection):
            from alembic import command

            job_tables.update(connection)
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def wait_until_current(url: str) -> None:
    """Wait until somebody else has brought the database at `url` up to date; blocks.

    Raises `SetupError` as `migrate` does, or if nobody does it within half a minute.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        with _reach(url) as connection:
            if is_current(connection):
                return
        if time.monotonic() > deadline:
            raise SetupError(
                "The database's tables are missing or older than this version of Mien: start `mien serve` of "
                "this version on it once."
            )
        time.sleep(_POLL)


@contextmanager
def _reach(url: str) -> Iterator[Connection]:
    """A connection, also to a database that is only just starting."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    deadline = time.monotonic() + _PATIENCE
    reason = ""
    while True:
        try:
            connection = engine.connect()
            break
        except OperationalError as error:
            known, reason = reason, str(error.orig).splitlines()[0]
            if time.monotonic() > deadline:
                raise SetupError(
                    f"The database can't be reached, check MIEN_DATABASE_URL: {reason}"
                ) from None
            if reason != known:
                logger.warning("waiting for the database", reason=reason)
        time.sleep(_POLL)
    with connection:
        yield connection


def is_current(connection: Connection) -> bool:
    """Whether the schema is the one this version of Mien works with; False if it's older or not there.

    Raises `SetupError` if a newer Mien was here.
    """
    known = sorted(path.name.partition("_")[0] for path in (_FOLDER / "versions").glob("[0-9]*_*.py"))
    current = None
    if connection.scalar(text("SELECT to_regclass('alembic_version')")):
        current = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if current is not None and current not in known:
        raise SetupError(
            "The database was last used by a newer version of Mien: run that version or a later one."
        )
    return current == known[-1] and job_tables.are_current(connection)


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config

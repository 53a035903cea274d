"""The schema's history, and the one way to bring a database up to date.

Revisions in `versions/` are written by hand; a test compares their result with the tables' declarations. The
tables of Procrastinate come from the SQL that it ships.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from mien.database.migrations import job_tables
from mien.errors import SetupError

logger = structlog.get_logger(__name__)

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
    scripts = ScriptDirectory.from_config(_config())
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    if current is not None and current not in known:
        raise SetupError(
            "The database was last used by a newer version of Mien: run that version or a later one."
        )
    return current == scripts.get_current_head() and job_tables.are_current(connection)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config

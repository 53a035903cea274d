"""The schema's history, and the one way to bring a database up to date.

Revisions in `versions/` are written by hand; a test compares their result with the tables' declarations. The
tables of Procrastinate come from the migration files that it ships: each revision names the ones it applies,
so that a new and an old database end up the same.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, make_url, text

from mien.errors import SetupError

# Any number that nobody else takes in this database.
_LOCK = 0x6D69656E


def migrate(url: str) -> None:
    """Bring the database at the libpq address `url` up to date, in one transaction; blocks.

    Processes that do this at the same time wait for each other. Raises `SetupError` if a newer Mien was here.
    """
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    config = _config()
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if not is_current(connection):
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


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
    return current == scripts.get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config

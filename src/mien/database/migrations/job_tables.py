"""The tables of Procrastinate, which belong to that library and follow its version.

A comment on its main table names the last of the migration files that they have seen.
"""

from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import Connection, text


def are_current(connection: Connection) -> bool:
    """Whether the tables are those of the installed version, or of a later one."""
    seen = _seen(connection)
    return seen is not None and seen >= _files()[-1].name


def update(connection: Connection) -> None:
    """Make the tables of the installed version, or bring older ones up to it."""
    from procrastinate.schema import SchemaManager

    files, seen = _files(), _seen(connection)
    # All at once for a new database: PostgreSQL before 17 can't run through their history in one transaction.
    wanting = (
        [path.read_text() for path in files if path.name > seen] if seen else [SchemaManager.get_schema()]
    )
    # Without parameters psycopg sends a text as it is: several statements, percent signs and all.
    with closing(connection.connection.cursor()) as cursor:
        for statements in wanting:
            cursor.execute(statements)
        cursor.execute(f"COMMENT ON TABLE procrastinate_jobs IS '{files[-1].name}'")


def _files() -> list[Path]:
    """The library's migrations, found without importing it."""
    spec = find_spec("procrastinate")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'procrastinate'", name="procrastinate")
    return sorted((Path(spec.origin).parent / "sql/migrations").glob("*.sql"))


def _seen(connection: Connection) -> str | None:
    comment = text("SELECT obj_description(to_regclass('procrastinate_jobs'), 'pg_class')")
    seen: str | None = connection.scalar(comment)
    return seen

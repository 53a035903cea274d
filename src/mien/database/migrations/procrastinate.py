"""The tables of Procrastinate, brought up to date with the migration files that it ships."""

from pathlib import Path

from procrastinate.schema import SchemaManager
from sqlalchemy import Connection


def apply_job_tables(connection: Connection, *, after: str, until: str) -> None:
    """Apply Procrastinate's files named later than `after`, up to and with `until`, in their order."""
    cursor = connection.connection.cursor()
    for path in sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql")):
        if after < path.name <= until:
            # Without parameters psycopg sends the file as it is: several statements, percent signs and all.
            cursor.execute(path.read_text(encoding="utf-8"))
    cursor.close()

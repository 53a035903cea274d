"""Run by Alembic inside `mien.database.migrations.migrate`, which owns the connection and its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], target_metadata=None)
context.run_migrations()

import importlib
import threading
import time
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from procrastinate.schema import SchemaManager
from sqlalchemy import create_engine, make_url, text

import mien
from mien.database import migrations
from mien.database.connection import Base
from mien.database.migrations import is_current, migrate, wait_until_current
from mien.errors import SetupError
from mien.marks.tags import tag_of


def _current(url: str) -> bool:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    try:
        with engine.connect() as connection:
            return is_current(connection)
    finally:
        engine.dispose()


def test_migrated_schema_is_what_the_tables_declare(database_url: str) -> None:
    root = Path(mien.__file__).parent
    for path in root.rglob("models.py"):
        if "engine" not in path.parts:
            importlib.import_module(".".join(("mien", *path.relative_to(root).with_suffix("").parts)))
    engine = create_engine(make_url(database_url).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_server_default": True,
                "include_name": lambda name, kind, _: (
                    kind != "table" or not name.startswith("procrastinate_")
                ),
            },
        )
        differences = compare_metadata(context, Base.metadata)
    engine.dispose()
    assert differences == []


def test_job_tables_are_those_of_the_installed_procrastinate(
    database_url: str, empty_database_url: str
) -> None:
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(SchemaManager.get_schema())
    assert _job_objects(database_url) == _job_objects(empty_database_url)


def _job_objects(url: str) -> set[tuple[str, str]]:
    with psycopg.connect(url) as connection:
        return set(
            connection.execute(
                """
                SELECT table_name || '.' || column_name, concat_ws(' ', data_type, column_default)
                FROM information_schema.columns WHERE table_name LIKE 'procrastinate%'
                UNION ALL
                SELECT indexname, indexdef FROM pg_indexes WHERE tablename LIKE 'procrastinate%'
                UNION ALL
                SELECT proname, pg_get_functiondef(oid) FROM pg_proc WHERE proname LIKE 'procrastinate%'
                UNION ALL
                SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger
                WHERE NOT tgisinternal AND tgrelid::regclass::text LIKE 'procrastinate%'
                UNION ALL
                SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
                WHERE conrelid::regclass::text LIKE 'procrastinate%'
                UNION ALL
                SELECT typname, enumlabel FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid
                """
            )
        )


def test_older_job_tables_are_brought_up_to_the_installed_procrastinate(
    database_url: str, empty_database_url: str
) -> None:
    files = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    before = files[:-3]
    with psycopg.connect(empty_database_url) as connection:
        for path in before:
            connection.execute(path.read_bytes())
        connection.execute(f"COMMENT ON TABLE procrastinate_jobs IS '{before[-1].name}'".encode())
    assert _job_objects(empty_database_url) != _job_objects(database_url)
    migrate(empty_database_url)
    assert _current(empty_database_url)
    assert _job_objects(empty_database_url) == _job_objects(database_url)


def test_tasks_of_before_get_the_tag_of_their_watermark(empty_database_url: str) -> None:
    engine = create_engine(make_url(empty_database_url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        config = migrations._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0006")
        connection.execute(text("INSERT INTO accounts (id, name) VALUES (gen_random_uuid(), 'Test')"))
        connection.execute(
            text(
                """
                INSERT INTO tasks (id, account_id, request_id, state, stage, parameters, inputs, deadline_at)
                SELECT 'a_faceswap', id, 'request-1', 'queued', 'queued', '{"quality": 80}', '{}', now()
                FROM accounts
                """
            )
        )
        command.upgrade(config, "0007")
        tag, parameters = connection.execute(text("SELECT tag, parameters FROM tasks")).one()
    engine.dispose()
    assert tag == tag_of("a_faceswap")
    assert parameters == {"quality": 80, "label": None, "exif": "drop"}


def test_migrating_again_changes_nothing(database_url: str) -> None:
    migrate(database_url)
    assert _current(database_url)


def test_empty_database_is_not_current(empty_database_url: str) -> None:
    assert not _current(empty_database_url)


def test_processes_that_migrate_at_once_wait_for_each_other(empty_database_url: str) -> None:
    failures: list[BaseException] = []

    def run() -> None:
        try:
            migrate(empty_database_url)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert _current(empty_database_url)


def test_failed_migration_leaves_nothing_behind(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("CREATE TABLE api_keys (id int)")  # in the way of the first revision
    with pytest.raises(Exception, match="api_keys"):
        migrate(empty_database_url)
    with psycopg.connect(empty_database_url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert tables == [("api_keys",)]


def test_database_of_a_newer_version_is_refused(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SetupError, match="newer version of Mien"):
        migrate(database_url)
    with pytest.raises(SetupError, match="newer version of Mien"):
        _current(database_url)


def test_database_that_cannot_be_reached_is_waited_for_and_then_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(migrations, "_PATIENCE", 0.2)
    monkeypatch.setattr(migrations, "_POLL", 0.05)
    start = time.monotonic()
    with pytest.raises(SetupError, match="can't be reached, check MIEN_DATABASE_URL: ") as refusal:
        migrate("postgresql://mien:hunter2@127.0.0.1:1/mien")
    assert time.monotonic() - start >= 0.2
    assert "hunter2" not in refusal.value.message


def test_worker_waits_until_another_process_has_migrated(empty_database_url: str) -> None:
    migrating = threading.Timer(0.5, migrate, [empty_database_url])
    migrating.start()
    wait_until_current(empty_database_url)
    assert _current(empty_database_url)
    migrating.join()


def test_worker_does_not_wait_for_ever(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "_PATIENCE", 0.1)
    monkeypatch.setattr(migrations, "_POLL", 0.05)
    with pytest.raises(SetupError, match="start `mien serve` of this version"):
        wait_until_current(empty_database_url)

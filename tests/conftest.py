"""A real PostgreSQL for tests: one server for the session, a fresh database for each test that wants one.

The fixtures import what they use: tests of the engine and of pictures then need nothing of the service, which
takes seconds to import.
"""

import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    import httpx
    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from mien.detection.detectors import Detectors
    from mien.resources import Resources
    from mien.settings import Settings

# Nobody needs a test's data after a power cut.
UNSAFE_BUT_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_numbers = itertools.count()

# A busy machine is no failure.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Commands that run in a test set up the process's logging; the next test finds none of it."""
    import structlog

    yield
    structlog.reset_defaults()


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """An empty folder for a service's data. pytest's own lie where PostgreSQL's user can't enter them."""
    with _temporary_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def database_server() -> Iterator[str]:
    """The libpq address of a server with a migrated database called `template`."""
    import psycopg

    from mien.database.embedded import EmbeddedServer
    from mien.database.migrations import migrate

    with _temporary_folder() as folder, EmbeddedServer(folder, UNSAFE_BUT_FAST) as server:
        with psycopg.connect(server.url, autocommit=True) as administrator:
            administrator.execute("CREATE DATABASE template")
        migrate(_with_database(server.url, "template"))
        yield server.url


@pytest.fixture
def database_url(database_server: str) -> Iterator[str]:
    """The libpq address of a migrated database of this test's own."""
    with _fresh_database(database_server, "template") as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(database_server: str) -> Iterator[str]:
    """The libpq address of a migrated database that the tests of one module share."""
    with _fresh_database(database_server, "template") as url:
        yield url


@pytest.fixture
def empty_database_url(database_server: str) -> Iterator[str]:
    """The libpq address of a database without any table."""
    with _fresh_database(database_server, "template1") as url:
        yield url


@pytest.fixture
async def sessions(database_url: str) -> "AsyncIterator[async_sessionmaker[AsyncSession]]":
    """Sessions on this test's own database."""
    from mien.database.connection import create_engine, create_sessions

    engine = create_engine(database_url)
    yield create_sessions(engine)
    await engine.dispose()


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="mien-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _fresh_database(server_url: str, template: str) -> Iterator[str]:
    import psycopg
    from psycopg.sql import SQL, Identifier

    name = f"test_{next(_numbers)}"
    with psycopg.connect(server_url, autocommit=True) as administrator:
        administrator.execute(
            SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template))
        )
        yield _with_database(server_url, name)
        administrator.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def _with_database(url: str, name: str) -> str:
    from sqlalchemy import make_url

    return make_url(url).set(database=name).render_as_string(hide_password=False)


# The service in one process --------------------------------------------------------------------------------


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> "Settings":
    """Settings of a service of this test's own."""
    from mien.settings import load_settings

    return load_settings(
        database_url=database_url,
        data_dir=tmp_path,
        public_url="http://mien.test",
        workers=1,
        worker_heartbeat="0.2s",
        worker_timeout="1s",
    )


@pytest.fixture
async def resources(settings: "Settings") -> "AsyncIterator[Resources]":
    """The database and the store of that service."""
    from mien.resources import open_resources

    resources = open_resources(settings)
    yield resources
    await resources.close()


@pytest.fixture
async def api(settings: "Settings", resources: "Resources") -> "AsyncIterator[httpx.AsyncClient]":
    """A client of that service's application, with the key of an account of its own."""
    import httpx

    from mien.accounts.service import create_account, issue_key
    from mien.billing import ledger
    from mien.server import create_app

    async with resources.sessions.begin() as session:
        account = await create_account(session, "Test")
        key = await issue_key(session, account.id, "Test")
        await ledger.grant(session, account.id, 1000, reason="Test", by=None)
    app = create_app(settings)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url=settings.public_url,
        headers={"Authorization": f"Bearer {key}"},
    ) as client:
        yield client
    await app.state.resources.close()


@pytest.fixture(scope="session")
async def detectors(tmp_path_factory: pytest.TempPathFactory) -> "AsyncIterator[Detectors]":
    """One detector process for all tests that need none of their own."""
    from mien.detection.detectors import Detectors
    from mien.settings import load_settings

    settings = load_settings(data_dir=tmp_path_factory.mktemp("data"), workers=1, threads=1)
    detectors = Detectors(settings)
    yield detectors
    await detectors.close()

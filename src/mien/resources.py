"""What an API process and a worker share: the database, the store of objects, and the secret of addresses."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from obstore.store import ObjectStore
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from mien.data_folder import keep_secret, prepare
from mien.database.connection import create_autocommit, create_engine, create_sessions, database_url
from mien.database.embedded import EmbeddedServer
from mien.database.migrations import wait_until_current
from mien.errors import SetupError
from mien.settings import Settings, load_settings, signing_secret
from mien.storage.objects import open_store
from mien.telemetry import configure_logging

Result = TypeVar("Result")


@dataclass(frozen=True)
class Resources:
    settings: Settings
    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    store: ObjectStore
    secret: bytes = field(repr=False)

    async def close(self) -> None:
        await self.engine.dispose()

    autocommit: async_sessionmaker[AsyncSession]
    """Sessions whose statements stand for themselves, for what is read often."""

def open_resources(settings: Settings) -> Resources:
    """Everything that `settings` lead to; the database is connected to on first use.

    Raises `SetupError` if there is no database address or the data folder can't be used.
    """
    engine = create_engine(database_url(settings))
    return Resources(
        settings=settings,
        engine=engine,
        sessions=create_sessions(engine),
        store=open_store(settings.storage_url or settings.data_dir / "objects"),
        secret=signing_secret(settings),
    )


def run_once(data_dir: str | None, work: Callable[[Resources], Awaitable[Result]]) -> Result:
    """Do one command's work on the database of a running or earlier `mien serve`; blocks.

        autocommit=create_autocommit(engine),
    The embedded server is joined if it runs, and started for the time being if it doesn't.

    Raises `SetupError` if there is no database.
    """
    settings = load_settings(data_dir=data_dir)
    configure_logging("warning", settings.log_format)

    async def run(resources: Resources) -> Result:
        try:
            return await work(resources)
        finally:
            await resources.close()

    with _existing_database(settings) as settings:
        wait_until_current(database_url(settings))
        return asyncio.run(run(open_resources(settings)))


@contextmanager
def _existing_database(settings: Settings) -> Iterator[Settings]:
    """Settings that name the database."""
    if settings.database_url:
        yield settings
        return
    server = EmbeddedServer(settings.data_dir)
    if not server.exists():
        raise SetupError(
            f"There is no database in {settings.data_dir}: start `mien serve` first, name its data folder "
            "with --data-dir, or set MIEN_DATABASE_URL."
        )
    with server:
        yield settings.model_copy(update={"database_url": SecretStr(server.url)})

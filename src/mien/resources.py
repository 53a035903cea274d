"""What an API process and a worker share: the database, the store of objects, and the secret of addresses."""

from dataclasses import dataclass, field

from obstore.store import ObjectStore
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from mien.database.connection import create_engine, create_sessions, database_url
from mien.settings import Settings, signing_secret
from mien.storage.objects import open_store


@dataclass(frozen=True)
class Resources:
    settings: Settings
    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    store: ObjectStore
    secret: bytes = field(repr=False)

    async def close(self) -> None:
        await self.engine.dispose()


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

"""The declarative base of all tables, and connections to the database.

engine = create_engine(database_url(settings))
sessions = create_sessions(engine)
async with sessions.begin() as session:      # commits at the end, rolls back on an error
    ...
"""

import select
from datetime import datetime
from typing import Any, ClassVar

from psycopg import AsyncConnection
from sqlalchemy import DateTime, MetaData, Table, event, make_url
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from mien.errors import SetupError
from mien.settings import Settings


class Base(DeclarativeBase):
    """Base of every table. Times carry their zone; constraints have names that migrations can use."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {datetime: DateTime(timezone=True), dict[str, Any]: JSONB}


def database_url(settings: Settings) -> str:
    """The libpq address (`postgresql://…`) of the database that this process was given.

    Raises `SetupError` if it was given none: who starts a process starts or joins the embedded server first.
    """
    if settings.database_url is None:
        raise SetupError(
            "No database: set MIEN_DATABASE_URL, or run it through `mien serve` or `mien worker`."
        )
    return settings.database_url.get_secret_value()


def create_engine(url: str, *, pool_size: int = 5) -> AsyncEngine:
    """An engine on psycopg for a libpq address. Up to twice `pool_size` connections, made when needed."""
    engine = create_async_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=pool_size,
        hide_parameters=True,  # errors are logged, and hold no data of callers
        connect_args={
            "connect_timeout": 10,
            # A process that freezes inside a transaction must not keep its locks.
            "options": "-c timezone=utc -c idle_in_transaction_session_timeout=10s",
        },
    )
    event.listen(engine.sync_engine, "checkout", _check_alive)
    return engine


def create_sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Sessions whose objects stay readable after the commit."""
    return async_sessionmaker(engine, expire_on_commit=False)


def table_of(model: type[Base]) -> Table:
    """A model's table, for statements that run so often that the ORM's part in them would cost too much."""
    table = model.__table__
    assert isinstance(table, Table)  # noqa: S101 - none is mapped to anything else
    return table


def create_autocommit(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Sessions whose statements are a transaction each, which needn't be begun and ended."""
    return create_sessions(engine.execution_options(isolation_level="AUTOCOMMIT"))


def _check_alive(connection: Any, record: object, proxy: object) -> None:
    """The database may have restarted since a connection was used. It tells those that it closes, and nothing
    is said on the others while nobody uses them: so it needn't be asked."""
    driver: AsyncConnection = connection.driver_connection
    if driver.closed or _has_been_told(driver.fileno()):
        raise InvalidatePoolError


def _has_been_told(socket: int) -> bool:
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))

"""What an API process and a worker share: the database, the store of objects, and the secret of addresses."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from cryptography.x509 import load_pem_x509_certificates
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from mien.data_folder import keep_secret, prepare
from mien.database.connection import create_autocommit, create_engine, create_sessions, database_url
from mien.database.embedded import EmbeddedServer
from mien.database.migrations import wait_until_current
from mien.errors import SetupError
from mien.marks.certificates import (
    SigningIdentity,
    Trust,
    make_development_identity,
    read_development_identity,
    read_identity,
)
from mien.sealing import Sealing
from mien.settings import Settings, load_settings, sealing_of, signing_secret, watermark_key
from mien.storage.objects import Store, open_store
from mien.telemetry import configure_logging

Result = TypeVar("Result")


@dataclass(frozen=True)
class Resources:
    settings: Settings
    engine: AsyncEngine
    sessions: async_sessionmaker[AsyncSession]
    autocommit: async_sessionmaker[AsyncSession]
    """Sessions whose statements stand for themselves, for what is read often."""
    store: Store
    sealing: Sealing = field(repr=False)
    """Of what is kept in the database and shouldn't lie there in clear."""
    secret: bytes = field(repr=False)
    identity: SigningIdentity | None
    """Who signs manifests; None if nobody does."""
    trust: Trust
    """Whose manifests are believed."""
    watermark_key: bytes = field(repr=False)

    async def close(self) -> None:
        await self.engine.dispose()


def open_resources(settings: Settings) -> Resources:
    """Everything that `settings` lead to; the database is connected to on first use.

    Raises `SetupError` if there is no database address or the data folder can't be used.
    """
    engine = create_engine(database_url(settings))
    secret = signing_secret(settings)
    identity = _identity(settings) if settings.provenance else None
    store = open_storage(settings)
    return Resources(
        settings=settings,
        engine=engine,
        sessions=create_sessions(engine),
        autocommit=create_autocommit(engine),
        store=store,
        sealing=store.sealing,
        secret=secret,
        identity=identity,
        trust=Trust.of(identity, _trust_anchors(settings)),
        watermark_key=watermark_key(settings, secret),
    )


def open_storage(settings: Settings) -> Store:
    """Where pictures are kept."""
    return open_store(settings.storage_url or settings.data_dir / "objects", sealing_of(settings))


def _identity(settings: Settings) -> SigningIdentity:
    authority = settings.time_stamp_authority
    if not settings.signing_certificates or not settings.signing_key:
        prepare(settings.data_dir)
        own = keep_secret(settings.data_dir / "provenance", make_development_identity)
        return read_development_identity(own, time_stamp_authority=authority)
    try:
        certificates, private_key = (
            settings.signing_certificates.read_text(),
            settings.signing_key.read_text(),
        )
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"MIEN_SIGNING_CERTIFICATES or MIEN_SIGNING_KEY can't be read: {error}") from error
    return read_identity(certificates, private_key, time_stamp_authority=authority)


def _trust_anchors(settings: Settings) -> str:
    if settings.trust_anchors is None:
        return ""
    try:
        anchors = settings.trust_anchors.read_text()
        load_pem_x509_certificates(anchors.encode())
    except (OSError, ValueError) as error:
        raise SetupError(f"MIEN_TRUST_ANCHORS can't be read: {error}") from error
    return anchors


def run_once(data_dir: str | None, work: Callable[[Resources], Awaitable[Result]]) -> Result:
    """Do one command's work on the database of a running or earlier `mien serve`; blocks.

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

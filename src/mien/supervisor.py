"""`mien serve` and `mien worker`: the service as processes, started, watched and stopped together.

    mien serve                   this supervisor: locks, port, database, first key
    ├── postgres                 under its guard, unless MIEN_DATABASE_URL is set
    ├── python -m mien.child api          MIEN_API_PROCESSES of them, on one listening socket
    │   └── detector processes
    └── python -m mien.child worker
        └── engine processes

A child that dies is started again. When the supervisor dies, its children end with it, and so does
PostgreSQL: nothing is left behind that would be in the way of the next start.
"""

import asyncio
import errno
import fcntl
import http
import http.client
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click
import structlog
from pydantic import SecretStr

from mien import data_folder
from mien.accounts.service import admit_first_key, generate_key, is_key
from mien.database.connection import create_engine, create_sessions, database_url
from mien.database.embedded import EmbeddedServer
from mien.database.migrations import migrate, wait_until_current
from mien.errors import SetupError
from mien.resources import open_storage
from mien.settings import Settings
from mien.storage.objects import check_keys
from mien.telemetry import configure_logging
from mien.welcome import welcome

logger = structlog.get_logger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_BACKLOG = 2048  # connections that wait while the API starts
_BACK_OFF = (0.5, 30.0)  # seconds, from the first death to the last; a life longer than that starts afresh
_STOP_MARGIN = 5.0  # seconds for a child to end after its own grace
_DATABASE_CHECK = 1.0  # seconds
_READY_CHECK = 0.1  # seconds


def serve(settings: Settings) -> None:
    """Run the whole service until SIGINT, SIGTERM or SIGHUP; a second one stops it at once.

    Raises `SetupError` with one line on what to do when it can't start.
    """
    _prepare(settings)
    with (
        _only_one(settings.data_dir),
        _listen(settings) as listening,
        _database(settings) as (settings, server),
    ):
        migrate(database_url(settings))
        first_key = asyncio.run(_admit_first_key(settings))
        asyncio.run(_supervise(settings, listening, server, first_key))


def work(settings: Settings) -> None:
    """Run a worker alone, on a database that `mien serve` has set up, until SIGINT or SIGTERM.

    Raises `SetupError` if there is no such database.
    """
    _prepare(settings)
    if not settings.database_url and not EmbeddedServer(settings.data_dir).exists():
        raise SetupError(
            f"There is no database in {settings.data_dir}: start `mien serve` first, name its data folder "
            "with --data-dir, or set MIEN_DATABASE_URL."
        )
    with _database(settings) as (settings, server):
        wait_until_current(database_url(settings))
        asyncio.run(_work(settings, server))


def _prepare(settings: Settings) -> None:
    configure_logging(settings.log_level, settings.log_format)
    data_folder.prepare(settings.data_dir)
    os.umask(0o077)  # what the service writes is its own
    check_keys(open_storage(settings))


@contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    with (data_dir / "serve.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise SetupError(
                f"Another `mien serve` (process {lock.read().strip()}) uses {data_dir}: stop it, or choose "
                "another folder with --data-dir."
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _listen(settings: Settings) -> socket.socket:
    # The supervisor keeps the socket open, so that connections wait while the API starts again.
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise SetupError(
                f"Port {settings.port} of {settings.host} is in use: stop what listens there, or choose "
                "another with --port."
            ) from None
        raise SetupError(
            f"Can't listen on port {settings.port} of {settings.host}: {error.strerror}."
        ) from None


@contextmanager
def _database(settings: Settings) -> Iterator[tuple[Settings, EmbeddedServer | None]]:
    """Settings that name a database, and the embedded server if that is it."""
    if settings.database_url:
        yield settings, None
        return
    with EmbeddedServer(settings.data_dir) as server:
        yield settings.model_copy(update={"database_url": SecretStr(server.url)}), server


@dataclass(frozen=True)
class _FirstKey:
    path: Path
    key: str
    is_new: bool


async def _admit_first_key(settings: Settings) -> _FirstKey:
    path = settings.data_dir / "api-key"
    is_new = not path.exists()
    key = data_folder.keep_secret(path, generate_key)
    if not is_key(key):
        raise SetupError(f"{path} doesn't hold an API key: remove it, and the next start makes one.")
    engine = create_engine(database_url(settings))
    async with create_sessions(engine).begin() as session:
        await admit_first_key(session, key, credits=settings.first_account_credits)
    await engine.dispose()
    return _FirstKey(path, key, is_new)


async def _supervise(
    settings: Settings, listening: socket.socket, server: EmbeddedServer | None, first_key: _FirstKey
) -> None:
    lifeline, end_of_lifeline = os.pipe()
    grace = settings.stop_grace.total_seconds() + _STOP_MARGIN

    async def start(role: str, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "mien.child", role, str(lifeline), *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            env=os.environ | _environment(settings),
            pass_fds=(lifeline, listening.fileno()) if role == "api" else (lifeline,),
            start_new_session=True,  # Ctrl-C is for the supervisor, who stops them
        )

    async def start_api(_: int | None) -> asyncio.subprocess.Process:
        return await start("api", str(listening.fileno()))

    async def start_worker(died: int | None) -> asyncio.subprocess.Process:
        return await start("worker", *([str(died)] if died else []))

    keepers = [
        *(asyncio.create_task(_keep("api", start_api, grace)) for _ in range(settings.api_processes)),
        asyncio.create_task(_keep("worker", start_worker, grace)),
        asyncio.create_task(_announce(settings, listening.getsockname(), first_key)),
    ]
    if server:
        keepers.append(asyncio.create_task(_keep_alive(server)))

    def stop() -> None:
        if not any(keeper.cancelling() for keeper in keepers):
            logger.info("stopping; a second signal stops at once", grace_seconds=grace)
        listening.close()
        for keeper in keepers:
            keeper.cancel()

    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # ignored under nohup
            loop.add_signal_handler(number, stop)
    try:
        await asyncio.wait(keepers, return_when=asyncio.FIRST_EXCEPTION)
        if any(not keeper.done() for keeper in keepers):
            stop()
        for outcome in await asyncio.gather(*keepers, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
    finally:
        os.close(end_of_lifeline)
        os.close(lifeline)


async def _keep(
    name: str, start: Callable[[int | None], Awaitable[asyncio.subprocess.Process]], grace: float
) -> None:
    """Keep a child running until cancelled, and then stop it: within `grace` seconds, or at the next cancel.

    `start` is told the number of the child that died before. Raises `SetupError` if a child says that it
    can't run as things are.
    """
    shortest, longest = _BACK_OFF
    pause, died = shortest, None
    while True:
        started = time.monotonic()
        process = await start(died)
        logger.info("process started", name=name, child=process.pid)
        try:
            status = await process.wait()
        except asyncio.CancelledError:
            await _stop(process, grace)
            raise
        if status == os.EX_CONFIG:
            raise SetupError(f"The {name} process can't run; its reason is above.")
        logger.error("process died", name=name, child=process.pid, status=status)
        died = process.pid
        if time.monotonic() - started > longest:
            pause = shortest
        await asyncio.sleep(pause)
        pause = min(2 * pause, longest)


async def _stop(process: asyncio.subprocess.Process, grace: float) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), grace)
    except (TimeoutError, asyncio.CancelledError):
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _keep_alive(server: EmbeddedServer) -> None:
    """Start the embedded server again when it died, until cancelled."""
    while True:
        await asyncio.sleep(_DATABASE_CHECK)
        if server.is_alive():
            continue
        logger.error("PostgreSQL died")
        try:
            await asyncio.to_thread(server.start)
            logger.info("PostgreSQL started")
        except SetupError as error:  # a full disk, say, which the operator can empty meanwhile
            logger.error(error.message)
            await asyncio.sleep(_BACK_OFF[1])


async def _work(settings: Settings, server: EmbeddedServer | None) -> None:
    from mien.tasks.worker import run  # with the engine: `serve`, which has none of it to do, stays small

    keeper = asyncio.create_task(_keep_alive(server)) if server else None
    try:
        await run(settings)
    finally:
        if keeper:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)


def _environment(settings: Settings) -> dict[str, str]:
    """What the children can't know from our own environment: the command line, and what follows from it."""
    return {
        "MIEN_DATA_DIR": str(settings.data_dir),
        "MIEN_DATABASE_URL": database_url(settings),
        "MIEN_PUBLIC_URL": settings.public_url,
        "MIEN_THREADS": str(settings.threads),
        "MIEN_WORKERS": str(settings.workers),
    }


async def _announce(settings: Settings, address: tuple[str, int], first_key: _FirstKey) -> None:
    """Once the API is ready, say so on stdout, with a first swap to paste."""
    while not await asyncio.to_thread(_is_ready, *address[:2]):  # noqa: ASYNC110  # another process is polled
        await asyncio.sleep(_READY_CHECK)
    click.echo(welcome(settings.public_url, first_key.path, first_key.key if first_key.is_new else None))


def _is_ready(host: str, port: int) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()

"""The worker: takes queued tasks, sends webhooks and letters, and sees to it that it's known to be alive.

One asyncio parent, which this module is, and `settings.workers` engine processes (`mien.tasks.engines`).
Several workers, on several machines, share the work through the database and know nothing of each other.
"""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import structlog
from sqlalchemy.exc import OperationalError

from mien.accounts import postman
from mien.database.connection import database_url
from mien.database.jobs import Served, serve
from mien.resources import Resources, open_resources
from mien.settings import Settings
from mien.tasks import jobs, queries
from mien.tasks.attempts import attempt, give_back
from mien.tasks.engines import Engines
from mien.webhooks.sender import Sender

logger = structlog.get_logger(__name__)

# Tasks being fetched or waiting for an engine, for each engine: a slow address then holds up nobody, and an
# engine needn't wait for the network. More would keep tasks from other machines.
AHEAD = 2

_STOP_MARGIN = 2.0  # seconds in which a worker ends after its grace

_PAUSE = 1.0  # seconds before the database is tried again; waiting for it to answer takes longer


async def run(settings: Settings) -> None:
    """Work until SIGINT or SIGTERM; then let swaps under way finish, up to `settings.stop_grace`.

    Raises `SetupError` if there is no database address or the data folder can't be used.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    resources = open_resources(settings)
    working = asyncio.create_task(_work(resources))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
        working.cancel()
        grace = settings.stop_grace.total_seconds() + _STOP_MARGIN
        _, still_working = await asyncio.wait((working,), timeout=grace)
        if still_working:
            working.cancel()  # the first was lost on the way: before Python 3.12 `asyncio.wait_for` may do so
        with suppress(asyncio.CancelledError):
            await working
    finally:
        stopping.cancel()
        await resources.close()


async def _work(resources: Resources) -> None:
    """Serve one session after the other until cancelled: a session ends when the database is gone."""
    if resources.identity and resources.identity.development:
        logger.warning(
            "results are signed with a development certificate that nobody trusts: set "
            "MIEN_SIGNING_CERTIFICATES and MIEN_SIGNING_KEY"
        )
    async with Engines.running(resources.settings) as engines:
        while True:
            try:
                await _serve(WorkerSession(resources, engines))
            except Exception:
                logger.warning("worker starts over", exc_info=True)
            await asyncio.sleep(_PAUSE)


@dataclass(frozen=True)
class WorkerSession:
    """A worker from one connecting to the database to the next, under an id of its own."""

    resources: Resources
    engines: Engines
    id: UUID = field(default_factory=uuid4)
    held: list[str] = field(default_factory=list)
    """Ids of the tasks that are being tried."""

    async def run_task(self, task_id: str) -> None:
        self.held.append(task_id)
        try:
            await attempt(self.resources, self.engines, self.id, task_id)
        finally:
            self.held.remove(task_id)

    async def beat(self) -> None:
        """Say that this worker is alive, and give back what it has dropped when the database failed it."""
        async with self.resources.autocommit() as session:
            await queries.beat(session, self.id, socket.gethostname(), os.getpid())
            dropped = await queries.running_on(session, self.id, but_not=self.held)
        for task in dropped:
            await give_back(self.resources, task)


async def _serve(worker: WorkerSession) -> None:
    settings = worker.resources.settings
    async with _alive(worker):
        logger.info("worker started", worker_id=str(worker.id))
        await serve(
            database_url(settings),
            [
                Served(jobs.QUEUE, worker.run_task, concurrency=settings.workers * (1 + AHEAD)),
                Sender(worker.resources).served(),
                *postman.served(worker.resources),
            ],
            heartbeat=settings.worker_heartbeat,
            dead_after=settings.worker_timeout,
            grace=settings.stop_grace,
        )


@asynccontextmanager
async def _alive(worker: WorkerSession) -> AsyncIterator[None]:
    """Have a heartbeat meanwhile."""

    async def keep_beating() -> None:
        while True:
            await asyncio.sleep(worker.resources.settings.worker_heartbeat.total_seconds())
            try:
                await worker.beat()
            except OperationalError as error:
                logger.warning("heartbeat failed", reason=str(error.orig))
            except Exception:
                logger.exception("heartbeat failed")

    await worker.beat()
    beating = asyncio.create_task(keep_beating())
    try:
        yield
    finally:
        beating.cancel()
        with suppress(Exception):  # without the database, silence says the same a little later
            async with worker.resources.sessions.begin() as session:
                await queries.forget_worker(session, worker.id)

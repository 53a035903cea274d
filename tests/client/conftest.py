"""A real service on a real port, whose worker is the test. The functions are fixtures, since test files share
no modules."""

import asyncio
import hashlib
import io
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest
import uvicorn
from PIL import Image
from sqlalchemy import select

from mien.accounts.service import create_account, issue_key
from mien.billing import ledger
from mien.errors import TaskError
from mien.resources import Resources, open_resources
from mien.server import create_app
from mien.settings import Settings, load_settings
from mien.storage import objects
from mien.tasks import endings, queries
from mien.tasks.endings import Result
from mien.tasks.models import Task


@pytest.fixture(scope="module")
def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


@pytest.fixture(scope="module")
def settings(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory, listening: socket.socket
) -> Settings:
    """One service for all tests of a module: every test has an account of its own."""
    return load_settings(
        database_url=module_database_url,
        data_dir=tmp_path_factory.mktemp("data"),
        port=listening.getsockname()[1],
        workers=1,
    )


@pytest.fixture(scope="module")
async def resources(settings: Settings) -> AsyncIterator[Resources]:
    resources = open_resources(settings)
    yield resources
    await resources.close()


@pytest.fixture(scope="module")
async def service(settings: Settings, listening: socket.socket) -> AsyncIterator[str]:
    """The address of a running service."""
    config = uvicorn.Config(create_app(settings), log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([listening]))
    while not server.started:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    yield settings.public_url
    server.should_exit = True
    await serving


@pytest.fixture
async def key(resources: Resources) -> str:
    """A key of an account with 30 credits."""
    async with resources.sessions.begin() as session:
        account = await create_account(session, "Test")
        await ledger.grant(session, account.id, 30, reason="Test", by=None)
        return await issue_key(session, account.id, "Test")


@pytest.fixture(scope="session")
def picture() -> bytes:
    """A small picture's file."""
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(file, "PNG")
    return file.getvalue()


async def _start(resources: Resources) -> Task:
    async with resources.sessions.begin() as session:
        newest = select(Task.id).where(Task.state == "queued").order_by(Task.created_at.desc()).limit(1)
        task_id = (await session.scalars(newest)).one()
        task = await queries.start(session, task_id, uuid4())
    assert task
    return task


@pytest.fixture
def complete(resources: Resources, picture: bytes) -> Callable[..., Awaitable[Task]]:
    """Does the newest task that is queued, stage by stage; the result is `picture`."""

    async def complete(*stages: str) -> Task:
        task = await _start(resources)
        for stage in stages:
            async with resources.sessions.begin() as session:
                assert await queries.set_stage(session, task, stage)
            await asyncio.sleep(0.05)
        key = f"results/{task.id}/{task.attempt}/face-swap.png"
        await objects.put(resources.store, key, picture)
        described = {
            "format": "png",
            "width": 64,
            "height": 48,
            "bytes": len(picture),
            "sha256": hashlib.sha256(picture).hexdigest(),
        }
        async with resources.sessions.begin() as session:
            assert await endings.complete(resources, session, task, Result(key, described, [], {}))
        return task

    return complete


@pytest.fixture
def fail(resources: Resources) -> Callable[[TaskError], Awaitable[None]]:
    """Fails the newest task that is queued."""

    async def fail(error: TaskError) -> None:
        task = await _start(resources)
        async with resources.sessions.begin() as session:
            assert await endings.fail(resources, session, task, error)

    return fail

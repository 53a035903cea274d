"""Two people who have everything that one can have here. The functions are fixtures, since test files share
no modules."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import numpy as np
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from sqlalchemy import text, update

from mien.accounts import passwords
from mien.accounts.models import Account, Invite, PasswordReset
from mien.billing import ledger
from mien.errors import Timeout
from mien.images.codec import encode
from mien.resources import Resources
from mien.server import create_app
from mien.settings import Settings
from mien.storage import objects
from mien.tasks import endings, queries
from mien.tasks.endings import Result
from mien.tasks.models import Task

PASSWORD = "correct horse battery staple"
PICTURE = encode(np.zeros((64, 64, 3), np.uint8), "png")
Dump = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Person:
    account_id: UUID
    email: str
    browser: httpx.AsyncClient
    program: httpx.AsyncClient
    """By a key."""
    key: str
    completed: str
    running: Task
    queued: str
    result: bytes


@pytest.fixture(autouse=True)
def _weak_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"signup": "open", "new_account_credits": 100})


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    app = create_app(settings)
    yield app
    await app.state.payments.close()
    await app.state.detectors.close()
    await app.state.origin_checkers.close()
    await app.state.resources.close()


@pytest.fixture
async def make_person(
    app: FastAPI, settings: Settings, resources: Resources
) -> AsyncIterator[Callable[[str], Awaitable[Person]]]:
    """Signs somebody up, and does all with their account that can be done."""
    clients: list[httpx.AsyncClient] = []

    def client() -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("203.0.113.7", 50000))
        clients.append(httpx.AsyncClient(transport=transport, base_url=settings.public_url))
        return clients[-1]

    async def make(name: str) -> Person:
        email = f"{name}@example.com"
        browser, program = client(), client()
        wanted = {"email": email, "password": PASSWORD, "name": f"{name} of Example"}
        session = data_of(await browser.post("/api/v1/auth/sign-up", json=wanted))
        browser.headers["X-CSRF-Token"] = session["csrf_token"]
        key = data_of(await browser.post("/api/v1/keys", json={"name": f"Phone of {name}"}))["key"]
        program.headers["Authorization"] = f"Bearer {key}"
        upload = data_of(
            await program.post("/api/v1/uploads", content=PICTURE, headers={"Content-Type": "image/png"})
        )
        url = f"https://{name}.example.com/hook"
        data_of(await program.post("/api/v1/webhooks", json={"url": url, "description": f"Of {name}"}))
        data_of(await program.get("/api/v1/webhooks/secret"))
        data_of(await program.post("/api/v1/orders", json={"credits": 1500}))
        wrong = {"email": email, "password": "not the password"}
        assert (await client().post("/api/v1/auth/sign-in", json=wrong)).status_code == 401
        account_id = UUID(session["account_id"])
        async with resources.sessions.begin() as db:
            soon = datetime.now(UTC) + timedelta(hours=1)
            db.add(Invite(token_hash=account_id.bytes, email=email, expires_at=soon))
            db.add(PasswordReset(account_id=account_id, expires_at=soon))
            await ledger.grant(db, account_id, 10, reason="Welcome", by=None)

        async def create(number: int) -> str:
            wanted = {
                "model": "face-swap",
                "image": upload["image_url"],
                "face_image": f"https://{name}.example.com/{number}.jpg",
                "metadata": {"customer": f"{name}-{number}"},
                "callback_url": url,
            }
            headers = {"Idempotency-Key": f"{name}-{number}", "X-Request-Id": f"{name}-request-{number}"}
            made = await program.post("/api/v1/images/tools/face-swap", json=wanted, headers=headers)
            return str(data_of(made)["task_id"])

        async def start(task_id: str) -> Task:
            async with resources.sessions.begin() as db:
                started = await queries.start(db, task_id, uuid4())
            assert started
            return started

        completed, failed, running = [await start(await create(number)) for number in range(3)]
        result = f"what {name} made".encode()
        await complete(resources, completed, result)
        async with resources.sessions.begin() as db:
            error = Timeout(f"https://{name}.example.com took too long.")
            assert await endings.fail(resources, db, failed, error)
        return Person(
            account_id, email, browser, program, key, completed.id, running, await create(3), result
        )

    yield make
    for each in clients:
        await each.aclose()


async def complete(resources: Resources, task: Task, picture: bytes) -> bool:
    """Ends a task as a worker does that has the result; whether it did."""
    key = f"results/{task.id}/{task.attempt}/face-swap.png"
    await objects.put(resources.store, key, picture)
    described = {"format": "png", "width": 64, "height": 64, "bytes": len(picture), "sha256": "0" * 64}
    async with resources.sessions.begin() as session:
        won = await endings.complete(resources, session, task, Result(key, described, [], {}))
    if not won:
        await objects.delete(resources.store, [key])
    return won


@pytest.fixture
def dump(resources: Resources) -> Callable[[], Awaitable[Dump]]:
    """Every row of every table."""

    async def dump() -> Dump:
        async with resources.sessions() as session:
            tables = await session.scalars(
                text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
            )
            return {
                table: list(await session.scalars(text(f'SELECT to_jsonb(t) FROM "{table}" t')))
                for table in tables
            }

    return dump


@pytest.fixture
def stored(resources: Resources) -> Callable[[], Awaitable[set[str]]]:
    """The keys of all objects."""

    async def stored() -> set[str]:
        found = [info.key async for batch in objects.list_objects(resources.store, "") for info in batch]
        return set(found)

    return stored


@pytest.fixture
def finish_task(resources: Resources) -> Callable[[Task, bytes], Awaitable[bool]]:
    """Ends a task as a worker does that has the result."""

    async def finish(task: Task, picture: bytes) -> bool:
        return await complete(resources, task, picture)

    return finish


@pytest.fixture
def make_administrator(resources: Resources) -> Callable[[Person], Awaitable[None]]:
    async def make(person: Person) -> None:
        async with resources.sessions.begin() as session:
            changed = update(Account).where(Account.id == person.account_id)
            await session.execute(changed.values(is_administrator=True))

    return make


def data_of(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    data: dict[str, Any] = response.json()["data"]
    return data

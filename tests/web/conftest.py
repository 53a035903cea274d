"""Visitors of the site, with browsers that ask for pages."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from argon2 import PasswordHasher

from mien.accounts import passwords, people
from mien.resources import Resources
from mien.server import create_app
from mien.settings import Settings

PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def weak_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashed as weakly as can be, so that tests are fast."""
    monkeypatch.setattr(passwords, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def database_url(module_database_url: str) -> str:
    """One database for all: no test here looks at another's people."""
    return module_database_url


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"signup": "open"})


@pytest.fixture
async def visit(settings: Settings) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """Makes browsers of visitors to a service with these changes to the settings."""
    opened = []

    def visit(**changes: object) -> httpx.AsyncClient:
        app = create_app(settings.model_copy(update=changes))
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url=str(changes.get("public_url", settings.public_url)),
            headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"},
        )
        opened.append((app, client))
        return client

    yield visit
    for app, client in opened:
        await client.aclose()
        await app.state.payments.close()
        await app.state.detectors.close()
        await app.state.origin_checkers.close()
        await app.state.resources.close()


@pytest.fixture
def visitor(visit: Callable[..., httpx.AsyncClient]) -> httpx.AsyncClient:
    """Nobody that is known."""
    return visit()


@pytest.fixture
def sign_up() -> Callable[[httpx.AsyncClient, str], Awaitable[str]]:
    """Signs a visitor up, and gives the session's CSRF token."""

    async def sign_up(client: httpx.AsyncClient, email: str) -> str:
        answer = await client.post("/api/v1/auth/sign-up", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"]["csrf_token"])

    return sign_up


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in."""

    client: httpx.AsyncClient
    account_id: UUID
    email: str
    csrf_token: str

    async def read(self, path: str) -> str:
        """A page."""
        answer = await self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    async def send(self, path: str, **fields: object) -> httpx.Response:
        """A form of a page, with the session's token in it."""
        return await self.client.post(path, data={"csrf_token": self.csrf_token} | fields)

    async def do(self, path: str, **fields: object) -> str:
        """A form of a page; the page that it leads to."""
        answer = await self.send(path, **fields)
        assert answer.status_code == 303, answer.text
        return await self.read(answer.headers["location"])

    async def call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """A request to the API; the data of its answer."""
        headers = {"X-CSRF-Token": self.csrf_token}
        answer = await self.client.request(method, f"/api/v1{path}", headers=headers, **request)
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    async def swap(self) -> str:
        """A new task's id."""
        wanted = {"model": "face-swap", "image": "https://a.example/1", "face_image": "https://a.example/2"}
        return str((await self.call("POST", "/images/tools/face-swap", json=wanted))["task_id"])


@pytest.fixture
def person(visit: Callable[..., httpx.AsyncClient], resources: Resources) -> Callable[..., Awaitable[Person]]:
    """Signs somebody new in, at a service with these changes to the settings."""

    async def person(*, is_administrator: bool = False, **changes: object) -> Person:
        email = f"{uuid4().hex}@example.com"
        password_hash = await passwords.hash_password(PASSWORD)
        async with resources.sessions.begin() as session:
            account = await people.add_person(session, email, password_hash, name="Ada", credits=300)
            account.is_administrator = is_administrator
        client = visit(**changes)
        answer = await client.post("/api/v1/auth/sign-in", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return Person(client, account.id, email, answer.json()["data"]["csrf_token"])

    return person

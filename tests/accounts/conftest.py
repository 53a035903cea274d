"""People at their browsers. The functions are fixtures, since test files share no modules."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Literal

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI

from mien.accounts import passwords
from mien.accounts.service import create_account, issue_key
from mien.resources import Resources
from mien.server import create_app
from mien.settings import Settings

PASSWORD = "correct horse battery staple"

Person = Callable[..., Awaitable[httpx.AsyncClient]]


class CountingHasher(PasswordHasher):
    """As weak as can be, so that tests are fast; counts how often it checked a password."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.checks = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self.checks += 1
        return super().verify(hash, password)


@pytest.fixture(autouse=True)
def hasher(monkeypatch: pytest.MonkeyPatch) -> CountingHasher:
    hasher = CountingHasher()
    monkeypatch.setattr(passwords, "_hasher", hasher)
    return hasher


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"signup": "open"})


@pytest.fixture
async def browser(settings: Settings) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """Makes browsers at an address that nobody has signed in with, for an API process of these settings."""
    clients: list[httpx.AsyncClient] = []
    processes: dict[str, FastAPI] = {}

    def browser(address: str = "203.0.113.7", process: int = 0, **changes: Any) -> httpx.AsyncClient:
        name = f"{process} {changes}"
        if name not in processes:
            processes[name] = create_app(settings.model_copy(update=changes))
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(processes[name], client=(address, 50000)),
            base_url=changes.get("public_url", settings.public_url),
        )
        clients.append(client)
        return client

    yield browser
    for client in clients:
        await client.aclose()
    for app in processes.values():
        await app.state.payments.close()
        await app.state.detectors.close()
        await app.state.resources.close()


@pytest.fixture
def signed_up(browser: Callable[..., httpx.AsyncClient]) -> Person:
    """Signs a person up, and gives their browser, which sends the CSRF token along."""

    async def signed_up(email: str = "ada@example.com", **options: Any) -> httpx.AsyncClient:
        client = browser(**options)
        response = await client.post("/api/v1/auth/sign-up", json={"email": email, "password": PASSWORD})
        assert response.status_code == 200, response.text
        client.headers["X-CSRF-Token"] = response.json()["data"]["csrf_token"]
        return client

    return signed_up


@pytest.fixture
async def operator(resources: Resources, browser: Callable[..., httpx.AsyncClient]) -> httpx.AsyncClient:
    """The administrator, by the key of the first account."""
    async with resources.sessions.begin() as session:
        account = await create_account(session, "Operator", is_administrator=True)
        key = await issue_key(session, account.id, "Operator")
    client = browser()
    client.headers["Authorization"] = f"Bearer {key}"
    return client

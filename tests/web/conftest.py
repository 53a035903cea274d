"""Visitors of the site, with browsers that ask for pages."""

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from argon2 import PasswordHasher

from mien.accounts import passwords
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

"""Accounts and their clients, and a double of Stripe that keeps what it is asked and signs its reports."""

import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import httpx
import pytest
import stripe
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mien.accounts.models import Account
from mien.accounts.service import create_account, issue_key
from mien.server import create_app
from mien.settings import load_settings

Sessions = async_sessionmaker[AsyncSession]


@dataclass(frozen=True)
class Standing:
    balance: int
    debt: int


@pytest.fixture
async def account_id(sessions: Sessions) -> UUID:
    """An account that has nothing."""
    async with sessions.begin() as session:
        return (await create_account(session, "Test")).id


@pytest.fixture
def standing(sessions: Sessions) -> Callable[[UUID], Awaitable[Standing]]:
    """What an account has and owes."""

    async def standing(account_id: UUID) -> Standing:
        async with sessions() as session:
            account = (await session.scalars(select(Account).where(Account.id == account_id))).one()
            return Standing(account.balance, account.debt)

    return standing


@dataclass
class Clients:
    """Clients of one application: of a customer, of another one, and of an administrator."""

    customer: httpx.AsyncClient
    customer_id: UUID
    stranger: httpx.AsyncClient
    administrator: httpx.AsyncClient


@pytest.fixture
async def clients(application: FastAPI, sessions: Sessions) -> AsyncIterator[Clients]:
    async with _clients(application, sessions) as clients:
        yield clients


@pytest.fixture
async def stripe_clients(stripe_application: FastAPI, sessions: Sessions) -> AsyncIterator[Clients]:
    """Of an application whose payments go through Stripe's double."""
    async with _clients(stripe_application, sessions) as clients:
        yield clients


@asynccontextmanager
async def _clients(application: FastAPI, sessions: Sessions) -> AsyncIterator[Clients]:
    async with AsyncExitStack() as stack, sessions.begin() as session:
        opened, ids = [], []
        for name in ("Customer", "Stranger", "Administrator"):
            account = await create_account(session, name, is_administrator=name == "Administrator")
            client = httpx.AsyncClient(
                transport=httpx.ASGITransport(application),
                base_url="http://mien.test",
                headers={"Authorization": f"Bearer {await issue_key(session, account.id, name)}"},
            )
            opened.append(await stack.enter_async_context(client))
            ids.append(account.id)
        await session.commit()
        customer, stranger, administrator = opened
        yield Clients(customer, ids[0], stranger, administrator)


@pytest.fixture(scope="module")
async def application(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[FastAPI]:
    """The service, where payments are confirmed by hand."""
    async with _application(module_database_url, tmp_path_factory.mktemp("data")) as app:
        yield app


@pytest.fixture(scope="module")
async def stripe_application(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory, stripe_server: "StripeDouble"
) -> AsyncIterator[FastAPI]:
    folder = tmp_path_factory.mktemp("data")
    async with _application(module_database_url, folder, **stripe_server.settings) as app:
        yield app


@asynccontextmanager
async def _application(database_url: str, folder: Path, **settings: str) -> AsyncIterator[FastAPI]:
    app = create_app(
        load_settings(database_url=database_url, data_dir=folder, public_url="http://mien.test", **settings)
    )
    yield app
    await app.state.payments.close()
    await app.state.resources.close()


@dataclass
class StripeDouble:
    """Stripe's API on this machine. `requests` are forms that came; `fails` makes it answer with 500."""

    address: str
    webhook_secret: str = "whsec_of_the_double"
    requests: list[dict[str, str]] = field(default_factory=list)
    fails: bool = False

    @property
    def settings(self) -> dict[str, str]:
        return {
            "stripe_key": "sk_test_of_the_double",
            "stripe_webhook_secret": self.webhook_secret,
            "stripe_api_base": self.address,
        }

    async def report(
        self,
        client: httpx.AsyncClient,
        type: str,
        found: dict[str, Any],
        *,
        secret: str | None = None,
        age: int = 0,
    ) -> httpx.Response:
        """Send an event about an object to the application of `client`, signed `age` seconds ago."""
        body = json.dumps({"id": "evt_1", "object": "event", "type": type, "data": {"object": found}})
        signature = stripe.WebhookSignature.generate_signature_header(
            body, secret or self.webhook_secret, int(time.time()) - age
        )
        return await client.post(
            "/webhooks/stripe",
            content=body,
            headers={"Stripe-Signature": signature, "Authorization": ""},
        )


@pytest.fixture
def stripe_double(stripe_server: StripeDouble) -> StripeDouble:
    """Stripe's double, which has forgotten what it was asked before."""
    stripe_server.requests.clear()
    stripe_server.fails = False
    return stripe_server


@pytest.fixture(scope="module")
def stripe_server() -> Iterator[StripeDouble]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            double.requests.append(
                {
                    "path": self.path,
                    "authorization": self.headers["Authorization"],
                    "idempotency_key": self.headers["Idempotency-Key"],
                    **form,
                }
            )
            number = len(double.requests)
            answer: dict[str, Any] = {
                "id": f"cs_{number}",
                "object": "checkout.session",
                "url": f"https://checkout.example.com/{number}",
            }
            if double.fails:
                answer = {"error": {"type": "api_error", "message": "Out of order."}}
            sent = json.dumps(answer).encode()
            self.send_response(500 if double.fails else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            if double.fails:
                self.send_header("Stripe-Should-Retry", "false")
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        double = StripeDouble(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield double
        server.shutdown()

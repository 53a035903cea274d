"""Receivers on this machine, and senders that may reach them. Functions and classes are fixtures, since test
files share no modules."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from ipaddress import IPv4Network
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update

from mien.accounts.service import create_account
from mien.resources import Resources
from mien.webhooks import service
from mien.webhooks.models import Delivery, Endpoint, Event
from mien.webhooks.sender import Sender

TASK = {"task_id": "6f1c2a9be0d84c1f9a5b7d3e2f4a6c8d_faceswap", "status": "completed", "who": "Zoë"}


@dataclass
class Receiver:
    """A web server that answers each request with the next of `answers`, the last one for ever."""

    answers: list[bytes]
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = [line.partition(": ") for line in head.splitlines()[1:] if line]
        headers = {name.lower(): value for name, _, value in lines}
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests.append((headers, body))
        writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
        await writer.drain()
        writer.close()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.requests]


Receiving = Callable[..., AbstractAsyncContextManager[Receiver]]


def _answer(status: int, body: bytes = b"", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


@pytest.fixture
def answer() -> Callable[..., bytes]:
    """An HTTP answer as bytes, from status, body and lines of headers."""
    return _answer


@pytest.fixture
def receiving() -> Receiving:
    """Runs a receiver that answers with the given statuses or bytes, by default 204 for ever."""

    @asynccontextmanager
    async def receiving(*answers: int | bytes) -> AsyncIterator[Receiver]:
        as_bytes = [_answer(one) if isinstance(one, int) else one for one in answers or (204,)]
        receiver = Receiver(as_bytes)
        async with await asyncio.start_server(receiver.answer, "127.0.0.1", 0) as server:
            receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
            yield receiver

    return receiving


@pytest.fixture
async def account_id(resources: Resources) -> UUID:
    async with resources.sessions.begin() as session:
        return (await create_account(session, "Test")).id


@pytest.fixture
def local(resources: Resources) -> Resources:
    """As `resources`, but webhooks may be sent to this machine."""
    networks = (IPv4Network("127.0.0.0/8"),)
    return replace(
        resources, settings=resources.settings.model_copy(update={"webhook_allowed_networks": networks})
    )


@pytest.fixture
def sender(local: Resources) -> Sender:
    return Sender(local)


@pytest.fixture
def create(resources: Resources, account_id: UUID) -> Callable[..., Awaitable[Endpoint]]:
    """Creates an endpoint for an address, by default for all events."""

    async def create(url: str, *events: Event) -> Endpoint:
        async with resources.sessions.begin() as session:
            return await service.create_endpoint(
                session, resources.sealing, account_id, url=url, description="", events=events or tuple(Event)
            )

    return create


@pytest.fixture
def announce(resources: Resources, account_id: UUID) -> Callable[..., Awaitable[list[UUID]]]:
    """Announces an event; the ids of the deliveries that it led to."""

    async def announce(event: Event = Event.TASK_COMPLETED, callback_url: str | None = None) -> list[UUID]:
        async with resources.sessions.begin() as session:
            before = set(await session.scalars(select(Delivery.id)))
            await service.announce(session, account_id, event, TASK, callback_url)
            return [id for id in await session.scalars(select(Delivery.id)) if id not in before]

    return announce


@pytest.fixture
def delivery(resources: Resources) -> Callable[[UUID], Awaitable[Delivery]]:
    """A delivery as it is now."""

    async def delivery(delivery_id: UUID) -> Delivery:
        async with resources.sessions() as session:
            return (await session.scalars(select(Delivery).where(Delivery.id == delivery_id))).one()

    return delivery


@pytest.fixture
def endpoint(resources: Resources) -> Callable[[UUID], Awaitable[Endpoint]]:
    """An endpoint as it is now."""

    async def endpoint(endpoint_id: UUID) -> Endpoint:
        async with resources.sessions() as session:
            return (await session.scalars(select(Endpoint).where(Endpoint.id == endpoint_id))).one()

    return endpoint


@pytest.fixture
def make_due(resources: Resources) -> Callable[[UUID], Awaitable[None]]:
    """Lets the time pass until the next attempt."""

    async def make_due(delivery_id: UUID) -> None:
        async with resources.sessions.begin() as session:
            due = update(Delivery).where(Delivery.id == delivery_id).values(next_attempt_at=func.now())
            await session.execute(due)

    return make_due


@pytest.fixture
def fail_since(resources: Resources) -> Callable[[UUID, timedelta], Awaitable[None]]:
    """Lets an endpoint have failed for so long already."""

    async def fail_since(endpoint_id: UUID, ago: timedelta) -> None:
        async with resources.sessions.begin() as session:
            failing = update(Endpoint).where(Endpoint.id == endpoint_id)
            await session.execute(failing.values(failing_since=func.now() - ago))

    return fail_since


@pytest.fixture
def jobs(resources: Resources) -> Callable[[], Awaitable[list[UUID]]]:
    """The deliveries that jobs wait for."""

    async def jobs() -> list[UUID]:
        query = text(
            "SELECT args->>'row_id' FROM procrastinate_jobs WHERE queue_name = 'webhooks' ORDER BY id"
        )
        async with resources.sessions() as session:
            return [UUID(row_id) for row_id in await session.scalars(query)]

    return jobs

"""Deliveries over real connections, on this machine."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select
from standardwebhooks import Webhook

from mien.resources import Resources
from mien.webhooks import queries, service
from mien.webhooks import sender as sending
from mien.webhooks.models import Delivery, Endpoint
from mien.webhooks.sender import Sender

Receiving = Callable[..., AbstractAsyncContextManager[Any]]
Create = Callable[..., Awaitable[Endpoint]]
Announce = Callable[..., Awaitable[list[UUID]]]
ReadDelivery = Callable[[UUID], Awaitable[Delivery]]
ById = Callable[[UUID], Awaitable[None]]
Answer = Callable[..., bytes]


async def test_a_receiver_can_verify_what_it_gets(
    receiving: Receiving, create: Create, announce: Announce, sender: Sender, delivery: ReadDelivery
) -> None:
    async with receiving(200) as receiver:
        endpoint = await create(receiver.url)
        (made,) = await announce()
        await sender.deliver(str(made))
    ((headers, body),) = receiver.requests
    assert Webhook(endpoint.secret).verify(body, headers)["data"]["who"] == "Zoë"
    assert headers["webhook-id"] == str(made)
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("mien/")
    ended = await delivery(made)
    assert ended.state == "delivered"
    assert ended.attempts[0]["status"] == 200


async def test_a_callback_is_signed_with_the_secret_of_callbacks(
    resources: Resources, receiving: Receiving, account_id: UUID, announce: Announce, sender: Sender
) -> None:
    async with receiving() as receiver:
        (made,) = await announce(callback_url=receiver.url)
        await sender.deliver(str(made))
    async with resources.sessions.begin() as session:
        secret = (await service.callback_secret(session, resources.sealing, account_id)).secret
    ((headers, body),) = receiver.requests
    assert Webhook(secret).verify(body, headers)["type"] == "task.completed"


async def test_after_a_renewal_receivers_with_either_secret_can_verify(
    resources: Resources, receiving: Receiving, create: Create, announce: Announce, sender: Sender
) -> None:
    async with receiving() as receiver:
        endpoint = await create(receiver.url)
        old = endpoint.secret
        async with resources.sessions.begin() as session:
            service.rotate(renewed := await session.merge(endpoint), resources.sealing)
        (made,) = await announce()
        await sender.deliver(str(made))
    ((headers, body),) = receiver.requests
    for secret in (old, renewed.secret):
        Webhook(secret).verify(body, headers)


async def test_a_retry_has_the_same_id_and_body_and_a_new_time_and_signature(
    receiving: Receiving,
    create: Create,
    announce: Announce,
    sender: Sender,
    make_due: ById,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with receiving(500, 200) as receiver:
        endpoint = await create(receiver.url)
        (made,) = await announce()
        await sender.deliver(str(made))
        await sender.deliver(str(made))  # not due yet
        assert len(receiver.requests) == 1
        await asyncio.sleep(1)
        await make_due(made)
        await sender.deliver(str(made))
    (first, body), (second, again) = receiver.requests
    assert body == again
    assert first["webhook-id"] == second["webhook-id"]
    assert int(first["webhook-timestamp"]) < int(second["webhook-timestamp"])
    assert first["webhook-signature"] != second["webhook-signature"]
    Webhook(endpoint.secret).verify(again, second)


async def test_a_redirect_is_not_followed(
    receiving: Receiving,
    create: Create,
    announce: Announce,
    sender: Sender,
    delivery: ReadDelivery,
    answer: Answer,
) -> None:
    async with receiving() as other, receiving(answer(307, headers=f"Location: {other.url}\r\n")) as receiver:
        await create(receiver.url)
        (made,) = await announce()
        await sender.deliver(str(made))
    assert other.requests == []
    waiting = await delivery(made)
    assert waiting.state == "pending"
    assert waiting.attempts[0]["status"] == 307


async def test_the_first_kilobyte_of_the_answer_is_kept(
    receiving: Receiving,
    create: Create,
    announce: Announce,
    sender: Sender,
    delivery: ReadDelivery,
    answer: Answer,
) -> None:
    async with receiving(answer(500, b"\xff\0" + 5000 * b"x")) as receiver:
        await create(receiver.url)
        (made,) = await announce()
        await sender.deliver(str(made))
    assert (await delivery(made)).attempts[0]["answer"] == "\ufffd\ufffd" + 1022 * "x"


async def test_an_answer_whose_body_never_ends_counts_by_its_status(
    receiving: Receiving,
    create: Create,
    announce: Announce,
    sender: Sender,
    delivery: ReadDelivery,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sending, "_BODY_TIMEOUT", 0.1)
    async with receiving(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nbegun") as receiver:
        await create(receiver.url)
        (made,) = await announce()
        await sender.deliver(str(made))
    ended = await delivery(made)
    assert ended.state == "delivered"
    assert ended.attempts[0]["answer"] == "begun"


async def test_a_receiver_that_does_not_answer_is_left_in_time(
    create: Create,
    announce: Announce,
    sender: Sender,
    delivery: ReadDelivery,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sending, "_TIMEOUT", 0.1)
    silent = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        await create(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        (made,) = await announce()
        await sender.deliver(str(made))
        silent.set()
    waiting = await delivery(made)
    assert waiting.state == "pending"
    assert "did not answer within" in waiting.attempts[0]["error"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/",
        "http://localhost:9/",
        "http://[::1]:9/",
        "http://10.0.0.1/",
        "http://169.254.169.254/",
    ],
)
async def test_private_addresses_are_refused_and_what_they_resolve_to_is_not_told(
    resources: Resources, create: Create, announce: Announce, delivery: ReadDelivery, url: str
) -> None:
    await create(url)
    (made,) = await announce()
    await Sender(resources).deliver(str(made))
    waiting = await delivery(made)
    assert waiting.attempts[0]["error"] == "The address is refused: it is not a public address."
    assert waiting.state == "pending"


@pytest.mark.parametrize(
    "url", ["http://example.com:99999/", "http://..", "http://[::", "http://-a-.example/%"]
)
async def test_addresses_that_make_no_sense_are_failures(
    create: Create, announce: Announce, sender: Sender, delivery: ReadDelivery, url: str
) -> None:
    async def nowhere(host: str, port: int) -> list[str]:
        raise OSError

    await create(url)
    (made,) = await announce()
    await replace(sender, resolve=nowhere).deliver(str(made))
    assert (await delivery(made)).attempts[0]["error"]


async def test_a_disabled_endpoint_gets_nothing_any_more(
    resources: Resources,
    receiving: Receiving,
    create: Create,
    announce: Announce,
    sender: Sender,
    delivery: ReadDelivery,
) -> None:
    async with receiving() as receiver:
        endpoint = await create(receiver.url)
        (made,) = await announce()
        async with resources.sessions.begin() as session:
            service.change(await session.merge(endpoint), enabled=False)
        await sender.deliver(str(made))
    assert receiver.requests == []
    ended = await delivery(made)
    assert ended.state == "failed"
    assert ended.attempts[0]["error"] == "The webhook is disabled."


async def test_what_a_dead_sender_had_taken_is_sent_by_another(
    local: Resources,
    receiving: Receiving,
    create: Create,
    announce: Announce,
    sender: Sender,
    make_due: ById,
    delivery: ReadDelivery,
) -> None:
    async with receiving() as receiver:
        await create(receiver.url)
        (made,) = await announce()
        async with local.sessions.begin() as session:
            assert await queries.start_attempt(session, made, timedelta(minutes=1))
        await sender.deliver(str(made))
        assert receiver.requests == []  # who has taken it may be at it still
        await make_due(made)
        await sender.deliver(str(made))
        assert len(receiver.requests) == 1
    assert (await delivery(made)).state == "delivered"


async def test_many_senders_at_once_send_it_once(
    local: Resources, receiving: Receiving, create: Create, announce: Announce
) -> None:
    async with receiving() as receiver:
        await create(receiver.url)
        (made,) = await announce()
        await asyncio.gather(*(Sender(local).deliver(str(made)) for _ in range(8)))
    assert len(receiver.requests) == 1


async def test_slow_receivers_of_one_account_leave_room_for_others(
    local: Resources, create: Create, announce: Announce, sender: Sender
) -> None:
    come, go = asyncio.Semaphore(0), asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        come.release()
        await go.wait()
        await reader.readuntil(b"}}")
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(wait, "127.0.0.1", 0) as server:
        await create(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        made = [id for _ in range(sending._SHARE + 1) for id in await announce()]
        under_way = [asyncio.create_task(sender.deliver(str(id))) for id in made[:-1]]
        for _ in under_way:
            await come.acquire()
        await sender.deliver(str(made[-1]))  # returns at once
        go.set()
        await asyncio.gather(*under_way)
        async with local.sessions() as session:
            left = await session.scalars(select(Delivery.id).where(Delivery.state == "pending"))
            assert list(left) == [made[-1]]
        await sender.deliver(str(made[-1]))
        async with local.sessions() as session:
            pending = select(func.count()).select_from(Delivery).where(Delivery.state == "pending")
            assert await session.scalar(pending) == 0


async def test_a_swept_delivery_needs_no_sender(sender: Sender) -> None:
    await sender.deliver("3f0c9a52-8d7e-4b16-a5c4-91e2d7f6b830")
    assert not sender._in_flight

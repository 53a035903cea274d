"""What webhooks are told, beside what the OpenAPI document says that they are told."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

import httpx
import jsonschema_rs
import pytest
from sqlalchemy import select

from mien.errors import NoFaceFound
from mien.http.principal import Principal
from mien.resources import Resources
from mien.tasks import creation, endings
from mien.tasks.endings import Result
from mien.tasks.models import Task
from mien.tasks.requests import FaceSwapRequest
from mien.webhooks import service
from mien.webhooks.models import TEST_EVENT, Delivery, Event
from mien.webhooks.sender import Sender

RESULT = {"format": "png", "width": 2, "height": 3, "bytes": 4, "sha256": "00"}
REPORT = {"identity": 0.7, "warnings": []}

Told = Callable[[str], Awaitable[tuple[dict[str, str], Any]]]


@pytest.fixture
async def told(resources: Resources) -> Told:
    """Sends all that waits to a receiver that listens meanwhile; the headers and the body of an event."""
    local = replace(
        resources,
        settings=resources.settings.model_copy(
            update={"webhook_allowed_networks": (IPv4Network("127.0.0.0/8"),)}
        ),
    )
    heard: list[tuple[dict[str, str], Any]] = []

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = [line.partition(": ") for line in head.splitlines()[1:] if line]
        headers = {name.lower(): value for name, _, value in fields}
        heard.append((headers, json.loads(await reader.readexactly(int(headers["content-length"])))))
        writer.write(b"HTTP/1.1 204 Heard\r\n\r\n")
        writer.close()

    async def told(event: str) -> tuple[dict[str, str], Any]:
        async with await asyncio.start_server(receive, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with resources.sessions.begin() as session:
                deliveries = (await session.scalars(select(Delivery))).all()
                for delivery in deliveries:
                    if delivery.callback_url:
                        delivery.callback_url = f"http://127.0.0.1:{port}/"
            for delivery in deliveries:
                await Sender(local).deliver(str(delivery.id))
        (found,) = [(headers, body) for headers, body in heard if body["type"] == event]
        return found

    return told


@pytest.fixture
async def document(api: httpx.AsyncClient) -> Any:
    return (await api.get("/openapi.json")).json()


@pytest.fixture
async def task(resources: Resources, caller: Principal) -> Task:
    """One that tells somebody of its end."""
    wanted = FaceSwapRequest(
        model="face-swap",
        image=b"target",
        face_image=b"source",
        callback_url="http://receiver.test/",
        metadata={"order": "Zoë's"},
    )
    return (await creation.create(resources, caller, "request-1", wanted)).task


def check(document: Any, event: str, headers: dict[str, str], body: Any) -> None:
    """The document describes exactly what was sent."""
    operation = document["webhooks"][event]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    jsonschema_rs.validator_for({**schema, "components": document["components"]}).validate(body)
    for parameter in operation["parameters"]:
        sent: Any = headers[parameter["name"]]
        is_number = parameter["schema"]["type"] == "integer"
        jsonschema_rs.validator_for(parameter["schema"]).validate(int(sent) if is_number else sent)
    schemas = document["components"]["schemas"]
    outer = schemas[schema["$ref"].rpartition("/")[2]]["properties"]
    inner = schemas[outer["data"]["$ref"].rpartition("/")[2]]["properties"]
    assert (set(body), set(body["data"])) == (set(outer), set(inner))


async def test_a_completed_task(
    resources: Resources, document: Any, told: Told, task: Task, start: Callable[[Task], Awaitable[Task]]
) -> None:
    running = await start(task)
    async with resources.sessions.begin() as session:
        result = Result("results/key.png", RESULT, [REPORT], {"swapping": 12.5})
        assert await endings.complete(resources, session, running, result)
    headers, body = await told("task.completed")
    check(document, "task.completed", headers, body)
    assert body["data"]["output"]["format"] == "png"


async def test_a_failed_task(resources: Resources, document: Any, told: Told, task: Task) -> None:
    async with resources.sessions.begin() as session:
        assert await endings.fail(resources, session, task, NoFaceFound("Nobody there.", param="image"))
    headers, body = await told("task.failed")
    check(document, "task.failed", headers, body)
    assert body["data"]["error"]["type"] == "no_face_found"


async def test_a_canceled_task(resources: Resources, document: Any, told: Told, task: Task) -> None:
    async with resources.sessions.begin() as session:
        assert await endings.cancel(resources, session, task)
    headers, body = await told("task.canceled")
    check(document, "task.canceled", headers, body)


async def test_a_test(resources: Resources, document: Any, told: Told, caller: Principal) -> None:
    async with resources.sessions.begin() as session:
        endpoint = await service.create_endpoint(
            session,
            resources.sealing,
            caller.account_id,
            url="http://receiver.test/",
            description="",
            events=["task.failed"],
        )
        delivery = await service.test(session, caller.account_id, endpoint.id)
        # The receiver's address is known when it listens, so this goes where callbacks go.
        delivery.endpoint_id, delivery.callback_url = None, "http://receiver.test/"
    headers, body = await told("webhook.test")
    check(document, "webhook.test", headers, body)
    assert body["data"] == {"webhook_id": str(endpoint.id)}


async def test_every_event_that_there_is(document: Any) -> None:
    assert set(document["webhooks"]) == {*(event.value for event in Event), TEST_EVENT}

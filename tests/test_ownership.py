"""What belongs to another account does not exist: a table of all endpoints that have an id in their path."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest

from mien.accounts.service import create_account, issue_key
from mien.billing import ledger
from mien.images.codec import encode
from mien.resources import Resources
from mien.server import create_app
from mien.settings import Settings

Thing = Callable[[httpx.AsyncClient], Awaitable[str]]
PICTURE = encode(np.zeros((64, 64, 3), np.uint8), "png")
URL = "https://example.com/"


async def task(owner: httpx.AsyncClient) -> str:
    wanted = {"model": "face-swap", "image": URL, "face_image": URL}
    return await made(owner, "/api/v1/images/tools/face-swap", "task_id", json=wanted)


async def upload(owner: httpx.AsyncClient) -> str:
    headers = {"Content-Type": "image/png"}
    return await made(owner, "/api/v1/uploads", "upload_id", content=PICTURE, headers=headers)


async def key(owner: httpx.AsyncClient) -> str:
    return await made(owner, "/api/v1/keys", "key_id", json={"name": "Mine"})


async def webhook(owner: httpx.AsyncClient) -> str:
    return await made(owner, "/api/v1/webhooks", "webhook_id", json={"url": URL})


async def delivery(owner: httpx.AsyncClient) -> str:
    return await made(owner, f"/api/v1/webhooks/{await webhook(owner)}/test", "delivery_id")


async def order(owner: httpx.AsyncClient) -> str:
    return await made(owner, "/api/v1/orders", "order_id", json={"credits": 1500})


THINGS: dict[str, Thing] = {
    "task_id": task,
    "upload_id": upload,
    "key_id": key,
    "webhook_id": webhook,
    "delivery_id": delivery,
    "order_id": order,
}
"""How to make what a path's parameter names."""

BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("PATCH", "/api/v1/keys/{key_id}"): {"name": "Theirs"},
    ("PATCH", "/api/v1/webhooks/{webhook_id}"): {"description": "Theirs"},
}

FOR_ADMINISTRATORS = {
    ("PATCH", "/api/v1/admin/accounts/{account_id}"),
    ("POST", "/api/v1/admin/accounts/{account_id}/grants"),
    ("DELETE", "/api/v1/admin/invites/{invite_id}"),
    ("POST", "/api/v1/orders/{order_id}/confirm"),
    ("POST", "/api/v1/orders/{order_id}/cancel"),
    ("DELETE", "/api/v1/admin/do-not-swap/{face_id}"),
}
"""They're about other people's things, and refused to everybody else, whatever the id."""

NOBODYS = {("DELETE", "/api/v1/do-not-swap/{face_id}")}
"""What they are about belongs to no account; `tests/safety` holds who may do it."""


async def made(owner: httpx.AsyncClient, path: str, name: str, **request: Any) -> str:
    response = await owner.post(path, **request)
    assert response.status_code == 200, response.text
    return str(response.json()["data"][name])


@pytest.fixture
async def clients(resources: Resources, settings: Settings) -> Any:
    """The applications' endpoints with ids, and two accounts' clients."""
    app = create_app(settings)
    keys = []
    async with resources.sessions.begin() as session:
        for name in ("Owner", "Stranger"):
            account = await create_account(session, name)
            keys.append(await issue_key(session, account.id, name))
            await ledger.grant(session, account.id, 1000, reason="Test", by=None)
    owner, stranger = (
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url=settings.public_url,
            headers={"Authorization": f"Bearer {key}"},
        )
        for key in keys
    )
    routes = [
        (method.upper(), path)
        for path, operations in app.openapi()["paths"].items()
        for method in operations
        if path.startswith("/api/") and "{" in path
    ]
    async with owner, stranger:
        yield routes, owner, stranger
    await app.state.resources.close()


@pytest.mark.slow
async def test_what_belongs_to_another_account_does_not_exist(clients: Any) -> None:
    routes, owner, stranger = clients
    assert set(routes) >= FOR_ADMINISTRATORS | NOBODYS | set(BODIES)
    for method, path in set(routes) - NOBODYS:
        before, _, rest = path.partition("{")
        parameter, _, after = rest.partition("}")
        address = before + "{}" + after
        body = {"json": BODIES[method, path]} if (method, path) in BODIES else {}
        if (method, path) in FOR_ADMINISTRATORS:
            response = await stranger.request(method, address.format(uuid4()), json={})
            assert response.status_code in (403, 404), (method, path, response.text)
            continue
        assert parameter in THINGS, f"{method} {path} is not in this table yet"
        thing = await THINGS[parameter](owner)
        theirs = await stranger.request(method, address.format(thing), **body)
        unknown = await stranger.request(method, address.format(uuid4()), **body)
        for response in (theirs, unknown):
            assert response.status_code == 404, (method, path, response.text)
        assert said(theirs) == said(unknown), (method, path)
        if not path.endswith("/events"):  # which would go on until the task has ended
            ones_own = await owner.request(method, address.format(thing), **body)
            assert ones_own.status_code != 404, (method, path, ones_own.text)


def said(response: httpx.Response) -> dict[str, Any]:
    return {name: value for name, value in response.json()["error"].items() if name != "request_id"}

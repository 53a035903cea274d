"""The list and the trail over HTTP, with a real process that looks at pictures."""

from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text, update

from mien.accounts.models import Account
from mien.detection.detectors import Detectors
from mien.resources import Resources
from mien.server import create_app
from mien.settings import Settings

LIST, ADMIN = "/api/v1/do-not-swap", "/api/v1/admin/do-not-swap"

Visit = Callable[..., httpx.AsyncClient]


@pytest.fixture
async def visit(settings: Settings, detectors: Detectors) -> AsyncIterator[Visit]:
    """Makes clients without a key, of a service with these changes to the settings."""
    opened = []

    def visit(**changes: object) -> httpx.AsyncClient:
        app = create_app(settings.model_copy(update={"do_not_swap": "open"} | changes))
        app.state.detectors = detectors
        opened.append((app, client := httpx.AsyncClient(transport=httpx.ASGITransport(app))))
        client.base_url = httpx.URL(settings.public_url)
        return client

    yield visit
    for app, client in opened:
        await client.aclose()
        await app.state.resources.close()


@pytest.fixture
async def administrator(
    api: httpx.AsyncClient, resources: Resources, detectors: Detectors
) -> httpx.AsyncClient:
    """The client `api`, whose account is an administrator's."""
    async with resources.sessions.begin() as session:
        await session.execute(update(Account).values(is_administrator=True))
    api._transport.app.state.detectors = detectors  # type: ignore[attr-defined]
    return api


def files(*pictures: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("images", (f"{number}.jpg", picture)) for number, picture in enumerate(pictures)]


def refused(response: httpx.Response) -> tuple[int, str, str | None]:
    error: dict[str, Any] = response.json()["error"]
    return error["code"], error["type"], error["param"]


async def listed(resources: Resources) -> int:
    async with resources.sessions() as session:
        return int((await session.execute(text("SELECT count(*) FROM listed_faces"))).scalar_one())


async def test_anybody_registers_a_face_and_takes_it_off_again(
    visit: Visit, resources: Resources, ada: list[bytes]
) -> None:
    visitor = visit()
    response = await visitor.post(LIST, files=files(*ada))
    assert response.status_code == 200, response.text
    assert response.headers["Cache-Control"] == "no-store"
    registered = response.json()["data"]
    assert set(registered) == {"face_id", "removal_secret", "created_at"}
    path = f"{LIST}/{registered['face_id']}"
    wrong = await visitor.delete(path, headers={"X-Removal-Secret": "guessed"})
    assert refused(wrong) == (404, "not_found", None)
    assert await listed(resources) == 1
    gone = await visitor.delete(path, headers={"X-Removal-Secret": registered["removal_secret"]})
    assert gone.status_code == 204
    assert await listed(resources) == 0


async def test_a_picture_may_come_as_a_data_uri(visit: Visit, resources: Resources, ben: bytes) -> None:
    picture = f"data:image/jpeg;base64,{b64encode(ben).decode()}"
    response = await visit().post(LIST, json={"images": [picture]})
    assert response.status_code == 200, response.text
    assert await listed(resources) == 1


async def test_pictures_that_show_nobody_or_several_are_refused_by_their_number(
    visit: Visit, resources: Resources, ada: list[bytes], ben: bytes, crowd: bytes, nobody: bytes
) -> None:
    visitor = visit()
    for wrong, words in ((nobody, "No face"), (crowd, "16 faces"), (ben, "somebody else"), (b"x", "picture")):
        response = await visitor.post(LIST, files=files(ada[0], wrong))
        assert refused(response) == (400, "invalid_request", "images[1]"), response.text
        assert words in response.json()["error"]["message"]
    assert await listed(resources) == 0


async def test_addresses_are_not_fetched_for_visitors(visit: Visit) -> None:
    response = await visit().post(LIST, json={"images": ["https://example.com/me.jpg"]})
    assert refused(response) == (400, "invalid_request", "images[0]")


async def test_where_the_list_is_closed_only_administrators_add_to_it(
    visit: Visit, administrator: httpx.AsyncClient, resources: Resources, ben: bytes
) -> None:
    closed = visit(do_not_swap="closed")
    assert refused(await closed.post(LIST, files=files(ben))) == (403, "permission_denied", None)
    without_key = await closed.post(ADMIN, files=files(ben))
    assert refused(without_key)[:2] == (401, "authentication_error")
    response = await administrator.post(ADMIN, files=files(ben), data={"note": "Asked by letter"})
    assert response.status_code == 200, response.text
    (face,) = (await administrator.get(ADMIN)).json()["data"]["faces"]
    assert (face["by_operator"], face["note"]) == (True, "Asked by letter")
    assert set(face) == {"face_id", "by_operator", "note", "created_at"}
    assert (await administrator.delete(f"{ADMIN}/{face['face_id']}")).status_code == 204
    assert refused(await administrator.delete(f"{ADMIN}/{face['face_id']}"))[0] == 404
    assert await listed(resources) == 0


async def test_an_address_that_registers_too_often_waits(visit: Visit, ben: bytes) -> None:
    visitor = visit()
    answers = [await visitor.post(LIST, files=files(b"x")) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [400] * 10 + [429]
    assert int(answers[-1].headers["Retry-After"]) > 3600


async def test_reading_the_trail_is_for_administrators_and_is_written_down(
    api: httpx.AsyncClient, resources: Resources
) -> None:
    assert refused(await api.get("/api/v1/admin/trail"))[0] == 403
    async with resources.sessions.begin() as session:
        await session.execute(update(Account).values(is_administrator=True))
    account = str(uuid4())
    answer = await api.get("/api/v1/admin/trail", params={"account_id": account, "client": "203.0.113.7"})
    assert answer.json()["data"] == {"entries": [], "next_cursor": None}
    assert refused(await api.get("/api/v1/admin/trail", params={"sha265": "ab" * 32}))[0] == 400
    async with resources.sessions() as session:
        lines = (
            await session.execute(text("SELECT act, account_id::text, details FROM audit_log ORDER BY id"))
        ).all()
    assert tuple(lines[-1]) == ("trail.read", account, {"by": ["account_id", "client"]})

"""Tasks as callers see them: the application on a real database, without workers."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import update

from mien.accounts.models import Account
from mien.accounts.service import create_account, issue_key
from mien.billing import ledger
from mien.resources import Resources
from mien.server import create_app
from mien.settings import Settings
from mien.storage import objects
from mien.tasks import endings, queries
from mien.tasks.endings import Result
from mien.tasks.models import Task
from mien.tasks.watch import Watch

FACE_SWAP = "/api/v1/images/tools/face-swap"
TASKS = "/api/v1/tasks"
A, B = "https://example.com/a.jpg", "https://example.com/b.jpg"
WANTED: dict[str, Any] = {"model": "face-swap", "image": A, "face_image": B}
DESCRIBED = {"format": "png", "width": 2, "height": 3, "bytes": 4, "sha256": "00"}

Complete = Callable[[str], Awaitable[None]]


@pytest.fixture
def database_url(module_database_url: str) -> str:
    """One database for all: each test has an account of its own."""
    return module_database_url


@pytest.fixture
async def watched(api: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """The client of an application that hears of changes."""
    assert isinstance(api._transport, httpx.ASGITransport)
    watch: Watch = api._transport.app.state.watch  # type: ignore[attr-defined]
    watching = asyncio.create_task(watch.keep_watching())
    yield api
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


@pytest.fixture
def start(resources: Resources) -> Callable[[str], Awaitable[Task]]:
    async def start(task_id: str) -> Task:
        async with resources.sessions.begin() as session:
            task = await queries.start(session, task_id, uuid4())
        assert task
        return task

    return start


@pytest.fixture
def complete(resources: Resources, start: Callable[[str], Awaitable[Task]]) -> Complete:
    """Does what a worker would."""

    async def complete(task_id: str) -> None:
        task = await start(task_id)
        key = f"results/{task_id}/1/face-swap.png"
        await objects.put(resources.store, key, b"result")
        async with resources.sessions.begin() as session:
            result = Result(key, DESCRIBED, [{"faces": 1}], {"queued": 1.0})
            assert await endings.complete(resources, session, task, result)

    return complete


async def create(api: httpx.AsyncClient, headers: dict[str, str] | None = None, **changes: Any) -> str:
    response = await api.post(FACE_SWAP, json={**WANTED, **changes}, headers=headers)
    assert response.status_code == 200, response.text
    return str(response.json()["data"]["task_id"])


async def read(api: httpx.AsyncClient, task_id: str) -> dict[str, Any]:
    return dict((await api.get(f"{TASKS}/{task_id}")).json()["data"])


def refused(response: httpx.Response, status: int, type: str, param: str | None = None) -> str:
    """Check that `response` is that error, and give its message."""
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"]) == (status, type, param), response.text
    return str(error["message"])


class TestCreate:
    async def test_everything_that_a_request_may_hold(self, api: httpx.AsyncClient) -> None:
        response = await api.post(
            FACE_SWAP,
            json={
                "model": "face-swap",
                "image": A,
                "swaps": [
                    {"target_index": 0, "face_image": B},
                    {"target_index": 1, "face_images": [B, A], "face_index": 1},
                ],
                "output_format": "jpg",
                "quality": 80,
                "max_size": 1024,
                "label": True,
                "label_language": "es",
                "exif": "keep",
                "consent": "Both are me.",
                "metadata": {"order": "17"},
                "callback_url": "https://example.com/hook",
            },
        )
        task = await read(api, response.json()["data"]["task_id"])
        assert (task["metadata"], task["consent"]) == ({"order": "17"}, "Both are me.")
        assert task["credits"] == {"held": 6, "charged": 0}

    async def test_the_same_as_a_form(self, api: httpx.AsyncClient, resources: Resources) -> None:
        response = await api.post(
            FACE_SWAP,
            data={
                "model": "face-swap",
                "image": A,
                "swaps": '[{"target_index": 0}, {"target_index": 1}]',
                "metadata": '{"order": "17"}',
                "output_format": "webp",
                "quality": "80",
                "label": "true",
            },
            files=[
                ("swaps[0].face_image", ("a.jpg", b"one")),
                ("swaps[1].face_images", ("b.jpg", b"two")),
                ("swaps[1].face_images", ("c.jpg", b"three")),
            ],
        )
        assert response.status_code == 200, response.text
        task_id = response.json()["data"]["task_id"]
        assert (await read(api, task_id))["metadata"] == {"order": "17"}
        for name, picture in (
            ("swaps.0.face_image", b"one"),
            ("swaps.1.face_images.0", b"two"),
            ("swaps.1.face_images.1", b"three"),
        ):
            assert await objects.read(resources.store, f"inputs/{task_id}/{name}") == picture

    @pytest.mark.parametrize(
        ("changes", "param"),
        [
            (
                {"swaps": [{"target_index": 0, "face_image": "b.jpg"}], "face_image": None},
                "swaps[0].face_image",
            ),
            ({"swaps": [{"target_index": 0, "strength": 1}], "face_image": None}, "swaps[0].strength"),
            ({"face_images": [B, 1], "face_image": None}, "face_images[1]"),
            ({"metadata": {"a": 1}}, "metadata.a"),
            ({"callback_url": "nonsense"}, "callback_url"),
            ({"quality": 80}, "quality"),
            ({"max_size": 0}, "max_size"),
        ],
    )
    async def test_what_is_wrong_is_named_as_the_caller_wrote_it(
        self, api: httpx.AsyncClient, changes: dict[str, Any], param: str
    ) -> None:
        body = {name: value for name, value in {**WANTED, **changes}.items() if value is not None}
        message = refused(await api.post(FACE_SWAP, json=body), 400, "invalid_request", param)
        assert f"`{param}`" in message

    async def test_without_credits_it_is_refused(self, api: httpx.AsyncClient, resources: Resources) -> None:
        async with resources.sessions.begin() as session:
            account = await create_account(session, "Poor")
            key = await issue_key(session, account.id, "Poor")
        response = await api.post(FACE_SWAP, json=WANTED, headers={"Authorization": f"Bearer {key}"})
        refused(response, 402, "insufficient_credits")

    async def test_too_many_in_progress_are_refused_until_one_has_ended(
        self, api: httpx.AsyncClient, resources: Resources
    ) -> None:
        async with resources.sessions.begin() as session:
            account = await create_account(session, "Limited")
            key = await issue_key(session, account.id, "Limited")
            await ledger.grant(session, account.id, 100, reason="Test", by=None)
            await session.execute(update(Account).where(Account.id == account.id).values(tasks_in_flight=1))
        headers = {"Authorization": f"Bearer {key}"}
        task_id = await create(api, headers)
        response = await api.post(FACE_SWAP, json=WANTED, headers=headers)
        refused(response, 429, "rate_limited")
        assert int(response.headers["retry-after"]) >= 1
        await api.post(f"{TASKS}/{task_id}/cancel", headers=headers)
        await create(api, headers)


class TestIdempotencyKey:
    async def test_a_request_that_is_sent_again_is_answered_with_the_same_task(
        self, api: httpx.AsyncClient, complete: Complete
    ) -> None:
        headers = {"Idempotency-Key": uuid4().hex}
        first = await api.post(FACE_SWAP, json=WANTED, headers=headers)
        again = await api.post(FACE_SWAP, json=WANTED, headers=headers)
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert first.content == again.content
        task_id = first.json()["data"]["task_id"]
        await complete(task_id)
        ended = (await api.post(FACE_SWAP, json=WANTED, headers=headers)).json()["data"]
        assert (ended["task_id"], ended["status"]) == (task_id, "completed")
        assert ended["output"]["image_url"]
        await api.delete(f"{TASKS}/{task_id}")
        gone = (await api.post(FACE_SWAP, json=WANTED, headers=headers)).json()["data"]
        assert (gone["status"], gone["output"]) == ("completed", None)

    async def test_forms_with_other_boundaries_are_the_same_request(self, api: httpx.AsyncClient) -> None:
        headers = {"Idempotency-Key": uuid4().hex}
        answers = [
            await api.post(
                FACE_SWAP,
                data={"model": "face-swap", "face_image": B},
                files={"image": ("a.jpg", b"pixels")},
                headers=headers,
            )
            for _ in range(2)
        ]
        assert answers[0].request.headers["content-type"] != answers[1].request.headers["content-type"]
        assert answers[0].json() == answers[1].json()

    async def test_another_request_is_a_mismatch(self, api: httpx.AsyncClient) -> None:
        headers = {"Idempotency-Key": uuid4().hex}
        await create(api, headers)
        response = await api.post(FACE_SWAP, json={**WANTED, "target_index": 1}, headers=headers)
        refused(response, 422, "idempotency_mismatch", "Idempotency-Key")

    @pytest.mark.parametrize("key", ["", "a" * 256, "\x7f", "a\tb"])
    async def test_an_odd_key_is_refused(self, api: httpx.AsyncClient, key: str) -> None:
        response = await api.post(FACE_SWAP, json=WANTED, headers={b"Idempotency-Key": key.encode()})
        refused(response, 400, "invalid_request", "Idempotency-Key")


class TestWaiting:
    async def test_creating_answers_with_the_ended_task_if_that_is_in_time(
        self, watched: httpx.AsyncClient, complete: Complete
    ) -> None:
        creating = asyncio.create_task(
            watched.post(FACE_SWAP, json=WANTED, headers={"Prefer": "respond-async, wait=30"})
        )
        tasks: list[dict[str, Any]] = []
        for _ in range(500):
            tasks = (await watched.get(TASKS)).json()["data"]["tasks"]
            if tasks:
                break
            await asyncio.sleep(0.01)
        await complete(tasks[0]["task_id"])
        response = await asyncio.wait_for(creating, 5)
        assert response.headers["preference-applied"] == "wait=30"
        assert response.json() == (await watched.get(f"{TASKS}/{tasks[0]['task_id']}")).json()

    @pytest.mark.parametrize("prefer", ["wait=0", "wait=-1", "wait", "wait=x", "handling=strict", ""])
    async def test_any_other_preference_is_answered_at_once(
        self, watched: httpx.AsyncClient, prefer: str
    ) -> None:
        response = await asyncio.wait_for(watched.post(FACE_SWAP, json=WANTED, headers={"Prefer": prefer}), 5)
        assert response.json()["data"]["status"] == "IN_PROGRESS"
        assert "preference-applied" not in response.headers

    async def test_one_that_is_not_done_in_time_is_answered_as_ever(self, watched: httpx.AsyncClient) -> None:
        response = await watched.post(FACE_SWAP, json=WANTED, headers={"Prefer": "wait=1"})
        assert set(response.json()["data"]) == {"task_id", "status"}

    async def test_reading_waits_for_the_end(self, watched: httpx.AsyncClient, complete: Complete) -> None:
        task_id = await create(watched)
        reading = asyncio.create_task(watched.get(f"{TASKS}/{task_id}", params={"wait": 30}))
        await asyncio.sleep(0.1)
        assert not reading.done()
        await complete(task_id)
        assert (await asyncio.wait_for(reading, 5)).json()["data"]["status"] == "completed"

    @pytest.mark.parametrize("wait", ["61", "-1", "nan", "long"])
    async def test_nobody_waits_longer_than_a_minute(self, api: httpx.AsyncClient, wait: str) -> None:
        refused(await api.get(f"{TASKS}/x", params={"wait": wait}), 400, "invalid_request", "wait")


class TestEvents:
    async def test_stages_are_told_as_they_happen(
        self, watched: httpx.AsyncClient, complete: Complete
    ) -> None:
        task_id = await create(watched)
        following = asyncio.create_task(watched.get(f"{TASKS}/{task_id}/events"))
        await asyncio.sleep(0.1)
        await complete(task_id)
        response = await asyncio.wait_for(following, 5)
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache"
        events = [event.splitlines() for event in response.text.strip().split("\n\n")]
        assert [event[0] for event in events] == [
            f"event: {stage}"
            for stage in ("queued", "fetching", "detecting", "swapping", "marking", "storing", "completed")
        ]
        assert events[-1][2] == "id: 1.completed"
        assert json.loads(events[-1][1].removeprefix("data: "))["task"] == await read(watched, task_id)

    async def test_a_client_that_has_seen_the_end_is_told_that_there_is_no_more(
        self, api: httpx.AsyncClient
    ) -> None:
        task_id = await create(api)
        await api.post(f"{TASKS}/{task_id}/cancel")
        events = f"{TASKS}/{task_id}/events"
        response = await api.get(events, headers={"Last-Event-ID": "0.queued"})
        assert response.text.startswith("event: canceled\n")
        response = await api.get(events, headers={"Last-Event-ID": "0.canceled"})
        assert (response.status_code, response.content) == (204, b"")


class TestCancel:
    async def test_a_canceled_task_is_shown_as_failed_and_costs_nothing(self, api: httpx.AsyncClient) -> None:
        task_id = await create(api)
        response = await api.post(f"{TASKS}/{task_id}/cancel")
        task = response.json()["data"]
        assert (response.status_code, task["status"], task["stage"]) == (200, "failed", "canceled")
        assert task["error"]["type"] == "canceled"
        assert task["credits"] == {"held": 0, "charged": 0}
        refused(await api.post(f"{TASKS}/{task_id}/cancel"), 409, "conflict")


class TestDelete:
    async def test_the_picture_is_gone_at_once(self, api: httpx.AsyncClient, complete: Complete) -> None:
        task_id = await create(api)
        refused(await api.delete(f"{TASKS}/{task_id}"), 409, "conflict")
        await complete(task_id)
        address = (await read(api, task_id))["image_url"]
        assert (await api.get(address)).content == b"result"
        task = (await api.delete(f"{TASKS}/{task_id}")).json()["data"]
        assert (task["status"], task["output"], task["outputs"]) == ("completed", None, [])
        assert (await api.get(address)).status_code == 404


class TestList:
    async def pages(self, api: httpx.AsyncClient, **wanted: Any) -> list[list[str]]:
        """The ids of all pages' tasks."""
        found: list[list[str]] = []
        cursor: dict[str, str] = {}
        while True:
            page = (await api.get(TASKS, params={**wanted, **cursor})).json()["data"]
            found.append([task["task_id"] for task in page["tasks"]])
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}

    async def test_the_newest_come_first_page_by_page(self, api: httpx.AsyncClient) -> None:
        ids = [await create(api) for _ in range(5)][::-1]
        assert await self.pages(api) == [ids]
        assert await self.pages(api, limit=2) == [ids[:2], ids[2:4], ids[4:]]
        assert await self.pages(api, limit=5) == [ids]

    async def test_tasks_that_come_meanwhile_move_nothing(self, api: httpx.AsyncClient) -> None:
        ids = [await create(api) for _ in range(3)][::-1]
        page = (await api.get(TASKS, params={"limit": 2})).json()["data"]
        await create(api)
        rest = await self.pages(api, limit=2, cursor=page["next_cursor"])
        assert rest == [ids[2:]]

    async def test_filters(self, api: httpx.AsyncClient, resources: Resources, complete: Complete) -> None:
        done, canceled, queued = [await create(api) for _ in range(3)]
        await complete(done)
        await api.post(f"{TASKS}/{canceled}/cancel")
        for status, expected in (
            ("completed", [done]),
            ("failed", [canceled]),
            ("canceled", [canceled]),
            ("IN_PROGRESS", [queued]),
        ):
            assert await self.pages(api, status=status) == [expected]
        created_at = (await read(api, canceled))["created_at"]
        assert await self.pages(api, created_after=created_at) == [[queued]]
        assert await self.pages(api, created_before=created_at) == [[done]]
        async with resources.sessions() as session:
            key_id = (await session.get_one(Task, done)).key_id
        assert await self.pages(api, key_id=str(key_id)) == [[queued, canceled, done]]
        assert await self.pages(api, key_id=str(uuid4())) == [[]]

    async def test_only_ones_own_are_there(self, api: httpx.AsyncClient, resources: Resources) -> None:
        await create(api)
        async with resources.sessions.begin() as session:
            key = await issue_key(session, (await create_account(session, "Other")).id, "Other")
        response = await api.get(TASKS, headers={"Authorization": f"Bearer {key}"})
        assert response.json()["data"] == {"tasks": [], "next_cursor": None}

    @pytest.mark.parametrize(
        ("query", "param"),
        [
            ({"status": "done"}, "status"),
            ({"limit": "0"}, "limit"),
            ({"limit": "101"}, "limit"),
            ({"cursor": "nonsense"}, "cursor"),
            ({"cursor": "ü"}, "cursor"),
            ({"cursor": "MjAyNi0xMi0yNA"}, "cursor"),
            ({"created_after": "yesterday"}, "created_after"),
            ({"created_after": "2026-12-24T00:00:00"}, "created_after"),
            ({"key_id": "mine"}, "key_id"),
            ({"created_after": "0.5"}, "created_after"),
            ({"page": "2"}, "page"),
        ],
    )
    async def test_what_is_wrong_is_named(
        self, api: httpx.AsyncClient, query: dict[str, str], param: str
    ) -> None:
        refused(await api.get(TASKS, params=query), 400, "invalid_request", param)


class TestModels:
    async def test_lists_what_a_request_may_name(self, api: httpx.AsyncClient) -> None:
        (model,) = (await api.get("/api/v1/models")).json()["data"]["models"]
        assert (model["model"], model["price_per_face"]) == ("face-swap", 3)
        await create(api, model=model["model"])


PREFLIGHT = {
    "Origin": "https://app.example.com",
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, idempotency-key, content-type",
}


class TestOtherOrigins:
    async def test_are_refused_by_default(self, api: httpx.AsyncClient) -> None:
        response = await api.options(FACE_SWAP, headers=PREFLIGHT)
        assert "access-control-allow-origin" not in response.headers
        response = await api.get(TASKS, headers={"Origin": "https://app.example.com"})
        assert "access-control-allow-origin" not in response.headers

    async def test_may_be_let_in_by_the_operator(self, api: httpx.AsyncClient, settings: Settings) -> None:
        app = create_app(settings.model_copy(update={"cors_origins": ("https://app.example.com",)}))
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url=settings.public_url, headers=api.headers
        ) as client:
            response = await client.options(FACE_SWAP, headers=PREFLIGHT)
            assert response.status_code == 200
            assert response.headers["access-control-allow-origin"] == "https://app.example.com"
            response = await client.get(TASKS, headers={"Origin": "https://app.example.com"})
            assert "X-Request-Id" in response.headers["access-control-expose-headers"]
            assert "access-control-allow-credentials" not in response.headers
            response = await client.get(TASKS, headers={"Origin": "https://other.example.com"})
            assert "access-control-allow-origin" not in response.headers
        await app.state.resources.close()

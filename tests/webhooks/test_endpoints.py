"""Webhooks over HTTP."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select, update

from mien.accounts.models import Account
from mien.accounts.service import create_account
from mien.resources import Resources
from mien.webhooks import queries, service
from mien.webhooks.models import Delivery, Endpoint, Event, State
from mien.webhooks.sender import Sender

WEBHOOKS = "/api/v1/webhooks"
URL = "https://example.com/hooks?mine=1"


@pytest.fixture
def database_url(module_database_url: str) -> str:
    """One database for all: no test here looks at another account's webhooks."""
    return module_database_url


@pytest.fixture
async def account_id(resources: Resources, api: httpx.AsyncClient) -> UUID:
    """The account that `api` has a key of."""
    async with resources.sessions() as session:
        mine = select(Account.id).where(Account.name == "Test").order_by(Account.created_at.desc())
        return (await session.scalars(mine.limit(1))).one()


@pytest.fixture
async def webhook(api: httpx.AsyncClient) -> dict[str, Any]:
    return data_of(await api.post(WEBHOOKS, json={"url": URL}))


def data_of(response: httpx.Response) -> dict[str, Any]:
    answer = response.json()
    assert (response.status_code, answer["code"], answer["message"]) == (200, 200, "success"), response.text
    return dict(answer["data"])


def refusal(response: httpx.Response, status: int, type: str, param: str | None = None) -> str:
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"]) == (status, type, param), response.text
    return str(error["message"])


class TestManaging:
    async def test_a_webhook_is_created_shown_changed_and_deleted(self, api: httpx.AsyncClient) -> None:
        created = data_of(
            await api.post(WEBHOOKS, json={"url": URL, "description": "Mine", "events": ["task.failed"]})
        )
        assert created["secret"].startswith("whsec_")
        address = f"{WEBHOOKS}/{created['webhook_id']}"
        shown = data_of(await api.get(address))
        assert shown == {name: value for name, value in created.items() if name != "secret"}
        assert (shown["url"], shown["description"], shown["events"]) == (URL, "Mine", ["task.failed"])
        assert shown["enabled"] is True
        assert data_of(await api.get(WEBHOOKS)) == {"webhooks": [shown]}
        changed = data_of(await api.patch(address, json={"url": "http://example.org", "description": ""}))
        assert changed == shown | {"url": "http://example.org", "description": ""}
        assert (await api.delete(address)).status_code == 204
        refusal(await api.get(address), 404, "not_found", "webhook_id")

    async def test_it_hears_of_everything_unless_told_otherwise(self, webhook: dict[str, Any]) -> None:
        assert webhook["events"] == ["task.completed", "task.failed", "task.canceled"]

    async def test_it_can_be_disabled_and_enabled(
        self, api: httpx.AsyncClient, webhook: dict[str, Any]
    ) -> None:
        address = f"{WEBHOOKS}/{webhook['webhook_id']}"
        disabled = data_of(await api.patch(address, json={"enabled": False}))
        assert (disabled["enabled"], disabled["disabled_reason"]) == (False, "You disabled it.")
        assert "Enable it first" in refusal(await api.post(f"{address}/test"), 409, "conflict")
        enabled = data_of(await api.patch(address, json={"enabled": True}))
        assert (enabled["enabled"], enabled["disabled_reason"]) == (True, None)

    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ({}, "url"),
            ({"url": ""}, "url"),
            ({"url": "ftp://example.com"}, "url"),
            ({"url": "https://me:secret@example.com"}, "url"),
            ({"url": "https://example.com/ö"}, "url"),
            ({"url": "https://example.com/\n"}, "url"),
            ({"url": "https://example.com/" + 2048 * "a"}, "url"),
            ({"url": URL, "events": []}, "events"),
            ({"url": URL, "events": ["task.started"]}, "events[0]"),
            ({"url": URL, "description": "\0"}, "description"),
            ({"url": URL, "secret": "whsec_mine"}, "secret"),
        ],
    )
    async def test_what_is_wrong_is_named(
        self, api: httpx.AsyncClient, body: dict[str, Any], param: str
    ) -> None:
        refusal(await api.post(WEBHOOKS, json=body), 400, "invalid_request", param)

    async def test_a_body_that_is_not_json_is_explained(self, api: httpx.AsyncClient) -> None:
        message = refusal(await api.post(WEBHOOKS, data={"url": URL}), 415, "unsupported_media_type")
        assert "Content-Type: application/json" in message


class TestSecrets:
    async def test_a_renewed_secret_is_shown_once_with_the_end_of_the_old_one(
        self, api: httpx.AsyncClient, webhook: dict[str, Any]
    ) -> None:
        renewed = data_of(await api.post(f"{WEBHOOKS}/{webhook['webhook_id']}/secret"))
        assert renewed["secret"].startswith("whsec_")
        assert renewed["secret"] != webhook["secret"]
        assert renewed["previous_secret_until"]

    async def test_the_secret_of_callbacks_can_be_read_and_renewed(self, api: httpx.AsyncClient) -> None:
        first = data_of(await api.get(f"{WEBHOOKS}/secret"))
        assert data_of(await api.get(f"{WEBHOOKS}/secret")) == first
        assert first["previous_secret_until"] is None
        renewed = data_of(await api.post(f"{WEBHOOKS}/secret"))
        assert renewed["secret"] != first["secret"]
        assert data_of(await api.get(f"{WEBHOOKS}/secret")) == renewed


class TestDeliveries:
    async def test_a_test_is_sent_and_its_delivery_says_how_it_went(
        self, api: httpx.AsyncClient, local: Resources, receiving: Callable[..., Any]
    ) -> None:
        async with receiving(418) as receiver:
            made = data_of(await api.post(WEBHOOKS, json={"url": receiver.url}))
            queued = data_of(await api.post(f"{WEBHOOKS}/{made['webhook_id']}/test"))
            assert (queued["event"], queued["status"], queued["attempts"]) == ("webhook.test", "pending", [])
            await Sender(local).deliver(queued["delivery_id"])
        assert receiver.events()[0]["type"] == "webhook.test"
        ended = data_of(await api.get(f"{WEBHOOKS}/deliveries/{queued['delivery_id']}"))
        assert (ended["status"], ended["next_attempt_at"]) == ("failed", None)
        assert [attempt["status"] for attempt in ended["attempts"]] == [418]

    async def test_an_ended_delivery_is_sent_again(
        self,
        api: httpx.AsyncClient,
        webhook: dict[str, Any],
        resources: Resources,
        announce: Callable[..., Awaitable[list[UUID]]],
    ) -> None:
        (delivery_id,) = await announce()
        address = f"{WEBHOOKS}/deliveries/{delivery_id}/redeliver"
        assert "under way" in refusal(await api.post(address), 409, "conflict")
        async with resources.sessions.begin() as session:
            ended = update(Delivery).where(Delivery.id == delivery_id)
            await session.execute(ended.values(state=State.FAILED, ended_at=func.now()))
        again = data_of(await api.post(address))
        assert (again["delivery_id"], again["status"]) == (str(delivery_id), "pending")

    async def test_they_are_listed_by_webhook_by_task_and_by_pages(
        self,
        api: httpx.AsyncClient,
        webhook: dict[str, Any],
        announce: Callable[..., Awaitable[list[UUID]]],
    ) -> None:
        made = [id for _ in range(5) for id in await announce(callback_url=URL)]
        all_of_them, cursor = [], None
        while True:
            page = data_of(
                await api.get(
                    f"{WEBHOOKS}/deliveries", params={"limit": 4} | ({"cursor": cursor} if cursor else {})
                )
            )
            all_of_them += page["deliveries"]
            if not (cursor := page["next_cursor"]):
                break
        assert sorted(found["delivery_id"] for found in all_of_them) == sorted(map(str, made))
        times = [found["created_at"] for found in all_of_them]
        assert times == sorted(times, reverse=True)
        of_webhook = data_of(await api.get(f"{WEBHOOKS}/{webhook['webhook_id']}/deliveries"))["deliveries"]
        assert [found["callback_url"] for found in of_webhook] == 5 * [None]
        task_id = all_of_them[0]["task_id"]
        for wanted, count in ((task_id, 10), ("another_faceswap", 0)):
            found = data_of(await api.get(f"{WEBHOOKS}/deliveries", params={"task_id": wanted}))
            assert len(found["deliveries"]) == count

    @pytest.mark.parametrize(
        "query", [{"limit": 0}, {"limit": 101}, {"limit": "x"}, {"cursor": "x"}, {"task_id": "\0"}]
    )
    async def test_a_wrong_query_is_refused(self, api: httpx.AsyncClient, query: dict[str, Any]) -> None:
        (param,) = query
        refusal(await api.get(f"{WEBHOOKS}/deliveries", params=query), 400, "invalid_request", param)


OF_WEBHOOKS = [
    ("GET", ""),
    ("PATCH", ""),
    ("DELETE", ""),
    ("POST", "/test"),
    ("POST", "/secret"),
    ("GET", "/deliveries"),
]
OF_DELIVERIES = [("GET", ""), ("POST", "/redeliver")]


class TestOfOthers:
    @pytest.fixture
    async def theirs(self, resources: Resources) -> tuple[UUID, UUID]:
        """Another account's webhook, and a delivery to it."""
        async with resources.sessions.begin() as session:
            stranger = await create_account(session, "Stranger")
            endpoint = await service.create_endpoint(
                session, resources.sealing, stranger.id, url=URL, description="", events=[*Event]
            )
            return endpoint.id, (await service.test(session, stranger.id, endpoint.id)).id

    @pytest.mark.parametrize(("method", "suffix"), OF_WEBHOOKS)
    async def test_webhooks_do_not_exist(
        self, api: httpx.AsyncClient, theirs: tuple[UUID, UUID], method: str, suffix: str
    ) -> None:
        body: dict[str, Any] | None = {} if method == "PATCH" else None
        for webhook_id in (theirs[0], uuid4(), "nonsense"):
            response = await api.request(method, f"{WEBHOOKS}/{webhook_id}{suffix}", json=body)
            refusal(response, 404, "not_found", "webhook_id")

    @pytest.mark.parametrize(("method", "suffix"), OF_DELIVERIES)
    async def test_deliveries_do_not_exist(
        self, api: httpx.AsyncClient, theirs: tuple[UUID, UUID], method: str, suffix: str
    ) -> None:
        for delivery_id in (theirs[1], uuid4(), "nonsense"):
            response = await api.request(method, f"{WEBHOOKS}/deliveries/{delivery_id}{suffix}")
            refusal(response, 404, "not_found", "delivery_id")

    async def test_nothing_of_theirs_is_listed(
        self, api: httpx.AsyncClient, resources: Resources, theirs: tuple[UUID, UUID]
    ) -> None:
        async with resources.sessions.begin() as session:
            endpoint = (await session.scalars(select(Endpoint).where(Endpoint.id == theirs[0]))).one()
            await service.test(session, endpoint.account_id, endpoint.id)
            page = await queries.deliveries_of(session, endpoint.account_id, limit=1, cursor=None)
        assert page.next_cursor
        assert data_of(await api.get(WEBHOOKS)) == {"webhooks": []}
        for query in ({}, {"cursor": page.next_cursor}):
            assert data_of(await api.get(f"{WEBHOOKS}/deliveries", params=query))["deliveries"] == []
        refusal(
            await api.get(f"{WEBHOOKS}/deliveries", params={"cursor": str(theirs[1])}),
            400,
            "invalid_request",
            "cursor",
        )

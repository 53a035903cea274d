"""Credits over HTTP, as a customer, a stranger and an administrator see them."""

import asyncio
import csv
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mien.accounts.models import Account, ApiKey
from mien.billing import ledger
from mien.billing.models import Outcome

Clients = Any  # conftest's; test files share no modules
Sessions = async_sessionmaker[AsyncSession]
Standing = Callable[[UUID], Awaitable[Any]]

WANTED = {
    "model": "face-swap",
    "image": "https://example.com/target.jpg",
    "face_image": "https://example.com/face.jpg",
}


@pytest.fixture
def database_url(module_database_url: str) -> str:
    """One database for all: each test has accounts of its own."""
    return module_database_url


async def grant(clients: Clients, credits: int = 300, **more: str) -> httpx.Response:
    response: httpx.Response = await clients.administrator.post(
        f"/api/v1/admin/accounts/{clients.customer_id}/grants", json={"credits": credits, **more}
    )
    return response


async def read(client: httpx.AsyncClient, path: str) -> Any:
    response = await client.get(path)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert (answer["code"], answer["message"]) == (200, "success")
    return answer["data"]


def refused(response: httpx.Response, status: int, type: str, param: str | None = None) -> str:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert (error["type"], error["param"]) == (type, param)
    return str(error["message"])


async def task(client: httpx.AsyncClient) -> str:
    response = await client.post("/api/v1/images/tools/face-swap", json=WANTED)
    assert response.status_code == 200, response.text
    return str(response.json()["data"]["task_id"])


class TestAccount:
    async def test_shows_credits_limits_and_what_is_under_way(self, clients: Clients) -> None:
        await grant(clients)
        first, _ = await task(clients.customer), await task(clients.customer)
        await clients.customer.post(f"/api/v1/tasks/{first}/cancel")
        shown = await read(clients.customer, "/api/v1/account")
        assert shown["account_id"] == str(clients.customer_id)
        assert (shown["name"], shown["email"], shown["is_administrator"]) == ("Customer", None, False)
        assert (shown["balance"], shown["held"], shown["debt"]) == (297, 3, 0)
        assert shown["price_per_face"] == 3
        assert shown["limits"] == {
            "requests_per_minute": 3000,
            "tasks_in_flight": 100,
            "tasks_per_day": 10_000,
        }
        assert shown["key_limits"] is None
        assert shown["counts"] == {"tasks_in_flight": 1, "tasks_last_24_hours": 2, "keys": 1}

    async def test_needs_a_key(self, clients: Clients) -> None:
        response = await clients.customer.get("/api/v1/account", headers={"Authorization": ""})
        assert response.status_code == 401


class TestUsage:
    async def test_is_told_by_day_key_and_status(self, clients: Clients, sessions: Sessions) -> None:
        await grant(clients)
        async with sessions.begin() as session:
            found = select(ApiKey.id).where(ApiKey.account_id == clients.customer_id)
            key_id = (await session.scalars(found)).one()
            for number, (key, faces) in enumerate(
                [(key_id, 1), (key_id, 2), (key_id, 1), (None, 1), (key_id, 1)]
            ):
                await ledger.hold(
                    session,
                    clients.customer_id,
                    f"{clients.customer_id}_{number}",
                    key,
                    faces,
                    price_per_face=3,
                )
            await ledger.settle(session, f"{clients.customer_id}_0")
            await ledger.settle(session, f"{clients.customer_id}_1")
            await ledger.release(session, f"{clients.customer_id}_2", Outcome.FAILED)
            await ledger.release(session, f"{clients.customer_id}_3", Outcome.CANCELED)
        today = datetime.now(UTC).date()
        usage = await read(clients.customer, "/api/v1/usage")
        assert (usage["from"], usage["to"]) == (str(today - timedelta(days=29)), str(today))
        rows = [
            (
                row["date"],
                row["key_id"],
                row["key_name"],
                row["status"],
                row["tasks"],
                row["faces"],
                row["credits"],
            )
            for row in usage["days"]
        ]
        assert sorted(rows, key=str) == sorted(
            [
                (str(today), str(key_id), "Customer", "completed", 2, 3, 9),
                (str(today), str(key_id), "Customer", "failed", 1, 1, 0),
                (str(today), None, None, "canceled", 1, 1, 0),
                (str(today), str(key_id), "Customer", "IN_PROGRESS", 1, 1, 3),
            ],
            key=str,
        )
        assert usage["total"] == {"tasks": 5, "faces": 6, "credits": 12}

        (table,) = {
            (await clients.customer.get("/api/v1/usage", params={"format": "csv"})).text,
            (await clients.customer.get("/api/v1/usage", headers={"Accept": "text/csv"})).text,
        }
        head, *lines = csv.reader(table.splitlines())
        assert head == ["date", "key_id", "key_name", "status", "tasks", "faces", "credits"]
        assert sorted(lines) == sorted(["" if cell is None else str(cell) for cell in row] for row in rows)

    async def test_as_csv_is_a_file(self, clients: Clients) -> None:
        response = await clients.customer.get("/api/v1/usage?format=csv&from=2026-01-01&to=2026-01-31")
        assert response.headers["content-type"] == "text/csv; charset=utf-8"
        assert 'filename="usage-2026-01-01-2026-01-31.csv"' in response.headers["content-disposition"]

    async def test_of_other_days_is_not_shown(self, clients: Clients) -> None:
        await grant(clients)
        await task(clients.customer)
        today = datetime.now(UTC).date()
        for day, count in ((today, 1), (today - timedelta(days=1), 0), (today + timedelta(days=1), 0)):
            usage = await read(clients.customer, f"/api/v1/usage?from={day}&to={day}")
            assert usage["total"]["tasks"] == count

    async def test_of_others_is_not_shown(self, clients: Clients) -> None:
        await grant(clients)
        await task(clients.customer)
        assert (await read(clients.stranger, "/api/v1/usage"))["days"] == []

    @pytest.mark.parametrize(
        ("query", "param"),
        [
            ("from=yesterday", "from"),
            ("from=0", "from"),
            ("to=2026-02-30", "to"),
            ("from=2026-02-02&to=2026-02-01", "from"),
            ("from=2025-01-01&to=2026-01-02", "from"),
            ("from=0001-01-01&to=9999-12-31", "from"),
            ("from=9999-12-31", "from"),
            ("format=xml", "format"),
        ],
    )
    async def test_of_days_that_make_no_sense_is_refused(
        self, clients: Clients, query: str, param: str
    ) -> None:
        refused(await clients.customer.get(f"/api/v1/usage?{query}"), 400, "invalid_request", param)

    @pytest.mark.parametrize("query", ["to=0001-01-01", "from=9999-12-31&to=9999-12-31"])
    async def test_of_the_ends_of_time_is_empty(self, clients: Clients, query: str) -> None:
        assert (await read(clients.customer, f"/api/v1/usage?{query}"))["days"] == []


class TestCreations:
    @pytest.mark.slow
    async def test_two_hundred_at_once_on_a_hundred_swaps_worth(
        self, clients: Clients, sessions: Sessions, standing: Standing
    ) -> None:
        await grant(clients, 300)
        async with sessions.begin() as session:
            await session.execute(
                update(Account).where(Account.id == clients.customer_id).values(tasks_in_flight=1000)
            )
        responses = await asyncio.gather(
            *(
                clients.customer.post("/api/v1/images/tools/face-swap", json=WANTED, timeout=60)
                for _ in range(200)
            )
        )
        assert sorted(response.status_code for response in responses) == [200] * 100 + [402] * 100
        refusals = [response for response in responses if response.status_code == 402]
        assert {refused(response, 402, "insufficient_credits") for response in refusals} == {
            "This task costs 3 credits (3 a face), and the balance is 0. Buy credits with POST "
            "/api/v1/orders, or ask who runs this service for some."
        }
        assert (await standing(clients.customer_id)).balance == 0
        usage = await read(clients.customer, "/api/v1/usage")
        assert usage["total"] == {"tasks": 100, "faces": 100, "credits": 300}


class TestEntries:
    async def test_come_in_pages_newest_first(self, clients: Clients) -> None:
        for credits in range(1, 6):
            await grant(clients, credits, reason=f"Gift {credits}")
        seen = []
        cursor: str | None = ""
        while cursor is not None:
            page = await read(
                clients.customer, f"/api/v1/credits/entries?limit=2{cursor and f'&cursor={cursor}'}"
            )
            seen += [(entry["kind"], entry["credits"], entry["reason"]) for entry in page["entries"]]
            cursor = page["next_cursor"]
        assert seen == [("grant", credits, f"Gift {credits}") for credits in range(5, 0, -1)]

    async def test_tell_what_a_task_cost(self, clients: Clients) -> None:
        await grant(clients)
        task_id = await task(clients.customer)
        await clients.customer.post(f"/api/v1/tasks/{task_id}/cancel")
        entries = (await read(clients.customer, "/api/v1/credits/entries?limit=2"))["entries"]
        assert [(entry["kind"], entry["credits"], entry["outcome"]) for entry in entries] == [
            ("release", 3, "canceled"),
            ("hold", -3, None),
        ]
        assert {entry["task_id"] for entry in entries} == {task_id}
        assert {entry["faces"] for entry in entries} == {1}

    async def test_of_others_are_not_shown(self, clients: Clients) -> None:
        await grant(clients)
        assert (await read(clients.stranger, "/api/v1/credits/entries"))["entries"] == []

    @pytest.mark.parametrize(
        ("query", "param"),
        [
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("cursor=x", "cursor"),
            ("curser=x", "curser"),
            ("cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk", "cursor"),  # twenty nines
        ],
    )
    async def test_of_no_sensible_page_are_refused(self, clients: Clients, query: str, param: str) -> None:
        response = await clients.customer.get(f"/api/v1/credits/entries?{query}")
        refused(response, 400, "invalid_request", param)


class TestOrders:
    async def test_packs_are_listed(self, clients: Clients) -> None:
        shown = await read(clients.customer, "/api/v1/credits/packs")
        assert shown["price_per_face"] == 3
        assert shown["packs"][0] == {"credits": 1500, "price": {"amount": "3.00", "currency": "USD"}}

    async def test_a_pack_is_ordered_confirmed_and_credited_once(
        self, clients: Clients, standing: Standing
    ) -> None:
        response = await clients.customer.post("/api/v1/orders", json={"credits": 5000})
        placed = response.json()["data"]
        assert (placed["status"], placed["provider"], placed["checkout_url"]) == ("pending", "manual", None)
        assert placed["price"] == {"amount": "10.00", "currency": "USD"}
        assert (await standing(clients.customer_id)).balance == 0
        for _ in range(2):
            confirmed = await clients.administrator.post(f"/api/v1/orders/{placed['order_id']}/confirm")
            assert confirmed.json()["data"]["status"] == "paid"
        assert (await standing(clients.customer_id)).balance == 5000
        shown = await read(clients.customer, f"/api/v1/orders/{placed['order_id']}")
        assert (shown["status"], shown["paid_at"] is None) == ("paid", False)

    async def test_a_pack_that_is_not_sold_is_refused(self, clients: Clients) -> None:
        response = await clients.customer.post("/api/v1/orders", json={"credits": 1})
        assert "1500, 5000, 25000" in refused(response, 400, "invalid_request", "credits")

    @pytest.mark.parametrize(
        ("body", "param"),
        [({}, "credits"), ({"credits": "5000"}, "credits"), ({"credits": 5000, "x": 1}, "x")],
    )
    async def test_a_mistake_is_named(self, clients: Clients, body: dict[str, Any], param: str) -> None:
        refused(await clients.customer.post("/api/v1/orders", json=body), 400, "invalid_request", param)

    async def test_come_in_pages_newest_first(self, clients: Clients) -> None:
        placed = [
            (await clients.customer.post("/api/v1/orders", json={"credits": 1500})).json()["data"]["order_id"]
            for _ in range(3)
        ]
        first = await read(clients.customer, "/api/v1/orders?limit=2")
        rest = await read(clients.customer, f"/api/v1/orders?limit=2&cursor={first['next_cursor']}")
        seen = [order["order_id"] for order in first["orders"] + rest["orders"]]
        assert seen == placed[::-1]
        assert rest["next_cursor"] is None

    async def test_of_others_do_not_exist(self, clients: Clients) -> None:
        order_id = (await clients.customer.post("/api/v1/orders", json={"credits": 1500})).json()["data"][
            "order_id"
        ]
        for response in (
            await clients.stranger.get(f"/api/v1/orders/{order_id}"),
            await clients.stranger.post(f"/api/v1/orders/{order_id}/confirm"),
            await clients.customer.get(f"/api/v1/orders/{uuid4()}"),
            await clients.administrator.post(f"/api/v1/orders/{uuid4()}/confirm"),
            await clients.customer.get("/api/v1/orders/nonsense"),
        ):
            refused(response, 404, "not_found", "order_id")
        await clients.customer.post("/api/v1/orders", json={"credits": 1500})
        cursor = (await read(clients.customer, "/api/v1/orders?limit=1"))["next_cursor"]
        for query in ("", f"?cursor={cursor}"):
            assert (await read(clients.stranger, f"/api/v1/orders{query}"))["orders"] == []
        refused(
            await clients.stranger.get(f"/api/v1/orders?cursor={order_id}"), 400, "invalid_request", "cursor"
        )

    async def test_are_confirmed_by_administrators_alone(self, clients: Clients, standing: Standing) -> None:
        placed = (await clients.customer.post("/api/v1/orders", json={"credits": 1500})).json()["data"]
        response = await clients.customer.post(f"/api/v1/orders/{placed['order_id']}/confirm")
        refused(response, 403, "permission_denied")
        assert (await standing(clients.customer_id)).balance == 0


class TestGrants:
    async def test_are_an_administrators(self, clients: Clients, standing: Standing) -> None:
        response = await grant(clients, 42, reason="Sorry for the outage")
        entry = response.json()["data"]
        assert (entry["kind"], entry["credits"], entry["reason"]) == ("grant", 42, "Sorry for the outage")
        assert (await standing(clients.customer_id)).balance == 42

    async def test_are_refused_to_others(self, clients: Clients, standing: Standing) -> None:
        for client in (clients.customer, clients.stranger):
            response = await client.post(
                f"/api/v1/admin/accounts/{clients.customer_id}/grants", json={"credits": 1}
            )
            refused(response, 403, "permission_denied")
        assert (await standing(clients.customer_id)).balance == 0

    async def test_need_an_account(self, clients: Clients) -> None:
        for account_id in (uuid4(), "nonsense"):
            response = await clients.administrator.post(
                f"/api/v1/admin/accounts/{account_id}/grants", json={"credits": 1}
            )
            refused(response, 404, "not_found", "account_id")

    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ({"credits": 0}, "credits"),
            ({"credits": -1}, "credits"),
            ({"credits": 10**13}, "credits"),
            ({"credits": 1.5}, "credits"),
            ({"credits": 1, "reason": ""}, "reason"),
            ({"credits": 1, "reason": "\0"}, "reason"),
            ({"credits": 1, "reason": "x" * 201}, "reason"),
        ],
    )
    async def test_that_make_no_sense_are_refused(
        self, clients: Clients, body: dict[str, Any], param: str
    ) -> None:
        response = await clients.administrator.post(
            f"/api/v1/admin/accounts/{clients.customer_id}/grants", json=body
        )
        refused(response, 400, "invalid_request", param)

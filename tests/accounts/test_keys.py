"""People manage their keys, and keys stop working the moment they should."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, update

from mien.accounts.models import Account, ApiKey
from mien.accounts.service import MAX_KEYS, authenticate
from mien.resources import Resources
from mien.settings import Settings

KEYS = "/api/v1/keys"

Browser = Callable[..., httpx.AsyncClient]
Person = Callable[..., Awaitable[httpx.AsyncClient]]


def refused(response: httpx.Response, status: int, type: str, param: str | None = None) -> str:
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"]) == (status, type, param), response.text
    return str(error["message"])


async def make(client: httpx.AsyncClient, **properties: Any) -> dict[str, Any]:
    response = await client.post(KEYS, json={"name": "Shop", **properties})
    assert response.status_code == 200, response.text
    return dict(response.json()["data"])


def bearer(key: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {key['key']}"}


class TestCreate:
    async def test_shows_the_key_once(self, signed_up: Person, browser: Browser) -> None:
        ada = await signed_up()
        response = await ada.post(KEYS, json={"name": "Shop"})
        assert response.headers["cache-control"] == "no-store"
        key = response.json()["data"]
        assert key["key"].startswith(key["prefix"])
        assert (await browser().get(KEYS, headers=bearer(key))).status_code == 200
        listed = (await ada.get(KEYS)).json()["data"]["keys"]
        assert [one["key_id"] for one in listed] == [key["key_id"]]
        assert "key" not in listed[0]
        assert listed[0]["last_used_at"] is not None

    @pytest.mark.parametrize(
        ("change", "param"),
        [
            ({"name": ""}, "name"),
            ({"name": None}, "name"),
            ({"name": "a" * 101}, "name"),
            ({"name": "a\u0000"}, "name"),
            ({"requests_per_minute": 0}, "requests_per_minute"),
            ({"tasks_in_flight": "1"}, "tasks_in_flight"),
            ({"tasks_per_day": 2**31}, "tasks_per_day"),
            ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
            ({"expires_at": "2100-01-01T00:00:00"}, "expires_at"),
            ({"expires_at": "9999-12-31T23:59:59-12:00"}, "expires_at"),
            ({"expires_at": "0001-01-01T00:00:00+12:00"}, "expires_at"),
            ({"expires_at": "tomorrow"}, "expires_at"),
            ({"account_id": "x"}, "account_id"),
        ],
    )
    async def test_names_the_field_at_fault(
        self, operator: httpx.AsyncClient, change: dict[str, Any], param: str
    ) -> None:
        response = await operator.post(KEYS, json={"name": "Shop", **change})
        refused(response, 400, "invalid_request", param)

    async def test_there_are_so_many_keys_at_most_however_they_are_made(
        self, operator: httpx.AsyncClient, resources: Resources
    ) -> None:
        async with resources.sessions.begin() as session:
            account_id = await session.scalar(select(Account.id))
            session.add_all(
                ApiKey(account_id=account_id, name="", key_hash=bytes([n]), prefix="")
                for n in range(MAX_KEYS - 3)
            )
        made = await asyncio.gather(*(operator.post(KEYS, json={"name": "Shop"}) for _ in range(5)))
        assert sorted(response.status_code for response in made) == [200, 200, 409, 409, 409]


class TestRestrictedKeys:
    @pytest.mark.parametrize("restriction", [{"tasks_per_day": 10}, {"expires_at": "2100-01-01T00:00:00Z"}])
    async def test_cannot_free_themselves(
        self, operator: httpx.AsyncClient, browser: Browser, restriction: dict[str, Any]
    ) -> None:
        key = await make(operator, **restriction)
        shop = browser()
        shop.headers.update(bearer(key))
        refused(await shop.post(KEYS, json={"name": "Free"}), 403, "permission_denied")
        freedom = dict.fromkeys(restriction)
        response = await shop.patch(f"{KEYS}/{key['key_id']}", json=freedom)
        refused(response, 403, "permission_denied")
        other = await make(operator)
        refused(await shop.delete(f"{KEYS}/{other['key_id']}"), 403, "permission_denied")
        refused(await shop.get("/api/v1/admin/accounts"), 403, "permission_denied")
        response = await shop.patch("/api/v1/account/settings", json={"retention_seconds": 60})
        refused(response, 403, "permission_denied")

    async def test_can_revoke_themselves(self, operator: httpx.AsyncClient, browser: Browser) -> None:
        key = await make(operator, tasks_per_day=10)
        for status in (204, 401):
            response = await browser().delete(f"{KEYS}/{key['key_id']}", headers=bearer(key))
            assert response.status_code == status


class TestChange:
    async def test_changes_what_is_named_and_nothing_else(self, operator: httpx.AsyncClient) -> None:
        key = await make(operator, tasks_per_day=10, expires_at="2100-01-01T00:00:00Z")
        address = f"{KEYS}/{key['key_id']}"
        changed = (await operator.patch(address, json={"name": "Old shop"})).json()["data"]
        assert (changed["name"], changed["tasks_per_day"]) == ("Old shop", 10)
        freed = await operator.patch(address, json={"tasks_per_day": None, "expires_at": None})
        assert (freed.json()["data"]["tasks_per_day"], freed.json()["data"]["expires_at"]) == (None, None)
        refused(await operator.patch(address, json={"name": None}), 400, "invalid_request", "name")

    async def test_revoked_keys_stop_at_once_in_every_process(
        self, operator: httpx.AsyncClient, browser: Browser
    ) -> None:
        key = await make(operator)
        elsewhere = browser(process=1)
        assert (await elsewhere.get(KEYS, headers=bearer(key))).status_code == 200
        assert (await operator.delete(f"{KEYS}/{key['key_id']}")).status_code == 204
        refused(await elsewhere.get(KEYS, headers=bearer(key)), 401, "authentication_error")
        assert key["key_id"] not in (await operator.get(KEYS)).text
        refused(await operator.delete(f"{KEYS}/{key['key_id']}"), 404, "not_found", "key_id")

    async def test_expired_keys_stop(
        self, operator: httpx.AsyncClient, browser: Browser, resources: Resources
    ) -> None:
        key = await make(operator, expires_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
        assert (await browser().get(KEYS, headers=bearer(key))).status_code == 200
        async with resources.sessions.begin() as session:
            expired = update(ApiKey).where(ApiKey.expires_at.is_not(None))
            await session.execute(expired.values(expires_at=func.now()))
        refused(await browser().get(KEYS, headers=bearer(key)), 401, "authentication_error")

    async def test_another_accounts_key_does_not_exist(
        self, operator: httpx.AsyncClient, signed_up: Person
    ) -> None:
        ada = await signed_up()
        key = await make(operator)
        for key_id in (key["key_id"], "00000000-0000-0000-0000-000000000000", "x", "%00"):
            address = f"{KEYS}/{key_id}"
            refused(await ada.patch(address, json={"name": "Mine"}), 404, "not_found", "key_id")
            refused(await ada.delete(address), 404, "not_found", "key_id")
        assert (await ada.get(KEYS)).json()["data"]["keys"] == []


class TestLimits:
    async def test_are_the_keys_own_up_to_the_accounts(
        self, operator: httpx.AsyncClient, resources: Resources, settings: Settings
    ) -> None:
        key = await make(operator, tasks_per_day=5, requests_per_minute=1_000_000)
        async with resources.sessions.begin() as session:
            await session.execute(update(Account).values(tasks_in_flight=2))
        async with resources.sessions.begin() as session:
            caller = await authenticate(session, settings, key["key"])
        assert caller and caller.key_limits
        assert caller.limits.tasks_in_flight == caller.key_limits.tasks_in_flight == 2
        assert caller.limits.tasks_per_day == settings.tasks_per_day
        assert caller.key_limits.tasks_per_day == 5
        assert caller.key_limits.requests_per_minute == settings.requests_per_minute

    async def test_every_answer_to_a_known_caller_tells_them(
        self, operator: httpx.AsyncClient, browser: Browser
    ) -> None:
        key = await make(operator, requests_per_minute=3)
        for client, headers in ((operator, {}), (browser(), bearer(key))):
            response = await client.get("/api/v1/unknown", headers=headers)
            assert response.status_code == 404
            own = headers != {}
            policy = '"account";q=3000;w=60' + (', "key";q=3;w=60' if own else "")
            assert response.headers["ratelimit-policy"] == policy
            assert response.headers["ratelimit"].startswith('"account";r=299')
            assert ('"key";r=2;t=60' in response.headers["ratelimit"]) is own
        assert "ratelimit" not in (await browser().get(KEYS)).headers
        assert "ratelimit" not in (await browser().get("/healthz")).headers

    async def test_too_many_requests_are_refused_until_the_minute_is_over(
        self, operator: httpx.AsyncClient, browser: Browser
    ) -> None:
        key = await make(operator, requests_per_minute=2)
        shop = browser()
        shop.headers.update(bearer(key))
        assert [(await shop.get(KEYS)).status_code for _ in range(2)] == [200, 200]
        response = await shop.get(KEYS)
        assert "2 requests per minute" in refused(response, 429, "rate_limited")
        assert 0 < int(response.headers["retry-after"]) <= 60
        assert '"key";r=0;t=' in response.headers["ratelimit"]
        assert (await operator.get(KEYS)).status_code == 200

    async def test_sessions_share_the_accounts_minute(self, signed_up: Person, resources: Resources) -> None:
        ada = await signed_up()
        key = await make(ada)
        async with resources.sessions.begin() as session:
            await session.execute(update(Account).values(requests_per_minute=3))
        ada.headers.update(bearer(key))
        assert (await ada.get(KEYS)).status_code == 200
        del ada.headers["Authorization"]
        assert [(await ada.get(KEYS)).status_code for _ in range(2)] == [200, 429]


class TestAccountSettings:
    SETTINGS = "/api/v1/account/settings"

    async def test_retention_is_the_operators_or_less(self, signed_up: Person, resources: Resources) -> None:
        ada = await signed_up()
        week = 7 * 24 * 3600
        assert (await ada.get(self.SETTINGS)).json()["data"]["retention_seconds"] == week
        for wanted, kept in ((3600, 3600), (week, week), (None, week)):
            response = await ada.patch(self.SETTINGS, json={"retention_seconds": wanted})
            assert response.json()["data"]["retention_seconds"] == kept
            async with resources.sessions() as session:
                retention = await session.scalar(select(Account.retention))
            assert retention == (timedelta(seconds=wanted) if wanted else None)
        for odd in (week + 1, 59, 0, -1, 1.5, "60"):
            response = await ada.patch(self.SETTINGS, json={"retention_seconds": odd})
            refused(response, 400, "invalid_request", "retention_seconds")

    async def test_name_can_be_changed_alone(self, signed_up: Person) -> None:
        ada = await signed_up()
        await ada.patch(self.SETTINGS, json={"retention_seconds": 3600})
        changed = (await ada.patch(self.SETTINGS, json={"name": "Ada"})).json()["data"]
        assert (changed["name"], changed["retention_seconds"]) == ("Ada", 3600)

"""Administrators see to accounts and invites, and people reset forgotten passwords."""

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, update
from structlog.testing import capture_logs

from mien.accounts import upkeep
from mien.accounts.models import Account, Invite, Letter, PasswordReset, SignIn
from mien.resources import Resources

ADMIN, AUTH = "/api/v1/admin", "/api/v1/auth"
PASSWORD, NEW = "correct horse battery staple", "battery staple correct horse"
MAIL_SERVER = SecretStr("smtp://127.0.0.1:1")  # which only a worker connects to
ADA = {"email": "ada@example.com", "password": PASSWORD}

Browser = Callable[..., httpx.AsyncClient]
Person = Callable[..., Awaitable[httpx.AsyncClient]]


def refused(response: httpx.Response, status: int, type: str, param: str | None = None) -> str:
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"]) == (status, type, param), response.text
    return str(error["message"])


async def let_expire(resources: Resources, model: type[Invite] | type[PasswordReset]) -> None:
    async with resources.sessions.begin() as session:
        await session.execute(update(model).values(expires_at=func.now()))


async def letters_of(resources: Resources) -> list[Letter]:
    async with resources.sessions() as session:
        return list(await session.scalars(select(Letter)))


class TestWhoMay:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "accounts"),
            ("PATCH", "accounts/x"),
            ("GET", "invites"),
            ("POST", "invites"),
            ("DELETE", "invites/x"),
            ("GET", "password-resets"),
        ],
    )
    async def test_only_administrators_administrate(
        self, operator: httpx.AsyncClient, signed_up: Person, browser: Browser, method: str, path: str
    ) -> None:
        ada = await signed_up()
        refused(await ada.request(method, f"{ADMIN}/{path}"), 403, "permission_denied")
        refused(await browser().request(method, f"{ADMIN}/{path}"), 401, "authentication_error")


class TestAccounts:
    async def test_are_listed_in_pages(self, operator: httpx.AsyncClient, signed_up: Person) -> None:
        for name in ("ada", "grace", "joan"):
            await signed_up(f"{name}@example.com")
        emails: list[str | None] = []
        parameters: dict[str, str] | None = {"limit": "2"}
        while parameters:
            page = (await operator.get(f"{ADMIN}/accounts", params=parameters)).json()["data"]
            emails += [account["email"] for account in page["accounts"]]
            parameters = {"limit": "2", "cursor": page["next_cursor"]} if page["next_cursor"] else None
        assert emails == ["joan@example.com", "grace@example.com", "ada@example.com", None]

    @pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=x"])
    async def test_odd_pages_are_refused(self, operator: httpx.AsyncClient, query: str) -> None:
        response = await operator.get(f"{ADMIN}/accounts?{query}")
        refused(response, 400, "invalid_request", query.partition("=")[0])

    async def test_disabling_stops_keys_and_sessions_at_once(
        self, operator: httpx.AsyncClient, signed_up: Person, browser: Browser
    ) -> None:
        ada = await signed_up()
        key = (await ada.post("/api/v1/keys", json={"name": "Shop"})).json()["data"]["key"]
        shop = browser(process=1)
        shop.headers["Authorization"] = f"Bearer {key}"
        account_id = (await ada.get(f"{AUTH}/session")).json()["data"]["account_id"]
        answer = await operator.patch(f"{ADMIN}/accounts/{account_id}", json={"enabled": False})
        assert answer.json()["data"]["enabled"] is False
        assert answer.json()["data"]["disabled_at"] is not None
        for client in (ada, shop):
            refused(await client.get("/api/v1/keys"), 401, "authentication_error")
        await operator.patch(f"{ADMIN}/accounts/{account_id}", json={"enabled": True})
        assert (await shop.get("/api/v1/keys")).status_code == 200
        refused(await ada.get("/api/v1/keys"), 401, "authentication_error")  # has to sign in again

    async def test_nobody_locks_themselves_out(
        self, operator: httpx.AsyncClient, resources: Resources
    ) -> None:
        async with resources.sessions() as session:
            own = await session.scalar(select(Account.id))
        response = await operator.patch(f"{ADMIN}/accounts/{own}", json={"enabled": False})
        refused(response, 409, "conflict")

    async def test_limits_are_set_and_taken_back(
        self, operator: httpx.AsyncClient, signed_up: Person
    ) -> None:
        ada = await signed_up()
        account_id = (await ada.get(f"{AUTH}/session")).json()["data"]["account_id"]
        for limit, shown in ((7, 7), (None, 3000)):
            await operator.patch(f"{ADMIN}/accounts/{account_id}", json={"requests_per_minute": limit})
            response = await ada.get("/api/v1/keys")
            assert response.headers["ratelimit-policy"] == f'"account";q={shown};w=60'

    async def test_unknown_ones_are_not_found(self, operator: httpx.AsyncClient) -> None:
        for account_id in ("x", "00000000-0000-0000-0000-000000000000"):
            response = await operator.patch(f"{ADMIN}/accounts/{account_id}", json={"enabled": False})
            refused(response, 404, "not_found", "account_id")


class TestInvites:
    @pytest.fixture
    def settings(self, settings: Any) -> Any:
        return settings.model_copy(update={"signup": "invite"})

    async def invite(self, operator: httpx.AsyncClient, email: str | None = None) -> dict[str, Any]:
        response = await operator.post(f"{ADMIN}/invites", json={"email": email})
        assert response.status_code == 200, response.text
        return dict(response.json()["data"])

    async def sign_up(self, browser: Browser, invite: dict[str, Any], **change: str) -> httpx.Response:
        token = invite["link"].partition("#")[2]
        return await browser().post(f"{AUTH}/sign-up", json={**ADA, "invite": token, **change})

    async def test_let_one_person_sign_up(
        self, operator: httpx.AsyncClient, browser: Browser, resources: Resources
    ) -> None:
        invite = await self.invite(operator)
        assert invite["link"].startswith("http://mien.test/sign-up#")
        without = await browser().post(f"{AUTH}/sign-up", json=ADA)
        assert "needs an invite" in refused(without, 403, "permission_denied", "invite")
        for password in ("short", PASSWORD):
            answer = await self.sign_up(browser, invite, password=password)
        assert answer.status_code == 200
        assert answer.json()["data"]["is_administrator"] is False
        again = await self.sign_up(browser, invite, email="grace@example.com")
        refused(again, 403, "permission_denied", "invite")

    async def test_serve_one_of_those_who_come_at_once(
        self, operator: httpx.AsyncClient, browser: Browser
    ) -> None:
        invite = await self.invite(operator)
        answers = await asyncio.gather(
            *(self.sign_up(browser, invite, email=f"{number}@example.com") for number in range(4))
        )
        assert sorted(answer.status_code for answer in answers) == [200, 403, 403, 403]

    async def test_of_an_address_serve_nobody_else(
        self, operator: httpx.AsyncClient, browser: Browser
    ) -> None:
        invite = await self.invite(operator, "ADA@example.com")
        other = await self.sign_up(browser, invite, email="eve@example.com")
        refused(other, 403, "permission_denied", "invite")
        assert (await self.sign_up(browser, invite)).status_code == 200

    async def test_a_failed_sign_up_does_not_use_one_up(
        self, operator: httpx.AsyncClient, browser: Browser
    ) -> None:
        await self.sign_up(browser, await self.invite(operator))
        invite = await self.invite(operator)
        refused(await self.sign_up(browser, invite), 409, "conflict", "email")
        assert (await self.sign_up(browser, invite, email="grace@example.com")).status_code == 200

    async def test_expire(self, operator: httpx.AsyncClient, browser: Browser, resources: Resources) -> None:
        invite = await self.invite(operator)
        await let_expire(resources, Invite)
        refused(await self.sign_up(browser, invite), 403, "permission_denied", "invite")
        assert (await operator.get(f"{ADMIN}/invites")).json()["data"]["invites"] == []

    async def test_can_be_withdrawn(self, operator: httpx.AsyncClient, browser: Browser) -> None:
        invite = await self.invite(operator)
        (listed,) = (await operator.get(f"{ADMIN}/invites")).json()["data"]["invites"]
        assert listed == {name: value for name, value in invite.items() if name != "link"}
        address = f"{ADMIN}/invites/{invite['invite_id']}"
        assert (await operator.delete(address)).status_code == 204
        refused(await operator.delete(address), 404, "not_found", "invite_id")
        refused(await self.sign_up(browser, invite), 403, "permission_denied", "invite")

    async def test_say_so_where_they_would_not_help(
        self, operator: httpx.AsyncClient, browser: Browser
    ) -> None:
        closed = browser(signup="closed")
        closed.headers["Authorization"] = operator.headers["Authorization"]
        response = await closed.post(f"{ADMIN}/invites", json={})
        assert "MIEN_SIGNUP" in refused(response, 409, "conflict")

    async def test_of_an_address_are_mailed_to_it_where_there_is_a_mail_server(
        self, resources: Resources, operator: httpx.AsyncClient, browser: Browser
    ) -> None:
        mailing = browser(smtp_url=MAIL_SERVER)
        mailing.headers["Authorization"] = operator.headers["Authorization"]
        invite = await self.invite(mailing, "ada@example.com")
        await self.invite(mailing)
        await self.invite(operator, "grace@example.com")
        (letter,) = await letters_of(resources)
        assert str(letter.invite_id) == invite["invite_id"]


class TestPasswordResets:
    REQUEST, CONFIRM = f"{AUTH}/password-reset", f"{AUTH}/password-reset/confirm"

    async def ask(self, client: httpx.AsyncClient, email: str = "ada@example.com") -> None:
        response = await client.post(self.REQUEST, json={"email": email})
        assert (response.status_code, response.content) == (202, b"")

    async def listed(self, operator: httpx.AsyncClient) -> list[dict[str, Any]]:
        answer = (await operator.get(f"{ADMIN}/password-resets")).json()
        return list(answer["data"]["password_resets"])

    async def confirm(self, client: httpx.AsyncClient, link: str) -> httpx.Response:
        token = link.partition("#")[2]
        return await client.post(self.CONFIRM, json={"token": token, "new_password": NEW})

    async def test_without_a_mail_server_the_log_and_the_administrator_have_the_link(
        self, operator: httpx.AsyncClient, signed_up: Person, browser: Browser
    ) -> None:
        ada = await signed_up()
        with capture_logs() as lines:
            await self.ask(browser())
        (waiting,) = await self.listed(operator)
        assert waiting["email"] == "ada@example.com"
        assert waiting["link"].startswith("http://mien.test/reset-password#")
        assert [line["link"] for line in lines if "link" in line] == [waiting["link"]]

        assert (await self.confirm(browser(), waiting["link"])).status_code == 204
        refused(await ada.get(f"{AUTH}/session"), 401, "authentication_error")
        refused(await browser().post(f"{AUTH}/sign-in", json=ADA), 401, "authentication_error")
        signed_in = await browser().post(f"{AUTH}/sign-in", json={**ADA, "password": NEW})
        assert signed_in.status_code == 200
        assert await self.listed(operator) == []

    async def test_with_one_the_link_is_mailed_and_nobody_else_has_it(
        self, resources: Resources, operator: httpx.AsyncClient, signed_up: Person, browser: Browser
    ) -> None:
        await signed_up()
        mailing = browser(smtp_url=MAIL_SERVER)
        mailing.headers["Authorization"] = operator.headers["Authorization"]
        with capture_logs() as lines:
            await self.ask(mailing)
        (letter,) = await letters_of(resources)
        assert letter.reset_id
        assert await self.listed(mailing) == []
        assert "#" not in str(lines)

    async def test_an_unknown_address_is_answered_alike_and_nothing_happens(
        self, operator: httpx.AsyncClient, browser: Browser
    ) -> None:
        await self.ask(browser(), "nobody@example.com")
        assert await self.listed(operator) == []

    async def test_a_link_works_once_also_for_those_who_come_at_once(
        self, operator: httpx.AsyncClient, signed_up: Person, browser: Browser
    ) -> None:
        await signed_up()
        await self.ask(browser())
        await self.ask(browser())
        first, second = await self.listed(operator)
        answers = await asyncio.gather(*(self.confirm(browser(), first["link"]) for _ in range(4)))
        assert sorted(answer.status_code for answer in answers) == [204, 401, 401, 401]
        refused(await self.confirm(browser(), second["link"]), 401, "authentication_error")

    async def test_a_link_expires(
        self, operator: httpx.AsyncClient, signed_up: Person, browser: Browser, resources: Resources
    ) -> None:
        await signed_up()
        await self.ask(browser())
        (waiting,) = await self.listed(operator)
        await let_expire(resources, PasswordReset)
        assert await self.listed(operator) == []
        refused(await self.confirm(browser(), waiting["link"]), 401, "authentication_error")

    async def test_a_made_up_link_is_refused(
        self, signed_up: Person, browser: Browser, resources: Resources
    ) -> None:
        await signed_up()
        await self.ask(browser())
        async with resources.sessions() as session:
            reset_id = (await session.scalars(select(PasswordReset.id))).one()
        forged = urlsafe_b64encode(reset_id.bytes + bytes(32)).decode()
        for token in (forged, "", "x", "é", forged[:20]):
            refused(await self.confirm(browser(), f"#{token}"), 401, "authentication_error")
        async with resources.sessions() as session:
            assert await session.scalar(select(func.count()).select_from(SignIn)) == 1

    async def test_opens_an_account_whose_owner_guessed_too_often(
        self, operator: httpx.AsyncClient, signed_up: Person, browser: Browser
    ) -> None:
        await signed_up()
        for _ in range(11):
            answer = await browser().post(f"{AUTH}/sign-in", json={**ADA, "password": "wrong"})
        refused(answer, 429, "rate_limited")
        await self.ask(browser())
        (waiting,) = await self.listed(operator)
        await self.confirm(browser(), waiting["link"])
        signed_in = await browser().post(f"{AUTH}/sign-in", json={**ADA, "password": NEW})
        assert signed_in.status_code == 200

    async def test_not_of_a_disabled_account(
        self, operator: httpx.AsyncClient, signed_up: Person, browser: Browser, resources: Resources
    ) -> None:
        await signed_up()
        await self.ask(browser())
        (waiting,) = await self.listed(operator)
        async with resources.sessions.begin() as session:
            mine = update(Account).where(Account.email == "ada@example.com")
            await session.execute(mine.values(disabled_at=func.now()))
        refused(await self.confirm(browser(), waiting["link"]), 403, "permission_denied")

    async def test_can_be_asked_for_three_times_an_hour(self, browser: Browser) -> None:
        for _ in range(3):
            await self.ask(browser())
        response = await browser("203.0.113.8").post(self.REQUEST, json={"email": "ada@example.com"})
        refused(response, 429, "rate_limited")
        await self.ask(browser(), "grace@example.com")


async def test_an_expired_invite_outlives_no_tidying(
    operator: httpx.AsyncClient, resources: Resources
) -> None:
    await operator.post(f"{ADMIN}/invites", json={})
    async with resources.sessions.begin() as session:
        await session.execute(update(Invite).values(expires_at=Invite.expires_at - timedelta(days=8)))
    await upkeep.tidy(resources)
    async with resources.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Invite)) == 0

"""People sign up, in and out, and change their passwords, as their browsers see it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from sqlalchemy import func, select, update
from structlog.testing import capture_logs

from mien.accounts import passwords, upkeep
from mien.accounts.models import Account, Invite, PasswordReset, SignIn, Throttle
from mien.resources import Resources

AUTH = "/api/v1/auth"
PASSWORD = "correct horse battery staple"
ADA = {"email": "ada@example.com", "password": PASSWORD}

Browser = Callable[..., httpx.AsyncClient]
Person = Callable[..., Awaitable[httpx.AsyncClient]]


def refused(response: httpx.Response, status: int, type: str, param: str | None = None) -> str:
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"]) == (status, type, param), response.text
    return str(error["message"])


async def pass_time(resources: Resources, span: timedelta = timedelta(minutes=16)) -> None:
    """Let all that is counted or will expire be that much older."""
    async with resources.sessions.begin() as session:
        await session.execute(update(Throttle).values(ends_at=Throttle.ends_at - span))
        await session.execute(update(SignIn).values(expires_at=SignIn.expires_at - span))
        await session.execute(update(Invite).values(expires_at=Invite.expires_at - span))
        await session.execute(update(PasswordReset).values(expires_at=PasswordReset.expires_at - span))


class TestSignUp:
    async def test_makes_an_account_and_signs_its_person_in(self, signed_up: Person) -> None:
        ada = await signed_up("Ada@Example.com")
        session = (await ada.get(f"{AUTH}/session")).json()["data"]
        assert (session["email"], session["name"]) == ("ada@example.com", "ada@example.com")
        assert session["csrf_token"] == ada.headers["X-CSRF-Token"]

    async def test_first_account_is_the_administrators(self, signed_up: Person) -> None:
        ada, grace = await signed_up("ada@example.com"), await signed_up("grace@example.com")
        assert (await ada.get(f"{AUTH}/session")).json()["data"]["is_administrator"] is True
        assert (await grace.get(f"{AUTH}/session")).json()["data"]["is_administrator"] is False

    async def test_only_one_of_those_who_come_at_once_is_first(
        self, browser: Browser, resources: Resources
    ) -> None:
        clients = [browser(f"203.0.113.{number}") for number in range(8)]
        await asyncio.gather(
            *(
                client.post(f"{AUTH}/sign-up", json={**ADA, "email": f"{number}@example.com"})
                for number, client in enumerate(clients)
            )
        )
        async with resources.sessions() as session:
            administrators = select(func.count()).select_from(Account).where(Account.is_administrator)
            assert await session.scalar(select(func.count()).select_from(Account)) == 8
            assert await session.scalar(administrators) == 1

    async def test_an_address_has_one_account(self, browser: Browser, signed_up: Person) -> None:
        await signed_up()
        response = await browser().post(f"{AUTH}/sign-up", json={**ADA, "email": "ADA@example.com"})
        assert "Sign in" in refused(response, 409, "conflict", "email")
        assert "set-cookie" not in response.headers

    @pytest.mark.parametrize(
        ("change", "param"),
        [
            ({"email": "ada"}, "email"),
            ({"email": "ada@"}, "email"),
            ({"email": "ada@example.com\r\nBcc: eve@example.com"}, "email"),
            ({"email": f"{'a' * 250}@example.com"}, "email"),
            ({"email": None}, "email"),
            ({"password": "short"}, "password"),
            ({"password": "a" * 257}, "password"),
            ({"password": 1234567890}, "password"),
            ({"name": "\u0000"}, "name"),
            ({"is_administrator": True}, "is_administrator"),
        ],
    )
    async def test_names_the_field_at_fault_and_never_shows_a_password(
        self, browser: Browser, change: dict[str, object], param: str
    ) -> None:
        response = await browser().post(f"{AUTH}/sign-up", json={**ADA, **change})
        refused(response, 400, "invalid_request", param)
        assert PASSWORD not in response.text

    async def test_wants_json(self, browser: Browser) -> None:
        response = await browser().post(f"{AUTH}/sign-up", data=ADA)
        assert "application/json" in refused(response, 415, "unsupported_media_type")

    async def test_is_closed_unless_the_operator_opens_it(self, browser: Browser) -> None:
        response = await browser(signup="closed").post(f"{AUTH}/sign-up", json=ADA)
        refused(response, 403, "permission_denied")

    async def test_one_client_makes_ten_accounts_an_hour(self, browser: Browser) -> None:
        eve = browser()
        answers = [
            (await eve.post(f"{AUTH}/sign-up", json={**ADA, "email": f"{n}@example.com"})).status_code
            for n in range(11)
        ]
        assert answers == [200] * 10 + [429]
        assert (await browser("203.0.113.8").post(f"{AUTH}/sign-up", json=ADA)).status_code == 200


class TestSignIn:
    async def test_gives_a_cookie_that_scripts_and_other_sites_cannot_use(
        self, signed_up: Person, browser: Browser
    ) -> None:
        await signed_up()
        response = await browser().post(f"{AUTH}/sign-in", json={**ADA, "email": "Ada@example.COM"})
        assert response.status_code == 200
        assert response.headers["cache-control"] == "no-store"
        cookie = response.headers["set-cookie"]
        assert cookie.startswith("mien_session=")
        assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
        assert "Secure" not in cookie

    async def test_with_tls_the_cookie_never_leaves_it(self, signed_up: Person, browser: Browser) -> None:
        await signed_up()
        response = await browser(public_url="https://mien.test").post(f"{AUTH}/sign-in", json=ADA)
        cookie = response.headers["set-cookie"]
        assert cookie.startswith("__Host-mien_session=")
        assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= set(cookie.split("; "))

    async def test_below_a_path_the_cookie_is_for_that_path(
        self, signed_up: Person, browser: Browser
    ) -> None:
        await signed_up()
        client = browser(public_url="https://mien.test/swap")
        client.base_url = "https://mien.test"
        cookie = (await client.post(f"{AUTH}/sign-in", json=ADA)).headers["set-cookie"]
        assert cookie.startswith("mien_session=")
        assert "Path=/swap" in cookie.split("; ")

    async def test_database_holds_neither_password_nor_token(
        self, signed_up: Person, resources: Resources
    ) -> None:
        ada = await signed_up()
        token = ada.cookies["mien_session"]
        async with resources.sessions() as session:
            account = (await session.scalars(select(Account))).one()
            sign_in = (await session.scalars(select(SignIn))).one()
        assert account.password_hash and account.password_hash.startswith("$argon2id$")
        assert PASSWORD not in account.password_hash
        assert token.encode() not in sign_in.token_hash

    async def test_an_unknown_address_and_a_wrong_password_are_answered_alike_after_the_same_work(
        self, signed_up: Person, browser: Browser, hasher: Any
    ) -> None:
        await signed_up()
        answers, checks = [], []
        for email in ("ada@example.com", "nobody@example.com"):
            before = hasher.checks
            response = await browser().post(f"{AUTH}/sign-in", json={"email": email, "password": "wrong"})
            message = refused(response, 401, "authentication_error")
            answers.append((message, set(response.headers)))
            checks.append(hasher.checks - before)
        assert answers[0] == answers[1]
        assert checks == [1, 1]

    async def test_of_a_disabled_account_is_refused_once_the_password_is_right(
        self, signed_up: Person, browser: Browser, resources: Resources
    ) -> None:
        await signed_up()
        async with resources.sessions.begin() as session:
            await session.execute(update(Account).values(disabled_at=func.now()))
        wrong = await browser().post(f"{AUTH}/sign-in", json={**ADA, "password": "wrong"})
        assert "wrong" in refused(wrong, 401, "authentication_error")
        right = await browser().post(f"{AUTH}/sign-in", json=ADA)
        assert "disabled" in refused(right, 403, "permission_denied")

    async def test_renews_a_hash_of_weaker_parameters(
        self, signed_up: Person, browser: Browser, resources: Resources, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await signed_up()
        stronger = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
        monkeypatch.setattr(passwords, "_hasher", stronger)
        for _ in range(2):
            assert (await browser().post(f"{AUTH}/sign-in", json=ADA)).status_code == 200
        async with resources.sessions() as session:
            password_hash = await session.scalar(select(Account.password_hash))
        assert password_hash and "m=16,t=2" in password_hash


class TestThrottling:
    async def test_is_exact_however_many_come_at_once_to_several_processes(
        self, signed_up: Person, browser: Browser, resources: Resources
    ) -> None:
        await signed_up()
        processes = [browser(f"203.0.113.{number}", process=number) for number in range(4)]
        guesses = [
            process.post(f"{AUTH}/sign-in", json={**ADA, "password": f"guess {number}"})
            for number in range(8)
            for process in processes
        ]
        answers = [response.status_code for response in await asyncio.gather(*guesses)]
        assert sorted(answers) == [401] * 10 + [429] * 22

        response = await browser().post(f"{AUTH}/sign-in", json=ADA)  # the right password doesn't help
        refused(response, 429, "rate_limited")
        assert 0 < int(response.headers["retry-after"]) <= 15 * 60
        await pass_time(resources)
        assert (await browser().post(f"{AUTH}/sign-in", json=ADA)).status_code == 200

    async def test_unknown_addresses_run_out_of_tries_in_the_same_way(self, browser: Browser) -> None:
        eve = browser()
        answers = [(await eve.post(f"{AUTH}/sign-in", json=ADA)).status_code for _ in range(11)]
        assert answers == [401] * 10 + [429]

    async def test_a_client_has_fifty_tries_for_all_addresses(self, browser: Browser) -> None:
        eve = browser()
        answers = [
            (await eve.post(f"{AUTH}/sign-in", json={**ADA, "email": f"{n}@example.com"})).status_code
            for n in range(51)
        ]
        assert answers == [401] * 50 + [429]
        assert (await browser("203.0.113.8").post(f"{AUTH}/sign-in", json=ADA)).status_code == 401

    async def test_signing_in_uses_up_no_tries(self, signed_up: Person, browser: Browser) -> None:
        await signed_up()
        answers = {(await browser().post(f"{AUTH}/sign-in", json=ADA)).status_code for _ in range(12)}
        assert answers == {200}


class TestSession:
    async def test_ends_when_signed_out(self, signed_up: Person) -> None:
        ada = await signed_up()
        token = ada.cookies["mien_session"]
        response = await ada.post(f"{AUTH}/sign-out")
        assert response.status_code == 204
        assert 'mien_session=""' in response.headers["set-cookie"]
        ada.cookies.set("mien_session", token, domain="mien.test")
        assert "ended" in refused(await ada.get(f"{AUTH}/session"), 401, "authentication_error")

    async def test_expires(self, signed_up: Person, resources: Resources) -> None:
        ada = await signed_up()
        await pass_time(resources, timedelta(days=14))
        refused(await ada.get(f"{AUTH}/session"), 401, "authentication_error")

    async def test_ends_at_once_when_the_account_is_disabled(
        self, signed_up: Person, resources: Resources
    ) -> None:
        ada = await signed_up()
        async with resources.sessions.begin() as session:
            await session.execute(update(Account).values(disabled_at=func.now()))
        refused(await ada.get("/api/v1/keys"), 401, "authentication_error")

    async def test_made_up_tokens_are_nobodys(self, browser: Browser) -> None:
        for token in ("x", "A" * 43, "%00", "\xfc"):
            headers = [(b"Cookie", f"mien_session={token}".encode("latin-1"))]
            response = await browser().get(f"{AUTH}/session", headers=headers)
            refused(response, 401, "authentication_error")

    async def test_an_authorization_header_counts_alone(self, signed_up: Person) -> None:
        ada = await signed_up()
        response = await ada.get("/api/v1/keys", headers={"Authorization": "Bearer aio_" + "A" * 43})
        refused(response, 401, "authentication_error")

    async def test_a_key_has_none(self, operator: httpx.AsyncClient) -> None:
        for method, path in (("GET", "session"), ("POST", "sign-out"), ("POST", "password")):
            response = await operator.request(method, f"{AUTH}/{path}")
            assert "signed in" in refused(response, 403, "permission_denied")


class TestRequestsFromOtherSites:
    CREATE = ("POST", "/api/v1/keys")

    @pytest.mark.parametrize(
        "headers",
        [
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "https://evil.example"},
            {"Origin": "http://mien.test.evil.example"},
            {"Origin": "http://mien.test:8080"},
            {"Origin": "null"},
            {"Origin": "http://[::1"},
        ],
    )
    async def test_cannot_use_a_session_even_with_its_token(
        self, signed_up: Person, headers: dict[str, str]
    ) -> None:
        ada = await signed_up()
        response = await ada.request(*self.CREATE, json={"name": "Shop"}, headers=headers)
        assert "Another site" in refused(response, 403, "permission_denied")

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Sec-Fetch-Site": "same-origin"},
            {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"},
            {"Origin": "http://mien.test"},
            {"Origin": "http://localhost:9000", "Host": "localhost:9000"},
        ],
    )
    async def test_our_own_pages_can(self, signed_up: Person, headers: dict[str, str]) -> None:
        ada = await signed_up()
        response = await ada.request(*self.CREATE, json={"name": "Shop"}, headers=headers)
        assert response.status_code == 200, response.text

    @pytest.mark.parametrize("token", [None, "", "wrong", "\xfc"])
    async def test_what_changes_something_needs_the_token(self, signed_up: Person, token: str | None) -> None:
        ada = await signed_up()
        del ada.headers["X-CSRF-Token"]
        headers = {} if token is None else {b"X-CSRF-Token": token.encode("latin-1")}
        for method, path in (
            self.CREATE,
            ("PATCH", "/api/v1/account/settings"),
            ("POST", f"{AUTH}/sign-out"),
        ):
            response = await ada.request(method, path, headers=headers)
            assert "csrf_token" in refused(response, 403, "permission_denied")
        assert (await ada.get("/api/v1/keys")).status_code == 200

    async def test_a_token_is_good_for_its_own_session_only(self, signed_up: Person) -> None:
        ada, grace = await signed_up("ada@example.com"), await signed_up("grace@example.com")
        headers = {"X-CSRF-Token": grace.headers["X-CSRF-Token"]}
        response = await ada.request(*self.CREATE, json={"name": "Shop"}, headers=headers)
        refused(response, 403, "permission_denied")

    async def test_cannot_sign_somebody_in_to_another_account(
        self, signed_up: Person, browser: Browser
    ) -> None:
        await signed_up()
        response = await browser().post(
            f"{AUTH}/sign-in", json=ADA, headers={"Origin": "https://evil.example"}
        )
        refused(response, 403, "permission_denied")
        assert "set-cookie" not in response.headers

    async def test_keys_are_not_concerned(self, operator: httpx.AsyncClient) -> None:
        headers = {"Origin": "https://shop.example", "Sec-Fetch-Site": "cross-site"}
        response = await operator.request(*self.CREATE, json={"name": "Shop"}, headers=headers)
        assert response.status_code == 200


class TestChangingThePassword:
    NEW = "battery staple correct horse"

    async def test_signs_out_everywhere_else(self, signed_up: Person, browser: Browser) -> None:
        ada = await signed_up()
        laptop = browser()
        await laptop.post(f"{AUTH}/sign-in", json=ADA)
        before = ada.cookies["mien_session"]
        response = await ada.post(
            f"{AUTH}/password", json={"current_password": PASSWORD, "new_password": self.NEW}
        )
        assert response.status_code == 200
        assert ada.cookies["mien_session"] != before
        assert (await ada.get(f"{AUTH}/session")).status_code == 200
        refused(await laptop.get(f"{AUTH}/session"), 401, "authentication_error")
        refused(await browser().post(f"{AUTH}/sign-in", json=ADA), 401, "authentication_error")
        answer = await browser().post(f"{AUTH}/sign-in", json={**ADA, "password": self.NEW})
        assert answer.status_code == 200

    async def test_needs_the_current_one_and_counts_guesses(self, signed_up: Person) -> None:
        ada = await signed_up()
        wanted = {"current_password": "wrong", "new_password": self.NEW}
        answers = [await ada.post(f"{AUTH}/password", json=wanted) for _ in range(11)]
        refused(answers[0], 403, "permission_denied", "current_password")
        refused(answers[-1], 429, "rate_limited")


class TestLogs:
    async def test_hold_no_password_token_or_key(
        self, signed_up: Person, browser: Browser, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        with capture_logs() as lines:
            ada = await signed_up()
            await browser().post(f"{AUTH}/sign-in", json={**ADA, "password": "a wrong password"})
            await browser().post(f"{AUTH}/sign-up", json={**ADA, "invite": "a wrong invite"})
            key = (await ada.post("/api/v1/keys", json={"name": "Shop"})).json()["data"]["key"]
            await browser().get("/api/v1/keys", headers={"Authorization": f"Bearer {key}"})
            secrets = [PASSWORD, "a wrong password", "a wrong invite", key, ada.headers["X-CSRF-Token"]]
            secrets.append(ada.cookies["mien_session"])
        logged = f"{lines}\n{caplog.text}"
        assert "sign-up" in logged
        assert [secret for secret in secrets if secret in logged] == []


async def test_what_has_expired_is_deleted(signed_up: Person, resources: Resources) -> None:
    await signed_up()
    await upkeep.tidy(resources)
    async with resources.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(SignIn)) == 1
    await pass_time(resources, timedelta(days=15))
    await upkeep.tidy(resources)
    async with resources.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(SignIn)) == 0
        assert await session.scalar(select(func.count()).select_from(Throttle)) == 0

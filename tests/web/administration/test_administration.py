"""What administrators see and do."""

import re
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
from pydantic import SecretStr
from sqlalchemy import select

from mien.accounts import letters
from mien.accounts.models import Account, Letter
from mien.errors import NoFaceFound
from mien.privacy import deletion
from mien.resources import Resources
from mien.settings import Settings
from mien.tasks import endings, queries
from mien.web.administration.settings import in_force

Signed = Callable[..., Awaitable[Any]]


class TestStanding:
    async def test_says_who_works_what_waits_and_what_fails(
        self, person: Signed, resources: Resources
    ) -> None:
        admin = await person(is_administrator=True)
        assert "No worker is alive" in await admin.read("/administration")
        failing, running, _ = [await admin.swap() for _ in range(3)]
        worker = uuid4()
        async with resources.sessions.begin() as session:
            await queries.beat(session, worker, "studio-1", 4711)
            await queries.start(session, running, worker)
            task = await queries.start(session, failing, worker)
            assert task
            await endings.fail(resources, session, task, NoFaceFound("There is no face.", param="image"))
        page = await admin.read("/administration")
        await forget(resources, worker)
        assert "No worker is alive" not in page
        for text in ("studio-1", "4711", "No face was found", "no_face_found", "the oldest for"):
            assert text in page


async def forget(resources: Resources, worker: Any) -> None:
    async with resources.sessions.begin() as session:
        await queries.forget_worker(session, worker)


class TestAccounts:
    async def test_a_deleted_one_is_shown_as_that_and_stays_so(
        self, person: Signed, resources: Resources
    ) -> None:
        admin, ben = await person(is_administrator=True), await person()
        await deletion.delete(resources, ben.account_id)
        here = f"/administration/accounts/{ben.account_id}"
        page = await admin.read(here)
        assert ("Deleted account" in page, "Enable" in page, ben.email in page) == (True, False, False)
        refused = await admin.send(f"{here}/disable", enable="yes")
        assert (refused.status_code, "can&#39;t be undone" in refused.text) == (409, True)

    async def test_disables_and_enables(self, person: Signed) -> None:
        admin, ben = await person(is_administrator=True), await person()
        here = f"/administration/accounts/{ben.account_id}"
        assert here in await admin.read("/administration/accounts")
        assert "The account is disabled." in await admin.do(f"{here}/disable")
        assert (await ben.client.get("/dashboard")).status_code == 303
        assert "The account is enabled." in await admin.do(f"{here}/disable", enable="yes")

    async def test_nobody_locks_themselves_out(self, person: Signed) -> None:
        admin = await person(is_administrator=True)
        here = f"/administration/accounts/{admin.account_id}"
        assert f'action="{here}/disable"' not in await admin.read(here)
        assert (await admin.send(f"{here}/disable")).status_code == 409
        assert (await admin.client.get("/administration")).status_code == 200

    async def test_grants_credits(self, person: Signed) -> None:
        admin, ben = await person(is_administrator=True), await person()
        here = f"/administration/accounts/{ben.account_id}"
        assert "+1,000" in await admin.do(f"{here}/grants", credits="1000", reason="")
        assert "Welcome" in await admin.do(f"{here}/grants", credits="5", reason="Welcome")
        assert (await ben.call("GET", "/account"))["balance"] == 1305
        assert "Welcome" in await ben.read("/dashboard/credits/ledger")
        for credits in ("0", "-3", "many", ""):
            assert (await admin.send(f"{here}/grants", credits=credits)).status_code == 400

    async def test_sets_and_lifts_limits(self, person: Signed, resources: Resources) -> None:
        admin, ben = await person(is_administrator=True), await person()
        here = f"/administration/accounts/{ben.account_id}"
        await admin.do(f"{here}/limits", tasks_per_day="9", tasks_in_flight="", requests_per_minute="")
        assert (await ben.call("GET", "/account"))["limits"]["tasks_per_day"] == 9
        await admin.do(f"{here}/limits", tasks_per_day="", tasks_in_flight="", requests_per_minute="")
        async with resources.sessions() as session:
            assert (await session.get_one(Account, ben.account_id)).tasks_per_day is None


class TestInvites:
    async def test_the_link_is_shown_once_and_can_be_withdrawn(self, person: Signed) -> None:
        admin = await person(is_administrator=True, signup="invite")
        answer = await admin.send("/administration/invites", email="chloe@example.com")
        assert answer.headers["cache-control"] == "no-store"
        assert re.search(r"/sign-up#[\w-]+", answer.text)
        page = await admin.read("/administration/invites")
        assert "/sign-up#" not in page
        assert "chloe@example.com" in page
        withdraw = re.search(r'action="(/administration/invites/[^"]+/withdraw)"', page)
        assert withdraw
        assert "chloe@example.com" not in await admin.do(withdraw[1])
        assert (await admin.send(withdraw[1])).status_code == 404

    async def test_shows_letters_that_could_not_be_sent(self, person: Signed, resources: Resources) -> None:
        mailing = SecretStr("smtp://127.0.0.1:1")
        admin = await person(is_administrator=True, signup="invite", smtp_url=mailing)
        page = (await admin.send("/administration/invites", email="chloe@example.com")).text
        assert "Letters that could not be sent" not in page
        async with resources.sessions.begin() as session:
            (letter,) = (await session.scalars(select(Letter))).all()
            await letters.end_failed(session, letter, "mail.test answered 451")
        page = await admin.read("/administration/invites")
        assert "Letters that could not be sent" in page
        assert "mail.test answered 451 · Next try" in page

    async def test_says_where_nobody_can_sign_up(self, person: Signed) -> None:
        admin = await person(is_administrator=True, signup="closed")
        assert "Nobody can sign up here" in await admin.read("/administration/invites")
        assert (await admin.send("/administration/invites")).status_code == 409

    async def test_shows_who_waits_for_a_link_and_the_link_to_who_asks(
        self, person: Signed, visitor: httpx.AsyncClient
    ) -> None:
        admin, ben = await person(is_administrator=True), await person()
        await visitor.post("/api/v1/auth/password-reset", json={"email": ben.email})
        page = await admin.read("/administration/invites")
        assert ben.email in page
        assert "/reset-password#" not in page
        show = next(path for path in re.findall(r'action="([^"]+/show)"', page))
        answer = await admin.send(show)
        assert answer.headers["cache-control"] == "no-store"
        token = re.search(r"/reset-password#([\w=-]+)", answer.text)
        assert token
        new = {"token": token[1], "new_password": "battery staple correct horse"}
        assert (await visitor.post("/api/v1/auth/password-reset/confirm", json=new)).status_code == 204
        assert (await admin.send(show)).status_code == 404


class TestOrders:
    async def test_confirms_once(self, person: Signed) -> None:
        admin, ben = await person(is_administrator=True), await person()
        order = (await ben.call("POST", "/orders", json={"credits": 1500}))["order_id"]
        assert order in await admin.read("/administration/orders")
        for _ in range(2):
            assert order not in await admin.do(f"/administration/orders/{order}/confirm")
        assert (await ben.call("GET", "/account"))["balance"] == 1800


class TestSettings:
    async def test_shows_every_setting_and_no_secret(self, person: Signed, settings: Settings) -> None:
        admin = await person(is_administrator=True, secret=SecretStr("x" * 40))
        page = await admin.read("/administration/settings")
        for name in Settings.model_fields:
            assert f"MIEN_{name.upper()}" in page
        assert "x" * 40 not in page
        assert settings.database_url
        assert settings.database_url.get_secret_value() not in page
        assert "1500=3.00 USD, 5000=10.00 USD" in page

    def test_values_are_written_as_in_the_environment(self, settings: Settings) -> None:
        values = {setting.name: setting.value for setting in in_force(settings)}
        assert values["MIEN_RESULT_RETENTION"] == "7d"
        assert values["MIEN_WORKER_HEARTBEAT"] == "0.2s"
        assert values["MIEN_DETECT_TIMEOUT"] == "20s"
        assert values["MIEN_WATERMARK"] == "true"
        assert values["MIEN_DATABASE_URL"] == ""

"""What people do on their dashboard, by plain forms."""

import io
import json
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4
from zipfile import ZipFile

import httpx
import pytest

from mien.accounts.models import Account
from mien.billing import orders
from mien.resources import Resources
from mien.storage import objects
from mien.tasks import endings, queries, service
from mien.tasks.endings import Result
from mien.tasks.models import Task

Signed = Callable[..., Awaitable[Any]]

REPORT = {
    "quality": 0.64,
    "similarity_to_source": 0.58,
    "similarity_to_target": 0.21,
    "faces": 1,
    "pose_gap": 31.0,
    "mirrored": 0.0,
    "covered": 0.02,
    "warnings": ["The two heads are turned 31° apart."],
}


async def complete(resources: Resources, person: Any, task_id: str) -> Task:
    """Do a task as a worker would."""
    key = f"results/{task_id}/1/face-swap.png"
    await objects.put(resources.store, key, b"a picture")
    described = {"format": "png", "width": 640, "height": 480, "bytes": 9, "sha256": "0" * 64}
    async with resources.sessions.begin() as session:
        task = await queries.start(session, task_id, uuid4())
        assert task
        result = Result(key, described, [REPORT], {"fetching": 12.5})
        assert await endings.complete(resources, session, task, result)
    return await service.find(resources, person.account_id, task_id)


class TestOverview:
    async def test_shows_the_balance_and_a_chart_that_is_also_told(
        self, person: Signed, resources: Resources
    ) -> None:
        ada = await person()
        assert "Nothing yet." in await ada.read("/dashboard")
        await complete(resources, ada, await ada.swap())
        page = await ada.read("/dashboard")
        assert re.search(r'<span class="figure">297</span>\s*credits', page)
        chart = re.search(r'<svg[^>]*class="chart".*?</svg>', page, re.DOTALL)
        assert chart
        assert 'role="img"' in chart[0]
        assert "<title" in chart[0]
        assert "1 completed, 0 failed and 0 in progress" in chart[0]
        assert re.search(r"<title>\d+ \w+: 1 completed</title>", chart[0])
        assert "style" not in chart[0]
        assert '<th scope="row">' in page  # the same as a table

    async def test_leads_to_the_first_key(self, person: Signed) -> None:
        ada = await person()
        assert "Make your first key" in await ada.read("/dashboard")
        await ada.send("/dashboard/keys", name="Shop")
        assert "Make your first key" not in await ada.read("/dashboard")


class TestTasks:
    async def test_a_completed_task_shows_all_there_is_to_know(
        self, person: Signed, resources: Resources
    ) -> None:
        ada = await person()
        task = await complete(resources, ada, await ada.swap())
        page = await ada.read(f"/dashboard/tasks/{task.id}")
        picture = re.search(r'<img src="(/files/[^"]+)" alt="The result" width="640" height="480"', page)
        assert picture
        assert (await ada.client.get(picture[1])).content == b"a picture"
        for text in ("The two heads are turned 31° apart.", "64%", "12.5 ms", "&#34;image_url&#34;"):
            assert text in page
        thumbnail = picture[1].replace("/files/", "/thumbnails/")
        for path in ("/dashboard/tasks", "/dashboard"):
            page = await ada.read(path)
            assert thumbnail in page
            assert picture[1] not in page, "a list loads the whole picture"

    async def test_deletes_the_picture_and_keeps_the_task(self, person: Signed, resources: Resources) -> None:
        ada = await person()
        task = await complete(resources, ada, await ada.swap())
        page = await ada.do(f"/dashboard/tasks/{task.id}/delete")
        assert "The pictures are deleted." in page
        assert "/files/" not in page
        with pytest.raises(FileNotFoundError):
            await objects.read(resources.store, str(task.result_key))

    async def test_cancels_once_and_then_says_that_it_has_ended(self, person: Signed) -> None:
        ada = await person()
        task_id = await ada.swap()
        assert "Nothing is charged." in await ada.do(f"/dashboard/tasks/{task_id}/cancel")
        again = await ada.send(f"/dashboard/tasks/{task_id}/cancel")
        assert again.status_code == 409
        assert "The task has ended" in again.text
        assert (await ada.call("GET", "/account"))["balance"] == 300

    async def test_filters_and_turns_pages(self, person: Signed) -> None:
        ada = await person()
        canceled, *_ = [await ada.swap() for _ in range(26)]
        await ada.do(f"/dashboard/tasks/{canceled}/cancel")
        only = await ada.read("/dashboard/tasks?status=canceled")
        assert re.findall(r"/dashboard/tasks/(\w+_faceswap)", only) == [canceled]
        first = await ada.read("/dashboard/tasks")
        older = re.search(r'href="([^"]+)" rel="next"', first)
        assert older
        shown = set(re.findall(r"\w+_faceswap", first))
        following = set(re.findall(r"\w+_faceswap", await ada.read(older[1].replace("&amp;", "&"))))
        assert (len(shown), len(following), shown & following) == (24, 2, set())
        assert "No task is like that." in await ada.read("/dashboard/tasks?until=2020-01-01")

    async def test_an_old_link_with_odd_filters_shows_all(self, person: Signed) -> None:
        ada = await person()
        task_id = await ada.swap()
        odd = {"status": "odd", "key": "x", "since": "2026-13-01", "until": "9999-12-31"}
        page = await ada.client.get("/dashboard/tasks", params=odd)
        assert (page.status_code, task_id in page.text) == (200, True)


class TestKeys:
    async def test_a_key_is_shown_once_and_works(
        self, person: Signed, visit: Callable[..., httpx.AsyncClient]
    ) -> None:
        ada = await person()
        answer = await ada.send("/dashboard/keys", name="Shop", tasks_per_day="7", last_day="2030-12-31")
        assert answer.headers["cache-control"] == "no-store"
        key = re.search(r"aio_[\w-]{43}", answer.text)
        assert key
        account = await visit().get("/api/v1/account", headers={"Authorization": f"Bearer {key[0]}"})
        assert account.json()["data"]["key_limits"]["tasks_per_day"] == 7
        page = await ada.read("/dashboard/keys")
        assert key[0] not in page
        assert "until Dec 31, 2030" in page

    async def test_a_refusal_keeps_what_was_typed_and_marks_the_field(self, person: Signed) -> None:
        ada = await person()
        answer = await ada.send("/dashboard/keys", name="Shop", tasks_per_day="0")
        assert answer.status_code == 400
        assert 'role="alert"' in answer.text
        assert re.search(r'name="name" type="text" value="Shop"', answer.text)
        assert re.search(r'name="tasks_per_day"[^>]*value="0" aria-invalid="true"', answer.text)
        assert (await ada.send("/dashboard/keys", name="Shop", last_day="soon")).status_code == 400
        assert (await ada.call("GET", "/keys"))["keys"] == []

    async def test_emptied_limits_are_lifted_and_a_revoked_key_is_gone(self, person: Signed) -> None:
        ada = await person()
        await ada.send("/dashboard/keys", name="Shop", tasks_per_day="7", last_day="2030-12-31")
        [key] = (await ada.call("GET", "/keys"))["keys"]
        fields = {"name": "Old shop", "tasks_per_day": "", "requests_per_minute": "60", "last_day": ""}
        assert "Old shop" in await ada.do(f"/dashboard/keys/{key['key_id']}", **fields)
        [key] = (await ada.call("GET", "/keys"))["keys"]
        limits = (key["tasks_per_day"], key["requests_per_minute"], key["expires_at"])
        assert limits == (None, 60, None)
        assert "There is no key yet." in await ada.do(f"/dashboard/keys/{key['key_id']}/revoke")


class TestWebhooks:
    async def test_lives_from_its_secret_to_its_end(self, person: Signed) -> None:
        ada = await person()
        url = "https://example.com/hooks"
        made = await ada.send("/dashboard/webhooks", url=url, description="Shop", events=["task.completed"])
        assert made.headers["cache-control"] == "no-store"
        secret = re.search(r"whsec_[\w+/=]+", made.text)
        assert secret
        [hook] = (await ada.call("GET", "/webhooks"))["webhooks"]
        assert hook["events"] == ["task.completed"]
        here = f"/dashboard/webhooks/{hook['webhook_id']}"
        assert "whsec_" not in await ada.read(here)
        renewed = await ada.send(f"{here}/secret")
        assert "whsec_" in renewed.text
        assert secret[0] not in renewed.text
        test = await ada.do(f"{here}/test")
        assert "webhook.test" in test
        assert "Under way" in test
        assert "nothing is sent" in await ada.do(here, enabled="false")
        assert (await ada.send(f"{here}/test")).status_code == 409
        await ada.do(here, enabled="true")
        changed = await ada.do(here, url=f"{url}/2", description="", events=["task.failed", "task.canceled"])
        assert f"{url}/2" in changed
        [hook] = (await ada.call("GET", "/webhooks"))["webhooks"]
        assert (hook["events"], hook["description"]) == (["task.failed", "task.canceled"], "")
        assert "Nobody is told yet." in await ada.do(f"{here}/delete")

    @pytest.mark.parametrize(
        "fields", [{"url": "no address", "events": ["task.failed"]}, {"url": "https://example.com"}]
    )
    async def test_refuses_what_makes_no_webhook(self, person: Signed, fields: dict[str, Any]) -> None:
        ada = await person()
        assert (await ada.send("/dashboard/webhooks", **fields)).status_code == 400
        assert (await ada.call("GET", "/webhooks"))["webhooks"] == []

    async def test_the_secret_of_callbacks_is_shown_and_renewed(self, person: Signed) -> None:
        ada = await person()
        shown = (await ada.call("GET", "/webhooks/secret"))["secret"]
        assert shown in (await ada.send("/dashboard/callback-secret")).text
        renewed = (await ada.send("/dashboard/callback-secret", renew="yes")).text
        assert shown not in renewed
        assert (await ada.call("GET", "/webhooks/secret"))["secret"] in renewed

    async def test_a_delivery_under_way_is_not_sent_twice(self, person: Signed) -> None:
        ada = await person()
        hook = await ada.call("POST", "/webhooks", json={"url": "https://example.com/hooks"})
        delivery = await ada.call("POST", f"/webhooks/{hook['webhook_id']}/test")
        again = await ada.send(f"/dashboard/deliveries/{delivery['delivery_id']}/redeliver")
        assert again.status_code == 409
        assert "still under way" in again.text


class TestCredits:
    async def test_an_order_waits_and_then_is_a_receipt(self, person: Signed, resources: Resources) -> None:
        ada = await person()
        page = await ada.do("/dashboard/credits/orders", credits="1500")
        assert "$3.00" in page
        assert "Name this order&#39;s number" in page or "Name this order's number" in page
        [order] = (await ada.call("GET", "/orders"))["orders"]
        async with resources.sessions.begin() as session:
            await orders.confirm(session, order["order_id"], by=None)
        receipt = await ada.read(f"/dashboard/credits/orders/{order['order_id']}")
        assert "<h1>Receipt" in receipt
        assert "1,500 credits for face swaps" in receipt
        assert "+1,500" in await ada.read("/dashboard/credits/ledger")
        assert re.search(r'<span class="figure">1,800</span>', await ada.read("/dashboard/credits"))

    async def test_there_is_no_other_pack(self, person: Signed) -> None:
        ada = await person()
        answer = await ada.send("/dashboard/credits/orders", credits="1")
        assert answer.status_code == 400
        assert "There is no pack of 1 credits." in answer.text

    async def test_nothing_is_sold_where_swaps_are_free(self, person: Signed) -> None:
        ada = await person(price_per_face=0)
        assert "Swaps are free here" in await ada.read("/dashboard/credits")
        assert (await ada.send("/dashboard/credits/orders", credits="1500")).status_code == 409


class TestSettings:
    async def test_changes_the_name_and_how_long_results_are_kept(
        self, person: Signed, resources: Resources
    ) -> None:
        ada = await person()
        await ada.do("/dashboard/settings", name="Studio", retention_seconds="86400")
        async with resources.sessions() as session:
            account = await session.get_one(Account, ada.account_id)
        assert (account.name, account.retention) == ("Studio", timedelta(days=1))
        assert '<option value="86400" selected>' in await ada.read("/dashboard/settings")
        for fields in ({"name": ""}, {"name": "A", "retention_seconds": str(365 * 86400)}):
            assert (await ada.send("/dashboard/settings", **fields)).status_code == 400
        await ada.do("/dashboard/settings", name="Studio", retention_seconds="")
        async with resources.sessions() as session:
            assert (await session.get_one(Account, ada.account_id)).retention is None

    async def test_changes_the_password_and_stays_signed_in(self, person: Signed) -> None:
        ada = await person()
        new = " battery staple correct "
        wrong = await ada.send("/dashboard/settings/password", current_password="wrong", new_password=new)
        assert wrong.status_code == 403
        assert "The current password is wrong." in wrong.text
        assert new not in wrong.text
        old = "correct horse battery staple"
        assert "The password is changed." in await ada.do(
            "/dashboard/settings/password", current_password=old, new_password=new
        )
        again = {"email": ada.email, "password": new}
        assert (await ada.client.post("/api/v1/auth/sign-in", json=again)).status_code == 200

    @pytest.mark.parametrize("fields", [{}, {"everywhere": "yes"}])
    async def test_signs_out(self, person: Signed, fields: dict[str, str]) -> None:
        ada = await person()
        cookies = dict(ada.client.cookies)
        left = await ada.send("/dashboard/settings/sign-out", **fields)
        assert (left.status_code, left.headers["location"]) == (303, "/")
        ada.client.cookies.update(cookies)
        assert (await ada.client.get("/dashboard")).status_code == 303

    async def test_gives_everything_as_an_archive(self, person: Signed) -> None:
        ada = await person()
        archive = await ada.send("/dashboard/settings/export")
        assert archive.headers["content-type"] == "application/zip"
        with ZipFile(io.BytesIO(archive.content)) as zipped:
            assert json.loads(zipped.read("account.json"))["email"] == ada.email
        for _ in range(9):
            await ada.send("/dashboard/settings/export")
        refused = await ada.send("/dashboard/settings/export")
        assert refused.status_code == 429
        assert "too often" in refused.text

    async def test_deletes_the_account_when_the_password_is_right(
        self, person: Signed, resources: Resources
    ) -> None:
        await person()  # somebody else, who may be the administrator
        ada = await person()
        await ada.swap()
        path, field = "/dashboard/settings/delete", "password_to_delete"
        wrong = await ada.send(path, **{field: "wrong"})
        assert (wrong.status_code, "The current password is wrong." in wrong.text) == (403, True)
        assert re.search(r'<details class="raw" open>', wrong.text)
        gone = await ada.send(path, **{field: "correct horse battery staple"})
        assert (gone.status_code, gone.headers["location"]) == (303, "/account-deleted")
        assert "The account is deleted" in (await ada.client.get("/account-deleted")).text
        assert (await ada.client.get("/dashboard")).status_code == 303
        async with resources.sessions() as session:
            account = await session.get_one(Account, ada.account_id)
        assert (account.email, account.erased_at is None) == (None, False)

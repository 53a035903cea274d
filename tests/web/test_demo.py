"""The tester without an account: what it gives, to whom, and how much of it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, select

from mien.accounts.demo import DEMO_ACCOUNT, open_demo_account
from mien.accounts.models import Account, Throttle
from mien.errors import ApiError
from mien.resources import Resources
from mien.settings import Settings
from mien.tasks.models import Task, TaskCount
from mien.tasks.requests import FaceSwapRequest
from mien.web.demo import service

Visit = Callable[..., httpx.AsyncClient]

SWAP = "/demo/images/tools/face-swap"
WANTED = {
    "model": "face-swap",
    "image": "http://mien.test/samples/park.jpg",
    "face_image": "http://mien.test/samples/woman.jpg",
}


@pytest.fixture(autouse=True)
async def nothing_is_used_up(resources: Resources) -> None:
    """All tests of this file come from the same address, on the same day."""
    async with resources.sessions.begin() as session:
        await session.execute(delete(Throttle))
        await session.execute(delete(TaskCount).where(TaskCount.subject_id == DEMO_ACCOUNT))
        await session.execute(delete(Task).where(Task.account_id == DEMO_ACCOUNT))


@pytest.fixture
def demo(visit: Visit) -> Callable[..., httpx.AsyncClient]:
    """Browsers of people without an account, where the demo is open."""

    def demo(**changes: Any) -> httpx.AsyncClient:
        client = visit(demo=True, **changes)
        client.headers["Accept"] = "*/*"
        return client

    return demo


async def swap(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post(SWAP, json=WANTED | fields)


def error(answer: httpx.Response) -> tuple[int, str, str]:
    refusal = answer.json()["error"]
    return answer.status_code, refusal["type"], refusal["message"]


class TestWhetherThereIsOne:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", SWAP),
            ("POST", "/demo/images/tools/face-detect"),
            ("GET", "/demo/tasks/x"),
            ("POST", "/demo/tasks/x/cancel"),
            ("GET", "/demo/tasks/x/events"),
        ],
    )
    async def test_there_is_none_unless_the_operator_says_so(
        self, visit: Visit, method: str, path: str
    ) -> None:
        client = visit()
        client.headers["Accept"] = "*/*"
        assert error(await client.request(method, path)) == (404, "not_found", "There is no demo here.")
        page = await client.get("/try", headers={"Accept": "text/html"})
        assert "data-demo" not in page.text

    async def test_the_api_itself_takes_its_cookie_for_nothing(self, demo: Visit) -> None:
        client = demo()
        assert (await swap(client)).status_code == 200
        assert "mien_demo" in client.cookies
        for path in ("/api/v1/tasks", "/api/v1/account", "/api/v1/keys"):
            assert error(await client.get(path))[:2] == (401, "authentication_error")

    async def test_an_administrator_can_close_it(self, demo: Visit, resources: Resources) -> None:
        async with resources.sessions.begin() as session:
            account = await open_demo_account(session)
            account.disabled_at = account.created_at
        assert error(await swap(demo()))[:2] == (403, "permission_denied")
        async with resources.sessions.begin() as session:
            (await session.get_one(Account, DEMO_ACCOUNT)).disabled_at = None
        assert (await swap(demo())).status_code == 200

    async def test_other_sites_cannot_use_it_through_a_visitors_browser(self, demo: Visit) -> None:
        answer = await demo().post(SWAP, json=WANTED, headers={"Sec-Fetch-Site": "cross-site"})
        assert error(answer)[:2] == (403, "permission_denied")


class TestWhatIsMade:
    async def test_is_free_small_and_soon_gone(self, demo: Visit, resources: Resources) -> None:
        answer = await swap(demo(), max_size=4000)
        task_id = answer.json()["data"]["task_id"]
        async with resources.sessions() as session:
            task = (await session.scalars(select(Task).where(Task.id == task_id))).one()
            account = await session.get_one(Account, DEMO_ACCOUNT)
        assert (task.credits, task.parameters["max_size"]) == (0, service.MAX_SIZE)
        assert account.retention is not None
        assert account.retention.total_seconds() == 3600
        assert (task.deadline_at - task.created_at).total_seconds() <= 3600
        assert (account.email, account.password_hash, account.balance) == (None, None, 0)

    async def test_a_smaller_one_stays_smaller(self, demo: Visit, resources: Resources) -> None:
        task_id = (await swap(demo(), max_size=300)).json()["data"]["task_id"]
        async with resources.sessions() as session:
            parameters = await session.scalar(select(Task.parameters).where(Task.id == task_id))
        assert parameters
        assert parameters["max_size"] == 300

    async def test_files_come_as_a_form(self, demo: Visit) -> None:
        files = {"image": b"one", "face_image": b"other"}
        answer = await demo().post(SWAP, data={"model": "face-swap"}, files=files)
        assert answer.status_code == 200

    @pytest.mark.parametrize(
        ("fields", "param"),
        [
            ({"image": "https://example.com/a.jpg"}, "image"),
            ({"face_image": "http://mien.test.example.com/a.jpg"}, "face_image"),
            ({"callback_url": "https://example.com/"}, "callback_url"),
        ],
    )
    async def test_nothing_is_fetched_and_nobody_called(
        self, demo: Visit, fields: dict[str, str], param: str
    ) -> None:
        answer = await swap(demo(), **fields)
        assert error(answer)[:2] == (400, "invalid_request")
        assert answer.json()["error"]["param"] == param
        looked = await demo().post("/demo/images/tools/face-detect", json={"image": "https://example.com/"})
        assert looked.status_code == 400


class TestWhoseItIs:
    async def test_only_the_same_browser_finds_it(self, demo: Visit) -> None:
        mine, theirs, nobodys = demo(), demo(), demo()
        task_id = (await swap(mine)).json()["data"]["task_id"]
        assert (await swap(theirs)).status_code == 200
        for client, status in ((mine, 200), (theirs, 404), (nobodys, 404)):
            assert (await client.get(f"/demo/tasks/{task_id}")).status_code == status
        for client in (theirs, nobodys):
            assert (await client.get(f"/demo/tasks/{task_id}/events")).status_code == 404
            assert (await client.post(f"/demo/tasks/{task_id}/cancel")).status_code == 404
        canceled = await mine.post(f"/demo/tasks/{task_id}/cancel")
        assert canceled.json()["data"]["error"]["type"] == "canceled"
        events = await mine.get(f"/demo/tasks/{task_id}/events")
        assert "event: canceled" in events.text

    async def test_accounts_neither_see_them_nor_show_theirs(
        self, demo: Visit, person: Callable[..., Any]
    ) -> None:
        somebody = await person(demo=True)
        own = await somebody.swap()
        stranger = demo()
        tried = (await swap(stranger)).json()["data"]["task_id"]
        assert (await stranger.get(f"/demo/tasks/{own}")).status_code == 404
        assert (await somebody.client.get(f"/api/v1/tasks/{tried}")).status_code == 404

    async def test_the_cookie_is_for_the_browser_alone(self, demo: Visit) -> None:
        (cookie,) = (await swap(demo())).headers.get_list("set-cookie")
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        again = demo()
        await swap(again)
        assert "set-cookie" not in (await swap(again)).headers


class TestHowMuch:
    async def test_an_address_gets_so_many_swaps_however_many_come_at_once(self, demo: Visit) -> None:
        client = demo(demo_swaps_per_address=4)
        answers = await asyncio.gather(*(swap(client) for _ in range(12)))
        assert [answer.status_code for answer in answers].count(200) == 4
        refused = next(answer for answer in answers if answer.status_code != 200)
        status, type_, message = error(refused)
        assert (status, type_) == (429, "rate_limited")
        assert "Sign up" in message
        assert int(refused.headers["retry-after"]) > 80_000

    async def test_all_together_get_so_many_a_day(
        self, resources: Resources, settings: Settings, visit: Visit
    ) -> None:
        few = settings.model_copy(update={"demo": True, "demo_swaps_per_day": 6})
        shared = replace(resources, settings=few)
        wanted = FaceSwapRequest.model_validate(WANTED)

        async def attempt(number: int) -> str:
            try:
                visitor = service.visitor_id(str(number))
                await service.create(shared, visitor, f"203.0.113.{number}", "request", wanted)
            except ApiError as refused:
                return refused.message
            return "created"

        outcomes = await asyncio.gather(*(attempt(number) for number in range(15)))
        assert outcomes.count("created") == 6
        assert {one for one in outcomes if one != "created"} == {
            "All swaps that the demo gives in a day are used up. Sign up to do more."
        }

    async def test_where_nobody_can_sign_up_nobody_is_invited_to(self, demo: Visit) -> None:
        client = demo(demo_swaps_per_address=1, signup="closed")
        assert (await swap(client)).status_code == 200
        assert "Ask who runs this service" in error(await swap(client))[2]

    async def test_so_many_are_made_at_once_that_others_need_not_wait(self, demo: Visit) -> None:
        client = demo(demo_swaps_per_address=20)
        answers = [await swap(client) for _ in range(11)]
        assert [answer.status_code for answer in answers] == [200] * 10 + [429]
        assert "Many people try the demo right now" in error(answers[-1])[2]
        task_id = answers[0].json()["data"]["task_id"]
        assert (await client.post(f"/demo/tasks/{task_id}/cancel")).status_code == 200
        assert (await swap(client)).status_code == 200

    async def test_what_was_refused_does_not_count(self, demo: Visit) -> None:
        client = demo(demo_swaps_per_address=1)
        nowhere = {"image": "http://mien.test/files/1/x/results/none"}
        assert (await swap(client, **nowhere)).status_code == 400
        assert (await swap(client)).status_code == 200

    async def test_pictures_to_look_at_are_counted_too(self, demo: Visit) -> None:
        client = demo(demo_swaps_per_address=1)
        gone = {"image": "http://mien.test/files/1/x/none"}
        looks = [await client.post("/demo/images/tools/face-detect", json=gone) for _ in range(11)]
        assert [look.status_code for look in looks] == [400] * 10 + [429]

    async def test_a_body_may_be_so_large(self, demo: Visit) -> None:
        answer = await demo().post(SWAP, content=b"{}", headers={"Content-Length": "24000001"})
        assert error(answer)[:2] == (413, "payload_too_large")

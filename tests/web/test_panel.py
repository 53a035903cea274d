"""What all pages of the dashboard and the administration have in common: who sees them, what forms need."""

import re
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.web.parsing import Page

from mien.billing import usage
from mien.server import create_app
from mien.settings import Settings

Signed = Callable[..., Awaitable[Any]]

DASHBOARD = ["", "/tasks", "/keys", "/webhooks", "/credits", "/credits/ledger", "/settings"]
ADMINISTRATION = ["", "/accounts", "/invites", "/orders", "/audit-log", "/settings"]
PAGES = [f"/dashboard{path}" for path in DASHBOARD] + [f"/administration{path}" for path in ADMINISTRATION]


def posting_routes(settings: Settings) -> list[str]:
    """Every address that forms of these pages are sent to."""
    routes = create_app(settings).router.routes
    return [
        re.sub(r"\{\w+\}", str(uuid4()), path)
        for route in routes
        if "POST" in getattr(route, "methods", ())
        and (path := getattr(route, "path", "")).startswith(("/dashboard", "/administration"))
    ]


async def with_things(person: Signed) -> Any:
    """An administrator who has one of each thing."""
    ada = await person(is_administrator=True)
    await ada.swap()
    await ada.call("POST", "/keys", json={"name": "Shop", "tasks_per_day": 5})
    hook = await ada.call("POST", "/webhooks", json={"url": "https://example.com/hooks"})
    await ada.call("POST", f"/webhooks/{hook['webhook_id']}/test")
    await ada.call("POST", "/orders", json={"credits": 1500})
    return ada


async def test_every_page_is_whole_and_runs_nothing_that_is_not_ours(person: Signed) -> None:
    ada = await with_things(person)
    seen, waiting = set(), list(PAGES)
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        page = Page(await ada.read(path))
        for name, attributes in page.elements:
            assert not [each for each in attributes if each == "style" or each.startswith("on")], (path, name)
        assert not page.all("style")
        assert all(script.get("src") for script in page.all("script")), path
        assert len(page.all("h1")) == 1, path
        ids = [one["id"] for _, one in page.elements if "id" in one]
        assert len(ids) == len(set(ids)), (path, ids)
        labelled = {label.get("for") for label in page.all("label")}
        for field in [*page.all("input"), *page.all("select")]:
            assert field.get("type") in ("hidden", "checkbox") or field["id"] in labelled, (path, field)
        for form in page.all("form"):
            assert str(form["action"]).startswith("/"), path
        links = (str(link.get("href")).partition("#")[0] for link in page.all("a"))
        waiting += [link for link in links if link.startswith(("/dashboard", "/administration"))]
    for kind in ("tasks/", "keys/", "webhooks/", "deliveries/", "orders/", "accounts/"):
        assert any(kind in path for path in seen), kind


async def test_every_page_speaks_spanish(person: Signed) -> None:
    ada = await with_things(person)
    ada.client.cookies.set("mien_language", "es")
    for path in PAGES:
        assert '<html lang="es"' in await ada.read(path)
    assert "Claves de API" in await ada.read("/dashboard/keys")


@pytest.mark.parametrize("path", PAGES)
async def test_nobody_signed_out_sees_a_page(visitor: httpx.AsyncClient, path: str) -> None:
    answer = await visitor.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?to=%2F")


async def test_only_administrators_see_the_administration(person: Signed, settings: Settings) -> None:
    ben = await person()
    for path in ADMINISTRATION:
        assert (await ben.client.get(f"/administration{path}")).status_code == 403
    for path in posting_routes(settings):
        if path.startswith("/administration"):
            assert (await ben.send(path)).status_code == 403, path
    assert "/administration" not in await ben.read("/dashboard")


async def test_a_form_without_the_token_of_its_session_changes_nothing(
    person: Signed, visitor: httpx.AsyncClient, settings: Settings
) -> None:
    ada, ben = await person(is_administrator=True), await person()
    paths = posting_routes(settings)
    assert len(paths) > 20
    for path in paths:
        for token in ("", ben.csrf_token, "ä"):
            answer = await ada.client.post(
                path, data={"csrf_token": token, "name": "Forged", "credits": "1500"}
            )
            assert answer.status_code == 403, path
        answer = await visitor.post(path, data={"csrf_token": ada.csrf_token})
        assert answer.status_code == 303, path
        assert re.fullmatch(r"/sign-in\?to=%2F\S+&ended=yes", answer.headers["location"]), path


async def test_another_sites_form_changes_nothing_even_with_the_token(
    person: Signed, settings: Settings
) -> None:
    ada = await person(is_administrator=True)
    for path in posting_routes(settings):
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            answer = await ada.client.post(path, data={"csrf_token": ada.csrf_token}, headers=headers)
            assert answer.status_code == 403, path


async def test_what_belongs_to_another_account_does_not_exist(person: Signed) -> None:
    ada, ben = await person(), await person()
    task = await ada.swap()
    key = (await ada.call("POST", "/keys", json={"name": "Mine"}))["key_id"]
    hook = (await ada.call("POST", "/webhooks", json={"url": "https://example.com/hooks"}))["webhook_id"]
    delivery = (await ada.call("POST", f"/webhooks/{hook}/test"))["delivery_id"]
    order = (await ada.call("POST", "/orders", json={"credits": 1500}))["order_id"]
    things = {
        f"/dashboard/tasks/{task}": ["/cancel", "/delete"],
        f"/dashboard/keys/{key}": ["", "/revoke"],
        f"/dashboard/webhooks/{hook}": ["", "/test", "/secret", "/delete"],
        f"/dashboard/deliveries/{delivery}": ["/redeliver"],
        f"/dashboard/credits/orders/{order}": [],
    }
    for path, actions in things.items():
        assert (await ada.client.get(path)).status_code == 200
        for address in (path, re.sub(r"[0-9a-f]{12}$|[0-9a-f]{12}(?=_)", "0" * 12, path)):
            assert (await ben.client.get(address)).status_code == 404, address
            for action in actions:
                answer = await ben.send(
                    address + action, name="Mine", url="https://b.example", events=["task.failed"]
                )
                assert answer.status_code == 404, address + action
    assert "Mine" in await ada.read("/dashboard/keys")
    assert (await ada.call("GET", f"/tasks/{task}"))["status"] == "IN_PROGRESS"


async def test_who_sends_a_form_after_the_session_has_ended_comes_back_to_its_page(person: Signed) -> None:
    ada = await person()
    cookies = dict(ada.client.cookies)
    await ada.send("/dashboard/settings/sign-out")
    ada.client.cookies.update(cookies)
    for path in ("", "/password"):
        answer = await ada.client.post(f"/dashboard/settings{path}", data={"name": "New"})
        assert answer.headers["location"] == "/sign-in?to=%2Fdashboard%2Fsettings&ended=yes"
    page = await ada.client.get(answer.headers["location"])
    assert "Your session has ended" in page.text


async def test_a_form_of_an_earlier_session_says_what_to_do(person: Signed) -> None:
    ada = await person()
    answer = await ada.client.post("/dashboard/settings", data={"csrf_token": "of yesterday", "name": "New"})
    assert answer.status_code == 403
    assert "Go back, load the page again, and send it once more." in answer.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/dashboard/tasks?cursor=none-of-ours", 400),
        ("/administration/accounts?q=" + "x" * 201, 400),
        ("/administration/audit-log?act=" + "x" * 65, 400),
        ("/administration/accounts?q=%00", 200),
        ("/administration?days=-1", 200),
        ("/dashboard/tasks/nothing", 404),
        ("/administration/accounts/nothing", 404),
        ("/dashboard/credits/orders", 405),
    ],
)
async def test_odd_addresses_are_answered_with_pages(person: Signed, path: str, status: int) -> None:
    ada = await person(is_administrator=True)
    answer = await ada.client.get(path)
    assert answer.status_code == status
    assert Page(answer.text).all("h1")


async def test_what_was_not_foreseen_is_a_page_with_its_id(
    person: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await person()

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(usage, "activity", fail)
    answer = await ada.client.get("/dashboard", headers={"X-Request-Id": "mine-1"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (500, "mine-1")
    assert "mine-1" in answer.text
    assert "unforeseen" not in answer.text
    assert Page(answer.text).all("h1")
    answer = await ada.client.get("/api/v1/account")
    assert answer.json()["error"]["type"] == "internal_error"

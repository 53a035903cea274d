"""The pages of the do-not-swap list and of the rules."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from tests.web.parsing import Page

from mien.resources import Resources
from mien.safety import registry
from mien.safety.likeness import BYTES

Visit = Callable[..., httpx.AsyncClient]
Signed = Callable[..., Awaitable[Any]]


def forms(page: Page) -> list[str | None]:
    """Where the page's form to register sends to; none without one."""
    return [form["data-path"] for form in page.all("form") if "data-register" in form]


@pytest.mark.parametrize(
    ("setting", "is_administrator", "path"),
    [
        ("open", None, "/do-not-swap"),
        ("closed", None, None),
        ("closed", False, None),
        ("closed", True, "/admin/do-not-swap"),
        ("open", True, "/admin/do-not-swap"),
    ],
)
async def test_who_can_register_faces_sees_the_form(
    visit: Visit, person: Signed, setting: str, is_administrator: bool | None, path: str | None
) -> None:
    if is_administrator is None:
        client = visit(do_not_swap=setting)
    else:
        client = (await person(is_administrator=is_administrator, do_not_swap=setting)).client
    page = Page((await client.get("/do-not-swap")).text)
    assert forms(page) == ([path] if path else [])
    assert any("data-remove" in form for form in page.all("form")), "everybody can take their face off"


async def test_administrators_see_who_is_listed_and_take_them_off(
    person: Signed, resources: Resources
) -> None:
    by_hand = await registry.register_for(resources, os.urandom(BYTES), None, "Asked by <b>letter</b>")
    by_themselves = await registry.register(resources, os.urandom(BYTES))
    admin = await person(is_administrator=True)
    listed = await admin.read("/administration/do-not-swap")
    for text in (str(by_hand.face.id), str(by_themselves.face.id), "Asked by &lt;b&gt;letter", "a visitor"):
        assert text in listed
    left = await admin.do(f"/administration/do-not-swap/{by_hand.face.id}/remove")
    assert "The face is off the list." in left
    assert str(by_hand.face.id) not in left
    assert str(by_themselves.face.id) in left


async def test_the_list_is_for_administrators(person: Signed, visit: Visit, resources: Resources) -> None:
    face = (await registry.register(resources, os.urandom(BYTES))).face
    ben = await person()
    assert (await ben.client.get("/administration/do-not-swap")).status_code == 403
    assert (await ben.send(f"/administration/do-not-swap/{face.id}/remove")).status_code == 403
    assert (await visit().get("/administration/do-not-swap")).status_code == 303


async def test_the_rules_are_the_sites_own_or_the_operators(visit: Visit) -> None:
    assert "No minors" in (await visit().get("/content-policy")).text
    own = await visit(content_policy_url="https://example.com/rules").get("/content-policy")
    assert (own.status_code, own.headers["location"]) == (303, "https://example.com/rules")


async def test_who_signs_up_agrees_to_the_rules(visit: Visit) -> None:
    page = (await visit().get("/sign-up")).text
    assert 'agree to the <a href="/content-policy">' in page

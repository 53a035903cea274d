"""The public pages, as browsers get them."""

import re
from collections.abc import Awaitable, Callable
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from tests.web.parsing import Page

from mien.web.documents import documents
from mien.web.prices import price_per_face

PAGES = [
    *("/", "/models/face-swap", "/try", "/docs", "/docs?q=webhook", "/docs/api"),
    *("/check-origin", "/sign-up", "/sign-in", "/reset-password"),
    *(f"/docs/{name}" for name in documents("")),
]


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_whole_and_runs_nothing_that_is_not_ours(
    visitor: httpx.AsyncClient, path: str
) -> None:
    answer = await visitor.get(path)
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    page = Page(answer.text)
    for script in page.all("script"):
        assert script.get("src", ""), "inline script"
    assert not page.all("style")
    for name, attributes in page.elements:
        assert not [each for each in attributes if each == "style" or each.startswith("on")], name
        source = attributes.get("src") or (attributes.get("href") if name == "link" else None)
        assert not source or source.startswith("/"), "from another host"
    assert len(page.ids()) == len(set(page.ids())), "an id twice"
    assert len(page.all("h1")) == 1
    assert all(image.get("alt") is not None for image in page.all("img"))


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("path", PAGES)
async def test_all_links_lead_somewhere(visitor: httpx.AsyncClient, path: str, language: str) -> None:
    visitor.cookies.set("mien_language", language)
    page = Page((await visitor.get(path)).text)
    targets = {urljoin(path, str(link["href"])) for link in page.all("a", "link") if link.get("href")}
    targets |= {str(one["src"]) for one in page.all("img", "script") if one.get("src")}
    for target in sorted(targets):
        parts = urlsplit(target)
        # Pages of people who are signed in have tests of their own.
        if parts.scheme or parts.path.startswith(("/language/", "/dashboard", "/administration")):
            continue
        answer = await visitor.get(target)
        assert answer.status_code == 200, target
        if parts.fragment:
            assert parts.fragment in Page(answer.text).ids(), target


async def test_programs_are_greeted_with_json(visitor: httpx.AsyncClient) -> None:
    for accept in ("application/json", "*/*"):
        answer = await visitor.get("/", headers={"Accept": accept})
        assert answer.json()["openapi"] == "/openapi.json"
        assert answer.headers["vary"] == "Accept"


async def test_pages_answer_head(visitor: httpx.AsyncClient) -> None:
    answer = await visitor.head("/docs")
    assert (answer.status_code, answer.content) == (200, b"")


class TestHome:
    async def test_says_what_a_face_costs(self, visit: Callable[..., httpx.AsyncClient]) -> None:
        assert "3 credits a face" in (await visit().get("/")).text
        assert "0.006 USD" in (await visit().get("/")).text
        free = (await visit(price_per_face=0).get("/")).text
        assert "Free on this service" in free
        assert "USD" not in free

    async def test_the_price_is_that_of_the_smallest_pack(
        self, visit: Callable[..., httpx.AsyncClient]
    ) -> None:
        settings = visit()._transport.app.state.resources.settings  # type: ignore[attr-defined]
        assert price_per_face(settings.model_copy(update={"price_per_face": 10})) == "0.02 USD"
        assert price_per_face(settings.model_copy(update={"packs": ()})) is None


class TestSigningUpAndIn:
    async def test_a_form_is_only_where_it_can_be_used(self, visit: Callable[..., httpx.AsyncClient]) -> None:
        assert 'data-form="sign-up"' in (await visit().get("/sign-up")).text
        closed = (await visit(signup="closed").get("/sign-up")).text
        assert 'data-form="sign-up"' not in closed
        assert "Nobody can sign up here" in closed
        assert "/sign-up" not in (await visit(signup="closed").get("/")).text
        assert "You need an invite" in (await visit(signup="invite").get("/sign-up")).text

    async def test_who_is_signed_in_sees_so_and_gets_the_csrf_token(
        self, visitor: httpx.AsyncClient, sign_up: Callable[..., Awaitable[str]]
    ) -> None:
        assert "csrf-token" not in (await visitor.get("/")).text
        token = await sign_up(visitor, "ada@example.com")
        page = await visitor.get("/")
        assert f'<meta name="csrf-token" content="{token}">' in page.text
        assert "Sign out" in page.text
        assert "private" in page.headers["cache-control"]

    async def test_who_is_signed_in_goes_on(
        self, visitor: httpx.AsyncClient, sign_up: Callable[..., Awaitable[str]]
    ) -> None:
        await sign_up(visitor, "grace@example.com")
        answer = await visitor.get("/sign-in", params={"to": "/try"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/try")
        answer = await visitor.get("/sign-in", params={"to": "//evil.example"})
        assert answer.headers["location"] == "/"

    async def test_the_form_leads_to_no_other_site(self, visitor: httpx.AsyncClient) -> None:
        page = await visitor.get("/sign-in", params={"to": "https://evil.example/"})
        assert 'data-to="/"' in page.text

    async def test_a_session_that_ended_is_none(self, visitor: httpx.AsyncClient) -> None:
        visitor.cookies.set("mien_session", "made up")
        assert "csrf-token" not in (await visitor.get("/")).text


class TestWhatIsNotThere:
    async def test_browsers_get_a_page_and_programs_the_envelope(self, visitor: httpx.AsyncClient) -> None:
        page = await visitor.get("/nothing")
        assert page.status_code == 404
        assert "There is nothing here" in page.text
        assert (await visitor.get("/docs/nothing")).status_code == 404
        answer = await visitor.get("/nothing", headers={"Accept": "application/json"})
        assert answer.json()["error"]["type"] == "not_found"
        answer = await visitor.get("/api/v1/nothing")
        assert answer.json()["error"]["type"] == "authentication_error"

    async def test_nothing_of_the_address_gets_into_the_page_as_html(
        self, visitor: httpx.AsyncClient
    ) -> None:
        for path in ("/docs?q=<script>alert(1)</script>", "/%3Cscript%3Ealert(1)", '/sign-in?to=/"><script>'):
            assert "<script>" not in (await visitor.get(path)).text

    async def test_without_a_database_pages_say_so(self, visit: Callable[..., httpx.AsyncClient]) -> None:
        from pydantic import SecretStr

        elsewhere = visit(database_url=SecretStr("postgresql://nobody@127.0.0.1:9/none"))
        assert (await elsewhere.get("/")).status_code == 200
        elsewhere.cookies.set("mien_session", "any")
        page = await elsewhere.get("/")
        assert page.status_code == 503
        assert "database can&#39;t be reached" in page.text


class TestBelowAPath:
    async def test_addresses_begin_with_it(self, visit: Callable[..., httpx.AsyncClient]) -> None:
        page = Page((await visit(public_url="http://mien.test/swap").get("http://mien.test/docs/http")).text)
        for one in page.all("a", "link", "script", "img"):
            address = str(one.get("href") or one.get("src"))
            assert address.startswith(("/swap/", "#", "https://")), address
        assert page.all("html")[0]["data-base"] == "/swap"


class TestAssets:
    async def test_are_kept_for_good_under_an_address_of_their_content(
        self, visitor: httpx.AsyncClient
    ) -> None:
        page = (await visitor.get("/")).text
        address = re.search(r'href="([^"]+/site\.css)"', page)
        assert address
        style = await visitor.get(address[1])
        assert style.headers["cache-control"].endswith("immutable")
        assert style.headers["content-type"].startswith("text/css")
        assert style.headers["content-encoding"] == "gzip"
        older = await visitor.get("/static/0123456789ab/site.css")
        assert (older.status_code, older.headers["cache-control"]) == (200, "no-cache")

    @pytest.mark.parametrize("name", ["nothing.css", "../pages.py", "%2e%2e/pages.py", "texts/xx.json"])
    async def test_nothing_else_is_served(self, visitor: httpx.AsyncClient, name: str) -> None:
        assert (await visitor.get(f"/static/0/{name}")).status_code == 404

"""Every text of the site exists in every language, and nothing else does."""

import re
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from babel.messages.catalog import Message
from fastapi.routing import APIRoute
from starlette.requests import Request

from mien.resources import Resources
from mien.server import create_app
from mien.settings import Settings
from mien.web.languages import DEFAULT, LANGUAGES, language_of, read_catalog

sys.path.append(str(Path(__file__).parents[2] / "tools"))

from texts import extracted

OTHERS = [language for language in LANGUAGES if language != DEFAULT]
PLACEHOLDERS = re.compile(r"%\(\w+\)s|\{\w+\}|`[^`]+`|</?code>")


def strings(message: Message) -> list[str]:
    return list(message.string) if isinstance(message.string, tuple | list) else [str(message.string)]


def ids(message: Message) -> list[str]:
    return list(message.id) if isinstance(message.id, tuple | list) else [str(message.id)]


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_in_the_catalogue_and_no_other(language: str) -> None:
    known = {message.id for message in read_catalog(language) if message.id}
    used = {message.id for message in extracted() if message.id}
    assert used - known == set(), "run `make texts`, and translate what is new"
    assert known - used == set(), "run `make texts`"


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_translated(language: str) -> None:
    untranslated = [
        message.id
        for message in read_catalog(language)
        if message.id and (message.fuzzy or not all(strings(message)))
    ]
    assert untranslated == []


@pytest.mark.parametrize("language", OTHERS)
def test_translations_have_the_places_of_the_original(language: str) -> None:
    for message in read_catalog(language):
        if message.id:
            wanted = sorted(PLACEHOLDERS.findall(ids(message)[-1]))
            for string in strings(message):
                assert sorted(PLACEHOLDERS.findall(string)) == wanted, message.id


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        ("", "", "en"),
        ("", "es-MX,es;q=0.9,en;q=0.8", "es"),
        ("", "de,en;q=0.5,es;q=0.4", "en"),
        ("", "en;q=0.2,es;q=0.9", "es"),
        ("", "es;q=0", "en"),
        ("", "es;q=x, ,;;", "en"),
        ("", "fr", "en"),
        ("es", "en", "es"),
        ("xx", "en", "en"),
    ],
)
def test_the_visitors_choice_counts_before_their_browsers(cookie: str, accepted: str, language: str) -> None:
    headers = [(b"accept-language", accepted.encode()), (b"cookie", f"mien_language={cookie}".encode())]
    assert language_of(Request({"type": "http", "headers": headers})) == language


async def test_a_page_is_in_the_language_that_was_chosen(visitor: httpx.AsyncClient) -> None:
    chosen = await visitor.get("/language/es", params={"to": "/sign-in"})
    assert (chosen.status_code, chosen.headers["location"]) == (303, "/sign-in")
    page = await visitor.get("/sign-in")
    assert '<html lang="es"' in page.text
    assert "Iniciar sesión" in page.text
    assert page.headers["content-language"] == "es"


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/a\r\nb"]
)
async def test_the_switch_leads_nowhere_else(visitor: httpx.AsyncClient, to: str) -> None:
    assert (await visitor.get("/language/es", params={"to": to})).headers["location"] == "/"


async def test_the_language_can_be_changed_after_any_form(
    person: Callable[..., Any], settings: Settings, resources: Resources
) -> None:
    administrator = await person(is_administrator=True)
    app = create_app(settings)
    forms = [
        route.path.format_map(defaultdict(uuid4))
        for route in app.router.routes
        if isinstance(route, APIRoute)
        and "POST" in (route.methods or ())
        and route.path.startswith(("/dashboard", "/administration"))
    ]
    assert len(forms) > 15
    for path in forms:
        refused = await administrator.client.post(path, data={"csrf_token": "wrong"})
        assert refused.status_code == 403, path
        (switch,) = re.findall(r'href="(/language/es\?to=[^"]+)"', refused.text)
        chosen = await administrator.client.get(switch)
        again = await administrator.client.get(chosen.headers["location"])
        assert again.status_code in (200, 404), path  # 404 where the path names what isn't there
        assert '<html lang="es"' in again.text
    await app.state.payments.close()
    await app.state.resources.close()


async def test_scripts_get_their_texts(visitor: httpx.AsyncClient) -> None:
    visitor.cookies.set("mien_language", "es")
    address = re.search(r'data-texts="([^"]+)"', (await visitor.get("/try")).text)
    assert address
    texts = await visitor.get(address[1])
    assert texts.json()["Copy"] == "Copiar"
    assert "immutable" in texts.headers["cache-control"]

"""A real service and a real browser. An error in the console or a request to another host fails a test."""

import asyncio
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright
from tests.running import MIEN, PATIENCE, running_service

CHROMIUM = os.environ.get("MIEN_TEST_CHROMIUM", "/usr/bin/chromium")
PASSWORD = "correct horse battery staple"
_TALL = 9000  # pixels; of longer pages the top is enough
_addresses = itertools.count(1)
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """Where the service keeps its data."""
    folder = Path(tempfile.mkdtemp(prefix="mien-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def service(folder: Path) -> Iterator[str]:
    """The address of `mien serve`, where everybody can sign up."""
    with running_service(folder, SIGNUP="open", LOG_LEVEL="warning", TRUSTED_PROXIES="127.0.0.1") as address:
        yield address


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--disable-background-networking",
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
            ],
        )
        yield browser
        await browser.close()


@dataclass
class Person:
    """Somebody at a browser."""

    page: Page
    address: str
    expected: list[str] = field(default_factory=list)
    """Parts of errors in the console that the test provokes."""
    faults: list[str] = field(default_factory=list)

    async def go(self, path: str) -> None:
        await self.page.goto(self.address + path)

    async def sign_up(self) -> str:
        """Make an account by the form; its e-mail address."""
        email = f"{uuid4().hex}@example.com"
        await self.go("/sign-up")
        await self.page.get_by_label("E-mail address").fill(email)
        await self.page.get_by_label("Password").fill(PASSWORD)
        await self.page.get_by_role("button", name="Make the account").click()
        await self.page.wait_for_url("**/dashboard/keys")
        return email

    async def make_key(self) -> str:
        """A key of who is signed in, by the dashboard."""
        await self.go("/dashboard/keys")
        await self.page.locator("input[name=name]").fill("Tests")
        await self.page.get_by_role("button", name="Make the key").click()
        code = await self.page.locator("pre", has_text="Bearer aio_").inner_text()
        return code.split("Bearer ")[1].rstrip('"\n')

    def listen(self) -> None:
        def console(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning") and not any(one in message.text for one in self.expected):
                self.faults.append(f"{message.type}: {message.text}")

        def request(sent: Request) -> None:
            parts = urlsplit(sent.url)
            if parts.scheme not in ("blob", "data") and f"{parts.scheme}://{parts.netloc}" != self.address:
                self.faults.append(f"asked another host: {sent.url}")

        self.page.on("console", console)
        self.page.on("pageerror", lambda error: self.faults.append(f"exception: {error}"))
        self.page.on("request", request)


NewPerson = Callable[..., Awaitable[Person]]


@pytest.fixture
async def new_person(chromium: Browser, service: str) -> AsyncIterator[NewPerson]:
    """Makes people with browsers of their own; options are Playwright's for a context."""
    people: list[Person] = []

    async def new_person(**options: Any) -> Person:
        # Everybody comes from an address of their own: few accounts may be made from one.
        headers = {"X-Forwarded-For": f"203.0.113.{next(_addresses)}"}
        defaults: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}, "extra_http_headers": headers}
        context = await chromium.new_context(**defaults | options)
        await context.grant_permissions(["clipboard-read", "clipboard-write"], origin=service)
        context.set_default_timeout(PATIENCE / 2 * 1000)
        person = Person(await context.new_page(), service)
        person.listen()
        people.append(person)
        return person

    yield new_person
    for person in people:
        await person.page.context.close()
    assert [fault for person in people for fault in person.faults] == []


@pytest.fixture
async def person(new_person: NewPerson) -> Person:
    return await new_person()


@pytest.fixture
async def administrator(new_person: NewPerson, folder: Path) -> Person:
    """Somebody who is signed in, and whom the operator made an administrator."""
    email = f"{uuid4().hex}@example.com"
    command = [str(MIEN), "accounts", "create", email, "--administrator", "--password-stdin"]
    command += ["--data-dir", str(folder)]
    await asyncio.to_thread(
        subprocess.run, command, input=PASSWORD, text=True, check=True, capture_output=True
    )
    person = await new_person()
    await person.go("/sign-in?to=/administration")
    await person.page.get_by_label("E-mail address").fill(email)
    await person.page.get_by_label("Password").fill(PASSWORD)
    await person.page.get_by_role("main").get_by_role("button", name="Sign in").click()
    await person.page.wait_for_url(f"{person.address}/administration")  # not where one signs in to get there
    return person


@pytest.fixture
def screenshot() -> Callable[[Page, str], Awaitable[None]]:
    """Keeps a picture of a page, for people to look at."""

    async def screenshot(page: Page, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        height = await page.evaluate("document.documentElement.scrollHeight")
        await page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=height < _TALL)

    return screenshot

"""The page on which people protect their own face, in a browser."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import openpeople
import pytest
from playwright.async_api import Page, expect
from tests.browser.conftest import Person

pytestmark = pytest.mark.browser

PEOPLE = Path(openpeople.__file__).parent / "data" / "curated"
ADA = [PEOPLE / "P004" / "assets" / f"{name}.jpg" for name in ("studio_portrait", "amateur_selfie")]
BEN = PEOPLE / "P001" / "assets" / "studio_portrait.jpg"


async def test_an_administrator_registers_a_face_and_it_is_taken_off_by_its_secret(
    administrator: Person, screenshot: Callable[[Page, str], Awaitable[None]]
) -> None:
    page = administrator.page
    administrator.expected.extend(["400", "404"])
    await administrator.go("/administration/do-not-swap")
    await page.get_by_role("link", name="Register a face").click()
    await page.locator("#pictures").set_input_files([ADA[0], BEN])
    await page.get_by_label("Note").fill("Asked by letter")
    await page.get_by_role("checkbox").check()
    await page.get_by_role("button", name="Register", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("Picture number 2 seems to show somebody else")
    await page.get_by_role("button", name="Leave out picture 2").click()
    await page.locator("#pictures").set_input_files(ADA[1])
    await page.get_by_role("button", name="Register", exact=True).click()
    await expect(page.get_by_role("heading", name="The face is on the list")).to_be_visible()
    await screenshot(page, "do-not-swap-registered")
    entry = await page.locator("#face-id").inner_text()
    secret = await page.locator("#removal-secret").inner_text()

    await administrator.go("/administration/do-not-swap")
    await expect(page.get_by_role("row").filter(has_text=entry)).to_contain_text("Asked by letter")
    await screenshot(page, "administration-do-not-swap")

    await administrator.go("/do-not-swap")
    await page.locator("#remove-id").fill(entry)
    await page.locator("#remove-secret").fill("guessed")
    await page.get_by_role("button", name="Take it off").click()
    await expect(page.get_by_role("alert")).to_contain_text("no such face")
    await page.locator("#remove-secret").fill(secret)
    await page.get_by_role("button", name="Take it off").click()
    await expect(page.get_by_role("status")).to_contain_text("off the list")


async def test_visitors_of_a_closed_list_are_told_whom_to_ask(
    person: Person, screenshot: Callable[[Page, str], Awaitable[None]]
) -> None:
    await person.go("/do-not-swap")
    await expect(person.page.get_by_text("only its operator puts faces on the list")).to_be_visible()
    await expect(person.page.locator("[data-register]")).to_have_count(0)
    await screenshot(person.page, "do-not-swap-closed")

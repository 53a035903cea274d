"""The page that checks where a picture comes from: dropped, pasted or chosen, with scripts and without."""

import base64
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe

from mien.images.codec import decode
from mien.marks.certificates import read_development_identity
from mien.marks.marking import Making, Marks, mark
from mien.marks.provenance import Signer
from mien.settings import load_settings, signing_secret, watermark_key

Person = Any
NewPerson = Callable[..., Awaitable[Person]]
Screenshot = Callable[[Any, str], Awaitable[None]]

pytestmark = pytest.mark.browser

CAFE = Path(__file__).parents[2] / "src" / "mien" / "samples" / "cafe.jpg"
HAND_OVER = """([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
  return transfer;
}"""
WAYS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True},
}


@pytest.fixture(scope="module")
def result(service: str, folder: Path) -> bytes:
    """A picture as the running service marks its own."""
    settings = load_settings(data_dir=folder)
    key = watermark_key(settings, signing_secret(settings))
    signer = Signer.of(read_development_identity((folder / "provenance").read_text()))
    making = Making("0190a0_faceswap", datetime(2026, 8, 2, 12, 30, tzinfo=UTC), "1.2.3", b"", [b""])
    marks = Marks(watermark_key=key, signing=signer)
    return mark(decode(CAFE.read_bytes()).rgb, "jpg", making, marks)


async def choose(person: Person, data: bytes) -> None:
    await person.page.locator("#image").set_input_files(
        {"name": "picture.jpg", "mimeType": "image/jpeg", "buffer": data}
    )


def found(person: Person, words: str) -> Any:
    return person.page.get_by_role("heading", name=words)


async def test_a_dropped_picture_is_checked_at_once(person: Person, result: bytes) -> None:
    await person.go("/")
    await person.page.get_by_role("link", name="Check a picture").click()
    transfer = await person.page.evaluate_handle(
        HAND_OVER, ["holiday.jpg", base64.b64encode(result).decode()]
    )
    await person.page.locator("[data-send]").wait_for(state="hidden")  # the script is there
    await person.page.locator("[data-drop]").dispatch_event("drop", {"dataTransfer": transfer})
    await found(person, "This picture was made here, with Mien").wait_for()
    outcome = person.page.locator("[data-outcome]")
    assert "This service signed the file" in await outcome.inner_text()
    assert "this service's invisible watermark" in await outcome.inner_text()
    assert "holiday.jpg" in await person.page.locator("[data-preview]").inner_text()
    assert await person.page.evaluate("document.activeElement.tagName") == "H2"  # read out


async def test_a_pasted_picture_is_checked_in_spanish(person: Person) -> None:
    await person.go("/language/es?to=/check-origin")
    await person.page.locator("[data-send]").wait_for(state="hidden")  # the script is there
    transfer = await person.page.evaluate_handle(
        HAND_OVER, ["", base64.b64encode(CAFE.read_bytes()).decode()]
    )
    await person.page.evaluate(
        "(data) => document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data }))", transfer
    )
    await found(person, "No se encontró ningún rastro de Mien").wait_for()


async def test_what_cannot_be_checked_is_explained(person: Person) -> None:
    person.expected = ["status of 400"]
    await person.go("/check-origin")
    await choose(person, b"no picture at all")
    await person.page.locator("[data-outcome] .notice.error").wait_for()
    await choose(person, bytes(20_000_001))
    await person.page.get_by_text("at most 20 MB").wait_for()
    await choose(person, CAFE.read_bytes())
    await found(person, "No sign of Mien was found").wait_for()


async def test_it_works_without_scripts(new_person: NewPerson, result: bytes) -> None:
    person = await new_person(java_script_enabled=False)
    await person.go("/check-origin")
    await choose(person, result)
    await person.page.get_by_role("button", name="Check it").click()
    await found(person, "This picture was made here, with Mien").wait_for()


@pytest.mark.parametrize("way", WAYS)
async def test_what_was_found_fits_and_can_be_read_by_everybody(
    new_person: NewPerson, screenshot: Screenshot, result: bytes, way: str
) -> None:
    person = await new_person(**WAYS[way])
    await person.go("/check-origin")
    await choose(person, result)
    await found(person, "This picture was made here, with Mien").wait_for()
    width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await person.page.evaluate(width) == 0
    await screenshot(person.page, f"check-origin-found-{way}")
    violations = (await Axe().run(person.page)).response["violations"]
    assert [fault["id"] for fault in violations if fault["impact"] in ("serious", "critical")] == []

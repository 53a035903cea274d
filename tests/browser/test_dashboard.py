"""The dashboard and the administration, as people use them."""

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Page

    Person = Any
    NewPerson = Callable[..., Awaitable[Person]]
    Screenshot = Callable[[Page, str], Awaitable[None]]

pytestmark = pytest.mark.browser

WAYS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}},
    "phone-dark": {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"},
}
CHECKED = ("phone", "phone-dark")
"""Both themes; of the wide window a picture is enough, since its pages consist of the same."""
DASHBOARD = ["", "/tasks", "/keys", "/webhooks", "/credits", "/credits/ledger", "/settings"]
ADMINISTRATION = ["", "/accounts", "/invites", "/orders", "/audit-log", "/settings"]
CREATE = """async () => {
  const token = document.querySelector('meta[name="csrf-token"]').content;
  const samples = document.querySelector('meta[name="public-url"]').content + "/samples/";
  const answer = await fetch("/api/v1/images/tools/face-swap", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRF-Token": token },
    body: JSON.stringify({
      model: "face-swap",
      image: samples + "park.jpg",
      face_image: samples + "man.jpg",
    }),
  });
  return (await answer.json()).data.task_id;
}"""


async def look(
    person: "Person", paths: list[str], prefix: str, screenshot: "Screenshot"
) -> list[tuple[str, str, str, Any]]:
    """What keeps somebody from using these pages, in each way of looking at them."""
    found = []
    for way, options in WAYS.items():
        page = person.page
        await page.set_viewport_size(options.get("viewport", {"width": 1280, "height": 900}))
        await page.emulate_media(color_scheme=options.get("color_scheme", "light"))
        for path in paths:
            await person.go(prefix + path)
            overflow = await page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert overflow == 0, f"{prefix}{path} is wider than the window ({way})"
            words = re.sub(r"[^\w-]+", "-", prefix + path).strip("-")
            name = re.sub(r"-[0-9a-f-]{32,}(_faceswap)?", "-one", words)
            await screenshot(page, f"{name}-{way}")
            if way not in CHECKED:
                continue
            results = (await Axe().run(page)).response
            found += [
                (way, path, fault["id"], [node["target"] for node in fault["nodes"]][:3])
                for fault in results["violations"]
                if fault["impact"] in ("serious", "critical")
            ]
    return found


async def test_a_key_is_made_copied_and_revoked_by_the_keyboard(person: "Person") -> None:
    await person.sign_up()
    key = await person.make_key()
    page = person.page
    await page.get_by_role("button", name="Copy", exact=True).first.press("Enter")
    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == key
    revoke = page.locator("summary", has_text="Revoke")
    await revoke.press("Enter")
    await expect(page.get_by_text("stop working at once")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_text("stop working at once")).to_be_hidden()
    await revoke.press("Enter")
    await page.get_by_role("button", name="Revoke the key").press("Enter")
    await expect(page.get_by_text("The key is revoked")).to_be_visible()
    await page.wait_for_url("**/dashboard/keys")  # said once, not again when it's loaded again


async def test_the_keyboard_reaches_everything_in_order_and_shows_where_it_is(
    administrator: "Person",
) -> None:
    page = administrator.page
    await administrator.go("/administration/accounts")
    seen: list[str] = []
    while seen.count("Skip to the content") < 2:
        await page.keyboard.press("Tab")
        focused = await page.evaluate(
            """() => {
              const one = document.activeElement, style = getComputedStyle(one);
              if (one === document.body) return ["the browser", "", 0];
              const text = one.textContent.trim() || one.getAttribute("aria-label") || one.id;
              return [text.slice(0, 40), style.outlineStyle, parseFloat(style.outlineWidth)];
            }"""
        )
        seen.append(focused[0])
        if focused[0] == "the browser":
            break
        assert focused[1] != "none", focused
        assert focused[2] >= 2, focused
    assert seen[0] == "Skip to the content"
    places = [seen.index(text) for text in ("Docs", "Invites", "Search", "First account", "English")]
    assert places == sorted(places)
    assert await page.locator("[tabindex]:not([tabindex='0']):not([tabindex='-1'])").count() == 0


async def test_clicking_twice_does_it_once(person: "Person") -> None:
    await person.sign_up()
    page = person.page
    await page.locator("input[name=name]").fill("Once")
    await page.get_by_role("button", name="Make the key").dblclick()
    await expect(page.get_by_text(re.compile(r"^aio_[\w-]{43}$"))).to_be_visible()
    await person.go("/dashboard/keys")
    await expect(page.get_by_role("cell", name="Once", exact=True)).to_have_count(1)
    await person.go("/dashboard/credits")
    await page.get_by_role("button", name="Buy 1,500 credits").dblclick()
    await page.wait_for_url("**/orders/*")
    await person.go("/dashboard/credits")
    await expect(page.get_by_role("link", name="Pay")).to_have_count(1)


async def test_the_back_button_shows_nothing_to_who_has_left(person: "Person") -> None:
    await person.sign_up()
    page = person.page
    await person.go("/dashboard/settings")
    await page.get_by_role("button", name="Sign out").first.click()
    await page.wait_for_url(f"{person.address}/")
    await page.go_back()
    await page.wait_for_url("**/sign-in?to=*")
    assert "@example.com" not in await page.content()


async def test_a_form_that_was_open_when_the_session_ended_leads_back_to_its_page(
    person: "Person",
) -> None:
    email = await person.sign_up()
    page = person.page
    await person.go("/dashboard/settings")
    await page.context.clear_cookies()
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Your session has ended")).to_be_visible()
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_label("Password").fill("correct horse battery staple")
    await page.get_by_role("main").get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/dashboard/settings")


async def test_a_task_in_progress_becomes_a_picture_that_can_be_deleted(
    person: "Person", screenshot: "Screenshot"
) -> None:
    await person.sign_up()
    page = person.page
    task_id = await page.evaluate(CREATE)
    await person.go(f"/dashboard/tasks/{task_id}")
    await expect(page.get_by_role("img", name="The result")).to_be_visible(timeout=120_000)
    picture = page.get_by_role("img", name="The result")
    assert await picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    paths = ["", f"/tasks/{task_id}", "/tasks", "/credits/ledger"]
    assert await look(person, paths, "/dashboard", screenshot) == []
    await person.go(f"/dashboard/tasks/{task_id}")
    await page.get_by_text("Delete the picture").click()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await expect(page.get_by_text("The pictures are deleted.")).to_be_visible()
    await expect(picture).to_have_count(0)


async def test_webhooks_credits_and_settings(person: "Person", screenshot: "Screenshot") -> None:
    await person.sign_up()
    page = person.page
    await person.go("/dashboard/webhooks")
    await page.get_by_label("Address").fill("https://example.com/hooks")
    await page.get_by_role("button", name="Add the webhook").click()
    await expect(page.get_by_text(re.compile("^whsec_"))).to_be_visible()
    await page.get_by_role("button", name="Disable").click()
    await expect(page.get_by_text("You disabled it.")).to_be_visible()
    webhook = page.url
    await page.get_by_role("button", name="Enable").click()
    await page.get_by_role("button", name="Send a test event").click()
    await expect(page.get_by_role("heading", name="webhook.test")).to_be_visible()
    delivery = page.url
    await person.make_key()
    await person.go("/dashboard/keys")
    await page.get_by_role("link", name="Change").click()
    await expect(page.get_by_role("button", name="Save")).to_be_visible()
    key = page.url
    await person.go("/dashboard/credits")
    await page.get_by_role("button", name="Buy 1,500 credits").click()
    await expect(page.get_by_role("heading", name="Order")).to_be_visible()
    order = page.url
    await person.go("/dashboard/settings")
    await page.get_by_label("Keep results for").select_option("1 day")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Saved.")).to_be_visible()
    await expect(page.get_by_label("Keep results for")).to_have_value("86400")
    of_things = [url.partition("?")[0].partition("/dashboard")[2] for url in (webhook, delivery, key, order)]
    person.expected = ["status of 403", "status of 404"]
    for prefix, paths in (
        ("/dashboard", [*DASHBOARD, *of_things, "/tasks/nothing"]),
        ("", ["/administration", "/sign-in?ended=yes"]),
    ):
        assert await look(person, paths, prefix, screenshot) == []


async def test_forms_work_without_scripts(new_person: "NewPerson") -> None:
    signed_in = await new_person()
    await signed_in.sign_up()
    state = await signed_in.page.context.storage_state()
    person = await new_person(java_script_enabled=False, storage_state=state)
    page = person.page
    await person.go("/dashboard/keys")
    await page.locator("input[name=name]").fill("Plain")
    await page.get_by_role("button", name="Make the key").click()
    await expect(page.get_by_text(re.compile(r"^aio_[\w-]{43}$"))).to_be_visible()
    await page.locator("summary", has_text="Revoke").click()
    await page.get_by_role("button", name="Revoke the key").click()
    await expect(page.get_by_text("There is no key yet.")).to_be_visible()
    await person.go("/dashboard/settings")
    await page.get_by_role("button", name="Sign out", exact=True).last.click()
    await person.go("/dashboard")
    assert "/sign-in" in page.url


async def test_an_administrator_confirms_grants_and_disables(
    administrator: "Person", new_person: "NewPerson", screenshot: "Screenshot"
) -> None:
    buyer = await new_person()
    email = await buyer.sign_up()
    await buyer.go("/dashboard/credits")
    await buyer.page.get_by_role("button", name="Buy 1,500 credits").click()
    await buyer.page.wait_for_url("**/orders/*")
    page = administrator.page
    await administrator.go("/administration/orders")
    row = page.get_by_role("row", name=re.compile(email))
    await row.locator("summary", has_text="Confirm").click()
    await row.get_by_role("button", name="The money has arrived").click()
    await expect(page.get_by_text("The payment is confirmed")).to_be_visible()
    await buyer.page.reload()
    await expect(buyer.page.get_by_role("heading", name="Receipt")).to_be_visible()
    await administrator.go("/administration/accounts")
    await page.get_by_role("link", name=email).click()
    await page.get_by_role("spinbutton", name="Credits").fill("100")
    await page.get_by_role("button", name="Grant").click()
    await expect(page.get_by_text("+100", exact=True)).to_be_visible()
    paths = [*ADMINISTRATION, page.url.partition("?")[0].partition("/administration")[2]]
    assert await look(administrator, paths, "/administration", screenshot) == []
    await administrator.go(f"/administration{paths[-1]}")
    await page.locator("summary", has_text="Disable").click()
    await page.get_by_role("button", name="Disable the account").click()
    await expect(page.get_by_text("The account is disabled.")).to_be_visible()
    await buyer.go("/dashboard")
    assert "/sign-in" in buyer.page.url

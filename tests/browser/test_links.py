"""Links that let somebody in: invites, and those that reset a password, in both languages."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import expect

Person = Any
NewPerson = Callable[..., Awaitable[Person]]

pytestmark = pytest.mark.browser

OLD, NEW = "correct horse battery staple", "battery staple correct horse"
WORDS = {
    "en": {
        "email": "E-mail address",
        "password": "Password",
        "make": "Make the account",
        "new": "New password",
        "choose": "Choose this password",
        "sign in": "Sign in",
        "used invite": "The invite isn't valid: it was used, withdrawn, has expired",
        "used link": "The link isn't valid: it was used or has expired.",
        "another": "Ask for another link",
        "ask": "Ask for a link",
        "wrong": "The e-mail address or the password is wrong.",
    },
    "es": {
        "email": "Correo electrónico",
        "password": "Contraseña",
        "make": "Crear la cuenta",
        "new": "Nueva contraseña",
        "choose": "Elegir esta contraseña",
        "sign in": "Iniciar sesión",
        "used invite": "La invitación no es válida: ya se usó, se retiró, ha caducado",
        "used link": "El enlace no es válido: ya se usó o ha caducado.",
        "another": "Pedir otro enlace",
        "ask": "Pedir un enlace",
        "wrong": "El correo electrónico o la contraseña no son correctos.",
    },
}


async def sign_up(person: Person, link: str, email: str, words: dict[str, str]) -> None:
    page = person.page
    await page.goto(link)
    await page.get_by_label(words["email"]).fill(email)
    await page.get_by_label(words["password"]).fill(OLD)
    await page.get_by_role("button", name=words["make"]).click()


async def sign_in(person: Person, email: str, password: str, words: dict[str, str]) -> None:
    page = person.page
    await person.go("/sign-in")
    await page.get_by_label(words["email"]).fill(email)
    await page.get_by_label(words["password"]).fill(password)
    await page.get_by_role("main").get_by_role("button", name=words["sign in"]).click()


async def invite(administrator: Person) -> str:
    await administrator.go("/administration/invites")
    await administrator.page.get_by_role("button", name="Make the link").click()
    return str(await administrator.page.locator("#invite-link").inner_text())


@pytest.mark.parametrize("language", WORDS)
async def test_an_invite_lets_one_person_in_and_then_nobody(
    administrator: Person, new_person: NewPerson, language: str
) -> None:
    words = WORDS[language]
    link = await invite(administrator)
    guest = await new_person(locale=language)
    await sign_up(guest, link, f"guest.{language}@example.com", words)
    await guest.page.wait_for_url("**/dashboard/keys")
    late = await new_person(locale=language)
    late.expected = ["status of 403"]
    await sign_up(late, link, f"late.{language}@example.com", words)
    await expect(late.page.get_by_role("alert")).to_contain_text(words["used invite"])
    withdrawn = await invite(administrator)
    await administrator.page.locator("summary", has_text="Withdraw").first.click()
    await administrator.page.get_by_role("button", name="Withdraw the invite").first.click()
    await expect(administrator.page.get_by_text("The invite is withdrawn.")).to_be_visible()
    await sign_up(late, withdrawn, f"late.{language}@example.com", words)
    await expect(late.page.get_by_role("alert")).to_contain_text(words["used invite"])


@pytest.mark.parametrize("language", WORDS)
async def test_a_forgotten_password_is_chosen_anew_and_old_sessions_are_gone(
    administrator: Person, new_person: NewPerson, language: str
) -> None:
    words = WORDS[language]
    elsewhere = await new_person(locale=language)
    email = f"forgetful.{language}@example.com"
    await sign_up(elsewhere, f"{elsewhere.address}/sign-up", email, words)
    await elsewhere.page.wait_for_url("**/dashboard/keys")
    person = await new_person(locale=language)
    page = person.page
    await person.go("/reset-password")
    await page.get_by_label(words["email"]).fill(email)
    await page.get_by_role("button", name=words["ask"]).click()
    await page.get_by_role("status").wait_for()
    await administrator.go("/administration/invites")
    row = administrator.page.locator("li", has_text=email)
    await row.get_by_role("button", name="Show the link").click()
    link = await administrator.page.locator("#reset-link").inner_text()
    await page.goto(link)
    await page.get_by_label(words["new"]).fill(NEW)
    await page.get_by_role("button", name=words["choose"]).click()
    await page.wait_for_url("**/sign-in")
    await elsewhere.go("/dashboard")
    assert "/sign-in" in elsewhere.page.url
    person.expected = ["status of 401"]
    await sign_in(person, email, OLD, words)
    await expect(page.get_by_role("alert")).to_contain_text(words["wrong"])
    await sign_in(person, email, NEW, words)
    await page.wait_for_url("**/dashboard")
    elsewhere.expected = ["status of 401"]
    await elsewhere.page.goto(link)
    await elsewhere.page.get_by_label(words["new"]).fill(OLD)
    await elsewhere.page.get_by_role("button", name=words["choose"]).click()
    await expect(elsewhere.page.get_by_role("alert")).to_contain_text(words["used link"])
    await elsewhere.page.get_by_role("link", name=words["another"]).click()
    await expect(elsewhere.page.get_by_role("button", name=words["ask"])).to_be_visible()
    await administrator.go("/administration/audit-log")
    await expect(administrator.page.get_by_role("row", name=re.compile(email)).first).to_contain_text(
        "Password link looked at"
    )

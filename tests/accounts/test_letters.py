"""Letters from the act that they are about to the mail server's door."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email import message_from_string, policy
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, text, update
from structlog.testing import capture_logs

from mien.accounts import invites, letters, people, postman, resets
from mien.accounts.models import Letter
from mien.resources import Resources
from mien.settings import Settings


@dataclass
class MailServer:
    """Takes mail, or answers as `refusal` says instead; knows as much SMTP as that needs."""

    url: str = ""
    refusal: bytes = b""
    mails: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        while line := await reader.readline():
            command = line[:4].upper()
            if command == b"DATA":
                writer.write(b"354 go on\r\n")
                self.mails.append((await reader.readuntil(b"\r\n.\r\n")).decode())
            if command == b"QUIT":
                writer.write(b"221 bye\r\n")
            else:
                writer.write(self.refusal if command == b"MAIL" and self.refusal else b"250 ok\r\n")
        writer.close()

    def read(self) -> tuple[str, str]:
        """To whom the last mail went, and the link in it."""
        mail = message_from_string(self.mails[-1], policy=policy.default)
        (link,) = re.findall(r"http://mien.test/\S+#\S+", mail.get_content())
        return str(mail["To"]), str(link)


@pytest.fixture
async def mail_server() -> AsyncIterator[MailServer]:
    mail_server = MailServer()
    server = await asyncio.start_server(mail_server.serve, "127.0.0.1", 0)
    mail_server.url = f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield mail_server


@pytest.fixture
def settings(settings: Settings, mail_server: MailServer) -> Settings:
    return settings.model_copy(update={"smtp_url": SecretStr(mail_server.url), "signup": "invite"})


async def invite(resources: Resources) -> str:
    """The link."""
    async with resources.sessions.begin() as session:
        invite = await invites.create(session, resources, "ada@example.com", by=None)
        await invites.mail_link(session, resources, invite)
    return invites.link(resources, invite)


async def ask_for_reset(resources: Resources) -> None:
    async with resources.sessions.begin() as session:
        await people.add_person(session, "ada@example.com", "hash", name="Ada")
    await resets.request(resources, "ada@example.com")


async def waiting(resources: Resources) -> list[Letter]:
    async with resources.sessions() as session:
        return list(await session.scalars(select(Letter).order_by(Letter.created_at)))


async def make_due(resources: Resources, **times: Any) -> None:
    async with resources.sessions.begin() as session:
        await session.execute(update(Letter).values(next_try_at=func.now(), **times))


async def send_all(resources: Resources) -> None:
    """What a worker does when it's woken."""
    async with resources.sessions() as session:
        woken = (await session.scalars(text("SELECT args->>'row_id' FROM procrastinate_jobs"))).all()
    async with resources.sessions.begin() as session:
        await session.execute(text("DELETE FROM procrastinate_jobs"))
    (queue,) = postman.served(resources)
    for row_id in woken:
        await queue.run(row_id)


async def test_an_invite_is_mailed_with_its_link_and_forgotten(
    resources: Resources, mail_server: MailServer
) -> None:
    link = await invite(resources)
    assert mail_server.mails == []
    await send_all(resources)
    assert mail_server.read() == ("ada@example.com", link)
    assert await waiting(resources) == []


async def test_a_reset_is_mailed_with_a_link_that_works(
    resources: Resources, mail_server: MailServer
) -> None:
    await ask_for_reset(resources)
    await send_all(resources)
    to, link = mail_server.read()
    assert to == "ada@example.com"
    await resets.confirm(resources, link.partition("#")[2], "a new password", client="203.0.113.7")


async def test_no_letter_is_written_when_the_act_is_undone(resources: Resources) -> None:
    with suppress(ZeroDivisionError):
        async with resources.sessions.begin() as session:
            made = await invites.create(session, resources, "ada@example.com", by=None)
            await invites.mail_link(session, resources, made)
            raise ZeroDivisionError
    assert await waiting(resources) == []


async def test_nothing_that_is_stored_opens_anything(resources: Resources) -> None:
    token = (await invite(resources)).partition("#")[2]
    await ask_for_reset(resources)
    async with resources.sessions() as session:
        for table in ("letters", "invites", "password_resets", "procrastinate_jobs"):
            rows = await session.execute(text(f"SELECT t::text FROM {table} t"))
            stored = " ".join(rows.scalars())
            assert stored
            assert token not in stored
            assert resources.secret.hex() not in stored


@pytest.mark.parametrize("outage", ["away", "refusing"])
async def test_what_the_server_does_not_take_is_tried_again_until_it_does(
    resources: Resources, mail_server: MailServer, outage: str
) -> None:
    link = await invite(resources)
    mail_server.refusal = b"451 later, ada@example.com\r\n"
    address = SecretStr("smtp://127.0.0.1:1" if outage == "away" else mail_server.url)
    failing = replace(resources, settings=resources.settings.model_copy(update={"smtp_url": address}))
    with capture_logs() as lines:
        await send_all(failing)
    (line,) = [line for line in lines if line["event"] == "letter not sent"]
    assert link.partition("#")[2] not in str(lines)
    assert "ada@" not in str(lines)
    (letter,) = await waiting(resources)
    assert (letter.tries, letter.failure, letter.given_up_at) == (1, line["reason"], None)
    async with resources.sessions() as session:
        (unsent,) = await letters.list_unsent(session)
    assert (unsent.letter.id, unsent.recipient, unsent.letter.about) == (
        letter.id,
        "ada@example.com",
        "invite",
    )

    mail_server.refusal = b""
    await letters.reap(resources)  # it isn't due yet
    await send_all(resources)
    assert mail_server.mails == []
    await make_due(resources)
    await letters.reap(resources)
    await send_all(resources)
    assert mail_server.read() == ("ada@example.com", link)
    assert await waiting(resources) == []


async def test_a_worker_that_dies_while_it_sends_leaves_the_letter_to_others(
    resources: Resources, mail_server: MailServer
) -> None:
    await invite(resources)
    (letter,) = await waiting(resources)
    async with resources.sessions.begin() as session:
        taken = await letters.start_try(session, letter.id)
        assert taken
        assert await letters.start_try(session, letter.id) is None  # meanwhile it's nobody else's
        await session.execute(text("DELETE FROM procrastinate_jobs"))
    await make_due(resources)  # after a while
    await letters.reap(resources)
    await send_all(resources)
    assert len(mail_server.mails) == 1
    async with resources.sessions.begin() as session:
        await letters.end_failed(session, taken, "Too late.")
    assert await waiting(resources) == []


async def test_what_no_server_has_taken_for_a_day_is_given_up_with_a_line_in_the_log(
    resources: Resources, mail_server: MailServer
) -> None:
    await invite(resources)
    (letter,) = await waiting(resources)
    assert letter.tried_until - letter.created_at == pytest.approx(
        timedelta(days=1), abs=timedelta(minutes=1)
    )
    mail_server.refusal = b"550 never\r\n"
    await send_all(resources)
    await make_due(resources, tried_until=func.now())
    with capture_logs() as lines:
        await letters.reap(resources)
        await letters.reap(resources)
    (line,) = [line for line in lines if line["event"] == "letter given up"]
    assert (line["log_level"], line["about"], line["tries"], line["reason"]) == (
        "error",
        "invite",
        1,
        "127.0.0.1 answered 550",
    )
    mail_server.refusal = b""
    await send_all(resources)
    assert mail_server.mails == []
    async with resources.sessions() as session:
        (unsent,) = await letters.list_unsent(session)
    assert unsent.letter.given_up_at


async def test_a_letter_goes_with_what_it_is_about(resources: Resources, mail_server: MailServer) -> None:
    await invite(resources)
    (letter,) = await waiting(resources)
    assert letter.invite_id
    async with resources.sessions.begin() as session:
        await invites.withdraw(session, letter.invite_id, by=None)
    assert await waiting(resources) == []
    await send_all(resources)
    assert mail_server.mails == []


async def test_the_link_of_a_reset_is_mailed_no_longer_than_it_works(resources: Resources) -> None:
    await ask_for_reset(resources)
    (letter,) = await waiting(resources)
    assert letter.tried_until - letter.created_at == pytest.approx(resets.LIFETIME, abs=timedelta(minutes=1))


async def test_a_worker_without_a_mail_server_leaves_letters_to_others(resources: Resources) -> None:
    without = replace(resources, settings=resources.settings.model_copy(update={"smtp_url": None}))
    assert postman.served(without) == []

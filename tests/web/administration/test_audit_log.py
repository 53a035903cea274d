"""Whatever an administrator does leaves a line in the audit log: by page, HTTP or command line."""

import base64
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import httpx
import psycopg
import pytest
from click.testing import CliRunner

import mien
from mien.accounts import audit_log, resets
from mien.accounts.audit_log import LineFilter
from mien.accounts.models import Act, AuditLine
from mien.billing import ledger
from mien.cli import main
from mien.resources import Resources
from mien.safety import registry
from mien.safety.likeness import BYTES
from mien.server import create_app
from mien.settings import Settings

Signed = Callable[..., Awaitable[Any]]
Thing = Callable[[Any], Awaitable[str]]

SAMPLE = Path(mien.__file__).parent / "samples" / "man.jpg"
PICTURE = "data:image/jpeg;base64," + base64.b64encode(SAMPLE.read_bytes()).decode()
API_ACCOUNT, ACCOUNT = "/api/v1/admin/accounts/{account_id}", "/administration/accounts/{account_id}"
ACTS: dict[tuple[str, str], list[tuple[dict[str, Any], Act]]] = {
    ("PATCH", API_ACCOUNT): [
        ({"enabled": False}, Act.ACCOUNT_DISABLED),
        ({"enabled": True}, Act.ACCOUNT_ENABLED),
        ({"tasks_per_day": 7}, Act.LIMITS_CHANGED),
    ],
    ("POST", f"{API_ACCOUNT}/grants"): [({"credits": 5, "reason": "Welcome"}, Act.CREDITS_GRANTED)],
    ("POST", "/api/v1/admin/invites"): [({"email": "eve@example.com"}, Act.INVITE_CREATED)],
    ("DELETE", "/api/v1/admin/invites/{invite_id}"): [({}, Act.INVITE_WITHDRAWN)],
    ("GET", "/api/v1/admin/password-resets"): [({}, Act.RESET_SHOWN)],
    ("GET", "/api/v1/admin/trail"): [({}, Act.TRAIL_READ)],
    ("POST", "/api/v1/admin/do-not-swap"): [({"images": [PICTURE], "note": ""}, Act.FACE_LISTED)],
    ("DELETE", "/api/v1/admin/do-not-swap/{face_id}"): [({}, Act.FACE_UNLISTED)],
    ("POST", "/api/v1/orders/{order_id}/confirm"): [({}, Act.ORDER_CONFIRMED)],
    ("POST", "/api/v1/orders/{order_id}/cancel"): [({}, Act.ORDER_CANCELED)],
    ("POST", f"{ACCOUNT}/disable"): [({}, Act.ACCOUNT_DISABLED), ({"enable": "yes"}, Act.ACCOUNT_ENABLED)],
    ("POST", f"{ACCOUNT}/limits"): [({"tasks_per_day": "9"}, Act.LIMITS_CHANGED)],
    ("POST", f"{ACCOUNT}/grants"): [({"credits": "5", "reason": ""}, Act.CREDITS_GRANTED)],
    ("POST", f"{ACCOUNT}/keys/{{key_id}}/revoke"): [({}, Act.KEY_REVOKED)],
    ("POST", "/administration/invites"): [({"email": "eve@example.com"}, Act.INVITE_CREATED)],
    ("POST", "/administration/invites/{invite_id}/withdraw"): [({}, Act.INVITE_WITHDRAWN)],
    ("POST", "/administration/password-resets/{reset_id}/show"): [({}, Act.RESET_SHOWN)],
    ("POST", "/administration/orders/{order_id}/confirm"): [({}, Act.ORDER_CONFIRMED)],
    ("POST", "/administration/orders/{order_id}/cancel"): [({}, Act.ORDER_CANCELED)],
    ("POST", "/administration/do-not-swap/{face_id}/remove"): [({}, Act.FACE_UNLISTED)],
}
"""What is sent to each address by which administrators change or reveal something, and the line it leaves."""

COMMANDS: dict[str, tuple[list[str], Act]] = {
    "accounts create": (["grace@example.com", "--password-stdin"], Act.ACCOUNT_CREATED),
    "accounts disable": (["{account_id}"], Act.ACCOUNT_DISABLED),
    "accounts enable": (["{account_id}"], Act.ACCOUNT_ENABLED),
    "accounts invite": (["eve@example.com"], Act.INVITE_CREATED),
    "accounts export": (["{account_id}", "--output", "{folder}/account.zip"], Act.ACCOUNT_EXPORTED),
    "credits grant": (["{account_id}", "5"], Act.CREDITS_GRANTED),
    "credits cancel": (["{canceled}"], Act.ORDER_CANCELED),
    "credits confirm": (["{order_id}"], Act.ORDER_CONFIRMED),
    "credits refund": (["{order_id}"], Act.ORDER_REFUNDED),
    "do-not-swap add": ([str(SAMPLE)], Act.FACE_LISTED),
    "do-not-swap remove": (["{face_id}"], Act.FACE_UNLISTED),
    "trail export": ([], Act.TRAIL_READ),
    "accounts delete": (["{account_id}", "--yes"], Act.ACCOUNT_DELETED),
}
"""In an order in which they can be given."""
READING = {"accounts list", "credits balance", "credits orders", "credits audit", "do-not-swap list"}
OF_THE_MACHINE = {"storage new-key", "storage reseal"}
NOT_FOR_ADMINISTRATORS = {"remote"}


async def lines_of(resources: Resources, **wanted: Any) -> list[AuditLine]:
    async with resources.sessions() as session:
        page = await audit_log.newest(session, LineFilter(**wanted), limit=100, cursor=None)
    return list(page.rows)


@pytest.fixture
async def things(person: Signed, resources: Resources) -> tuple[Any, dict[str, Thing]]:
    """Somebody with an account, and how to make what a part of a path names."""
    ben = await person()

    async def account(admin: Any) -> str:
        return str(ben.account_id)

    async def key(admin: Any) -> str:
        return str((await ben.call("POST", "/keys", json={"name": "Shop"}))["key_id"])

    async def order(admin: Any) -> str:
        return str((await ben.call("POST", "/orders", json={"credits": 1500}))["order_id"])

    async def invite(admin: Any) -> str:
        return str((await admin.call("POST", "/admin/invites", json={"email": None}))["invite_id"])

    async def reset(admin: Any) -> str:
        await resets.request(resources, ben.email)
        async with resources.sessions() as session:
            return str((await resets.list_open(session, resources))[0].reset.id)

    async def face(admin: Any) -> str:
        return str((await registry.register_for(resources, bytes(BYTES), None, "")).face.id)

    makers: dict[str, Thing] = {
        "account_id": account,
        "key_id": key,
        "order_id": order,
        "invite_id": invite,
        "reset_id": reset,
        "face_id": face,
    }
    return ben, makers


def test_every_address_where_administrators_act_is_in_the_table(settings: Settings) -> None:
    found = {
        (method, path)
        for route in create_app(settings).router.routes
        for method in getattr(route, "methods", ())
        if method not in ("GET", "HEAD")
        and (path := getattr(route, "path", ""))
        and ("administration" in getattr(route, "tags", ()) or path.startswith("/administration"))
    }
    assert found == {address for address in ACTS if address[0] != "GET"}


@pytest.mark.parametrize(("method", "path"), ACTS, ids=lambda part: part)
async def test_every_act_leaves_a_line(
    person: Signed,
    things: tuple[Any, dict[str, Thing]],
    resources: Resources,
    method: str,
    path: str,
) -> None:
    ben, makers = things
    admin = await person(is_administrator=True)
    names = re.findall(r"\{(\w+)\}", path)
    ids = {name: await makers[name](admin) for name in names}
    if path.endswith("password-resets"):
        ids = {"reset_id": await makers["reset_id"](admin)}
    for sent, act in ACTS[method, path]:
        before = len(await lines_of(resources, actor=admin.account_id))
        address = path.format(**ids)
        if path.startswith("/api/"):
            headers = {"X-CSRF-Token": admin.csrf_token}
            body = {"json": sent} if sent else {}
            answer = await admin.client.request(method, address, headers=headers, **body)
        else:
            answer = await admin.send(address, **sent)
        assert answer.status_code in (200, 204, 303), answer.text
        line, *others = await lines_of(resources, actor=admin.account_id)
        assert len(others) == before
        assert line.act is act
        of_an_account = act.value.partition(".")[0] not in ("invite", "face", "trail")
        assert line.account_id == (ben.account_id if of_an_account else None)
        subjects = set(ids.values()) - {str(ben.account_id)}
        assert not subjects or line.subject in subjects
        assert "eve@" not in json.dumps(line.details)


async def test_what_changes_nothing_leaves_no_line(
    person: Signed, things: tuple[Any, dict[str, Thing]], resources: Resources
) -> None:
    ben, makers = things
    admin = await person(is_administrator=True)
    order = await makers["order_id"](admin)
    here = f"/administration/accounts/{ben.account_id}"
    for _ in range(2):
        await admin.send(f"/administration/orders/{order}/confirm")
        await admin.send(f"{here}/limits", tasks_per_day="9")
        await admin.send(f"{here}/disable")
    for refused in ({"credits": "0"}, {"credits": "many"}):
        assert (await admin.send(f"{here}/grants", **refused)).status_code == 400
    assert (await admin.send(f"/administration/orders/{order}/cancel")).status_code == 409
    acts = [line.act for line in await lines_of(resources, actor=admin.account_id)]
    assert acts == [Act.ACCOUNT_DISABLED, Act.LIMITS_CHANGED, Act.ORDER_CONFIRMED]


async def test_an_act_and_its_line_are_committed_together_or_not_at_all(
    person: Signed, resources: Resources
) -> None:
    ben = await person()
    async with resources.sessions() as session:
        await ledger.grant(session, ben.account_id, 5, "Welcome", by=None)
        await session.rollback()
    assert await lines_of(resources, account_id=ben.account_id) == []
    assert (await ben.call("GET", "/account"))["balance"] == 300


@pytest.mark.parametrize(
    "change", ["DELETE FROM audit_log", "UPDATE audit_log SET act = 'x'", "TRUNCATE audit_log"]
)
def test_lines_are_only_ever_added(database_url: str, change: str) -> None:
    with (
        psycopg.connect(database_url) as connection,
        pytest.raises(psycopg.errors.RestrictViolation, match="only added to"),
    ):
        connection.execute(change.encode())


class TestCommandLine:
    @pytest.fixture(autouse=True)
    def service(self, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in {
            "DATABASE_URL": database_url,
            "DATA_DIR": str(tmp_path),
            "SIGNUP": "invite",
        }.items():
            monkeypatch.setenv(f"MIEN_{name}", value)

    def test_every_command_is_in_the_table(self) -> None:
        context = click.Context(main)
        found = {
            f"{name} {each}"
            for name, group in main.commands.items()
            if isinstance(group, click.Group) and name not in NOT_FOR_ADMINISTRATORS
            for each in group.list_commands(context)
        }
        assert found == READING | OF_THE_MACHINE | set(COMMANDS)

    def test_every_command_that_changes_something_leaves_a_line(
        self, database_url: str, tmp_path: Path
    ) -> None:
        with psycopg.connect(database_url) as connection:
            row = connection.execute(
                "INSERT INTO accounts (id, name) VALUES (gen_random_uuid(), 'Ada') RETURNING id"
            ).fetchone()
            assert row
            ids = {"account_id": row[0], "order_id": uuid4(), "canceled": uuid4(), "folder": tmp_path}
            for order in ("order_id", "canceled"):
                connection.execute(
                    "INSERT INTO orders (id, account_id, credits, units, currency, provider, state)"
                    " VALUES (%s, %s, 5000, 1000, 'USD', 'manual', 'pending')",
                    [ids[order], ids["account_id"]],
                )
        for command, (arguments, act) in COMMANDS.items():
            given = [argument.format(**ids) for argument in arguments]
            result = CliRunner().invoke(main, [*command.split(), *given], input="correct horse battery\n")
            assert result.exit_code == 0, result.output
            with psycopg.connect(database_url) as connection:
                line = connection.execute(
                    "SELECT act, actor_id, details::text, subject FROM audit_log ORDER BY id DESC LIMIT 1"
                ).fetchone()
            assert line
            if act is Act.FACE_LISTED:
                ids["face_id"] = line[3]
            assert line[:2] == (act.value, None), command
            assert "eve@" not in line[2]


class TestPage:
    async def test_shows_who_did_what_to_whom(self, person: Signed) -> None:
        admin, ben = await person(is_administrator=True), await person()
        here = f"/administration/accounts/{ben.account_id}"
        await admin.send(f"{here}/limits", tasks_per_day="9")
        await admin.send(f"{here}/grants", credits="1234")
        for page in (await admin.read("/administration/audit-log"), await admin.read(here)):
            for text in ("Limits changed", "Tasks per day: the settings' → 9", "1,234 credits", here):
                assert text in page
            assert f"/administration/accounts/{admin.account_id}" in page

    async def test_filters_turns_pages_and_gives_the_same_lines_to_programs(
        self, person: Signed, resources: Resources
    ) -> None:
        admin, ben = await person(is_administrator=True), await person()
        async with resources.sessions.begin() as session:
            for number in range(60):
                await audit_log.write(
                    session, None, Act.CREDITS_GRANTED, account_id=ben.account_id, details={"credits": number}
                )
        await admin.send(f"/administration/accounts/{ben.account_id}/disable")
        about = f"/administration/audit-log?account={ben.account_id}"
        first = await admin.read(about)
        older = re.search(r'href="([^"]+)" rel="next"', first)
        assert older
        rest = await admin.read(older[1].replace("&amp;", "&"))
        assert (first.count("<tr>"), rest.count("<tr>")) == (51, 12)
        assert "<span>Account disabled" in first
        for chosen in ("&actor=command+line", "&act=credits.granted", "&until=2020-01-01"):
            assert "<span>Account disabled" not in await admin.read(about + chosen)
        answer = await admin.client.get(about.replace("log?", "log.jsonl?") + "&act=credits.granted")
        assert answer.headers["content-type"].startswith("application/jsonl")
        lines = [json.loads(line) for line in answer.text.splitlines()]
        assert [line["details"]["credits"] for line in lines] == list(range(59, -1, -1))
        assert set(lines[0]) == {
            *("id", "at", "act", "actor_id", "key_id", "account_id", "subject", "details"),
        }

    async def test_an_old_link_with_odd_filters_shows_all(self, person: Signed) -> None:
        admin = await person(is_administrator=True)
        odd = {"act": "odd", "actor": "x", "account": "\0", "since": "2026-13-01", "until": "9999-12-31"}
        assert (await admin.client.get("/administration/audit-log", params=odd)).status_code == 200
        assert (await admin.client.get("/administration/audit-log.jsonl", params=odd)).status_code == 200

    async def test_is_for_administrators(self, person: Signed, visitor: httpx.AsyncClient) -> None:
        ben = await person()
        for path in ("/administration/audit-log", "/administration/audit-log.jsonl"):
            assert (await ben.client.get(path)).status_code == 403
            assert (await visitor.get(path)).status_code == 303

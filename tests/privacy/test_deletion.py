"""Deleting an account: nothing survives but what has to be kept, whatever happens meanwhile."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.exc import IntegrityError

from mien.accounts import closing, demo
from mien.accounts import people as accounts
from mien.accounts.service import admit_first_key, authenticate, find_account, generate_key
from mien.billing.audit import audit
from mien.errors import Conflict
from mien.http.errors import unexpected
from mien.http.principal import Limits, Principal
from mien.privacy import deletion
from mien.resources import Resources
from mien.storage import objects
from mien.tasks import creation, erasure
from mien.tasks import service as tasks
from mien.tasks.models import Task
from mien.tasks.requests import FaceSwapRequest
from mien.uploads import queries as uploads
from mien.webhooks import queries as webhooks

PASSWORD = "correct horse battery staple"
ACCOUNT = "/api/v1/account"

Dump = dict[str, list[dict[str, Any]]]
Make = Callable[[str], Awaitable[Any]]
MakeDump = Callable[[], Awaitable[Dump]]
Stored = Callable[[], Awaitable[set[str]]]


@pytest.fixture
async def people(make_person: Make) -> tuple[Any, Any]:
    """Who is deleted, and somebody who has nothing to do with it. The first of all is the administrator."""
    await make_person("operator")
    return await make_person("zelda"), await make_person("grace")


async def delete_by_password(person: Any, password: str | None = PASSWORD) -> httpx.Response:
    wanted = {} if password is None else {"password": password}
    answer: httpx.Response = await person.browser.request("DELETE", ACCOUNT, json=wanted)
    return answer


async def delete_by_key(person: Any, confirm: str | None) -> httpx.Response:
    answer: httpx.Response = await person.program.request("DELETE", ACCOUNT, json={"confirm": confirm})
    return answer


def of(dump: Dump, person: Any) -> Dump:
    """The rows that belong to somebody, apart from what only says when they were seen."""
    mine = {
        table: [row for row in rows if str(person.account_id) in (row.get("account_id"), row.get("id"))]
        for table, rows in dump.items()
    }
    return {table: rows for table, rows in mine.items() if rows}


def assert_gone(dump: Dump, person: Any) -> None:
    everything = json.dumps(dump)
    name = person.email.partition("@")[0]
    assert name not in everything
    assert set(of(dump, person)) <= {"accounts", "tasks", "ledger_entries", "orders", "trail", "audit_log"}
    (account,) = of(dump, person)["accounts"]
    assert account["name"] == "Deleted account"
    assert account["erased_at"] >= account["deleted_at"]
    for task in of(dump, person)["tasks"]:
        for column in ("parameters", "inputs", "metadata"):
            assert task[column] == {}
        for column in ("result", "result_key", "reports", "timings", "callback_url", "key_id", "consent"):
            assert task[column] is None, column
        assert task["request_id"] == ""


async def test_nothing_of_an_account_survives_but_the_books_and_nobody_else_notices(
    people: tuple[Any, Any], dump: MakeDump, stored: Stored, resources: Resources
) -> None:
    ada, grace = people
    before, kept = await dump(), await stored()
    assert ada.email in json.dumps(before)
    assert len(of(before, ada)) > 8
    assert (await delete_by_password(ada)).status_code == 204
    after = await dump()
    assert_gone(after, ada)
    assert len(of(after, ada)["ledger_entries"]) > len(of(before, ada)["ledger_entries"])  # released
    assert len(of(after, ada)["tasks"]) == 4
    assert {task["state"] for task in of(after, ada)["tasks"]} == {"completed", "failed", "canceled"}
    assert [order["state"] for order in of(after, ada)["orders"]] == ["canceled"]
    async with resources.sessions() as session:
        assert await audit(session) == []
    gone = kept - await stored()
    assert len(gone) == 6  # an upload, a result, the inputs of all four tasks: their worker was cut off
    assert not [key for key in await stored() if ada.running.id in key or ada.completed in key]
    assert of(after, grace) == of(before, grace)
    assert await objects.read(resources.store, f"results/{grace.completed}/1/face-swap.png") == grace.result


async def test_keys_and_sessions_stop_at_once_and_the_address_is_free_again(
    people: tuple[Any, Any], make_person: Make
) -> None:
    ada, grace = people
    deleted = await delete_by_password(ada)
    assert "max-age=0" in deleted.headers["set-cookie"].lower()
    for client in (ada.browser, ada.program):
        assert (await client.get(ACCOUNT)).status_code == 401
    assert (await grace.program.get(ACCOUNT)).status_code == 200
    again = await make_person("zelda")
    assert again.account_id != ada.account_id


class TestMeant:
    """Nobody deletes an account by mistake, and no thief of a cookie does."""

    @pytest.mark.parametrize(("password", "status"), [(None, 400), ("not the password", 403)])
    async def test_somebody_who_is_signed_in_needs_the_password(
        self, people: tuple[Any, Any], password: str | None, status: int
    ) -> None:
        refused = await delete_by_password(people[0], password)
        assert (refused.status_code, refused.json()["error"]["param"]) == (status, "password")
        assert (await people[0].program.get(ACCOUNT)).status_code == 200

    async def test_a_key_needs_the_id_of_its_account(self, people: tuple[Any, Any]) -> None:
        ada, grace = people
        for confirm in (None, "yes", str(grace.account_id)):
            refused = await delete_by_key(ada, confirm)
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, "confirm")
            assert str(ada.account_id) in refused.json()["error"]["message"]
        assert (await delete_by_key(ada, str(ada.account_id))).status_code == 204
        assert (await ada.program.get(ACCOUNT)).status_code == 401

    async def test_a_restricted_key_cannot(self, people: tuple[Any, Any]) -> None:
        ada = people[0]
        wanted = {"name": "Shop", "tasks_per_day": 10}
        key = (await ada.program.post("/api/v1/keys", json=wanted)).json()["data"]["key"]
        ada.program.headers["Authorization"] = f"Bearer {key}"
        assert (await delete_by_key(ada, str(ada.account_id))).status_code == 403
        assert (await ada.program.get(f"{ACCOUNT}/export")).status_code == 403

    async def test_the_last_administrator_cannot(
        self, make_person: Make, make_administrator: Callable[[Any], Awaitable[None]]
    ) -> None:
        first, second = await make_person("zelda"), await make_person("grace")
        refused = await delete_by_password(first)
        assert refused.status_code == 409
        assert "administrator first" in refused.json()["error"]["message"]
        await make_administrator(second)
        assert (await delete_by_password(first)).status_code == 204
        assert (await delete_by_password(second)).status_code == 409

    async def test_of_two_administrators_who_leave_at_once_one_stays(
        self, make_person: Make, make_administrator: Callable[[Any], Awaitable[None]]
    ) -> None:
        first, second = await make_person("zelda"), await make_person("grace")
        await make_administrator(second)
        answers = await asyncio.gather(delete_by_password(first), delete_by_password(second))
        assert sorted(answer.status_code for answer in answers) == [204, 409]

    async def test_the_account_of_visitors_cannot(self, resources: Resources) -> None:
        async with resources.sessions.begin() as session:
            await demo.open_demo_account(session)
        with pytest.raises(Conflict):
            await deletion.delete(resources, demo.DEMO_ACCOUNT, by_operator=True)


class TestMeanwhile:
    """What is under way when an account is deleted leaves nothing behind."""

    async def test_a_running_swap_is_canceled_and_its_result_is_not_kept(
        self,
        people: tuple[Any, Any],
        dump: MakeDump,
        stored: Stored,
        finish_task: Callable[[Task, bytes], Awaitable[bool]],
    ) -> None:
        ada = people[0]
        assert (await delete_by_password(ada)).status_code == 204
        assert not await finish_task(ada.running, b"too late")
        assert not [key for key in await stored() if ada.running.id in key]
        assert_gone(await dump(), ada)

    async def test_a_request_that_was_let_in_before_is_refused_and_leaves_no_object(
        self, people: tuple[Any, Any], dump: MakeDump, stored: Stored, resources: Resources
    ) -> None:
        ada = people[0]
        async with resources.sessions() as session:
            caller = await authenticate(session, resources.settings, ada.key)
        assert caller
        assert (await delete_by_password(ada)).status_code == 204
        kept = await stored()
        wanted = FaceSwapRequest(model="face-swap", image=b"target", face_image=b"source")
        with pytest.raises(IntegrityError) as refused:
            await creation.create(resources, caller, "zelda-late", wanted, "zelda-late")
        assert unexpected(refused.value).status == 401
        assert await stored() == kept
        assert_gone(await dump(), ada)

    async def test_an_upload_that_comes_too_late_is_refused_with_401(
        self, people: tuple[Any, Any], stored: Stored, app: FastAPI, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ada = people[0]
        kept: set[str] = set()

        async def put(*arguments: Any) -> None:
            monkeypatch.undo()
            await deletion.delete(app.state.resources, ada.account_id)
            kept.update(await stored())
            await objects.put(*arguments)

        monkeypatch.setattr("mien.uploads.service.objects.put", put)
        png = await objects.read(app.state.resources.store, next(iter(sorted(await stored()))))
        late = await ada.program.post("/api/v1/uploads", content=png, headers={"Content-Type": "image/png"})
        assert (late.status_code, late.json()["error"]["type"]) == (401, "authentication_error")
        assert await stored() == kept

    async def test_creations_at_the_same_moment_leave_no_task_that_goes_on(
        self, people: tuple[Any, Any], dump: MakeDump, stored: Stored, resources: Resources
    ) -> None:
        ada = people[0]
        limits = Limits(requests_per_minute=1000, tasks_in_flight=100, tasks_per_day=1000)
        caller = Principal(ada.account_id, None, is_administrator=False, limits=limits, key_limits=None)
        wanted = FaceSwapRequest(model="face-swap", image=b"target", face_image=b"source")

        async def create(number: int) -> object:
            await asyncio.sleep(number / 1000)
            try:
                return await creation.create(resources, caller, f"zelda-{number}", wanted)
            except IntegrityError as error:
                return error

        *created, _ = await asyncio.gather(
            *(create(number) for number in range(20)), deletion.delete(resources, ada.account_id)
        )
        assert any(isinstance(each, IntegrityError) for each in created)
        after = await dump()
        assert_gone(after, ada)
        assert {task["state"] for task in of(after, ada)["tasks"]} == {"completed", "failed", "canceled"}
        assert not [key for key in await stored() for task in of(after, ada)["tasks"] if task["id"] in key]
        async with resources.sessions() as session:
            assert await audit(session) == []


@pytest.mark.parametrize(
    ("place", "name", "calls"),
    [
        (tasks, "cancel", 0),
        (tasks, "cancel", 1),
        (erasure, "_erase_rows", 0),
        (objects, "delete", 0),
        (objects, "delete", 3),
        (uploads, "forget", 0),
        (webhooks, "erase", 0),
        (closing, "set_erased", 0),
    ],
)
async def test_a_deletion_that_is_cut_off_is_finished(
    people: tuple[Any, Any],
    dump: MakeDump,
    stored: Stored,
    resources: Resources,
    monkeypatch: pytest.MonkeyPatch,
    place: Any,
    name: str,
    calls: int,
) -> None:
    ada, _ = people
    kept = await stored()
    left = calls
    works = getattr(place, name)

    async def die(*arguments: Any, **options: Any) -> Any:
        nonlocal left
        if left == 0:
            raise RuntimeError("killed")
        left -= 1
        return await works(*arguments, **options)

    monkeypatch.setattr(place, name, die)
    with pytest.raises(RuntimeError, match="killed"):
        await deletion.delete(resources, ada.account_id)
    monkeypatch.undo()
    assert ada.email not in json.dumps(await dump())
    assert (await ada.program.get(ACCOUNT)).status_code == 401
    await deletion.finish(resources)
    after = await dump()
    assert_gone(after, ada)
    assert len(kept - await stored()) == 6
    await deletion.finish(resources)
    assert await dump() == after


async def test_the_operators_own_key_does_not_become_somebody_elses(
    make_person: Make, make_administrator: Callable[[Any], Awaitable[None]], resources: Resources
) -> None:
    key = generate_key()
    async with resources.sessions.begin() as session:
        await admit_first_key(session, key)
        first = await authenticate(session, resources.settings, key)
    assert first
    user, administrator = await make_person("zelda"), await make_person("grace")
    await make_administrator(administrator)
    await deletion.delete(resources, first.account_id)
    async with resources.sessions.begin() as session:
        await admit_first_key(session, key)  # as the next start does
        found = await authenticate(session, resources.settings, key)
    assert found
    assert found.account_id == administrator.account_id != user.account_id


async def test_a_deleted_account_stays_deleted(people: tuple[Any, Any], resources: Resources) -> None:
    ada = people[0]
    await deletion.delete(resources, ada.account_id)
    async with resources.sessions.begin() as session:
        account = await find_account(session, ada.account_id)
        with pytest.raises(Conflict, match="can't be undone"):
            await accounts.set_disabled(session, account, False, None)

"""The archive of all that an account has."""

import io
import json
from collections.abc import Awaitable, Callable
from typing import Any
from zipfile import ZipFile

import pytest

from mien.privacy import export
from mien.resources import Resources
from mien.storage import objects

EXPORT = "/api/v1/account/export"

Make = Callable[[str], Awaitable[Any]]


async def exported(person: Any) -> ZipFile:
    answer = await person.program.get(EXPORT)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["cache-control"] == "no-store"
    return ZipFile(io.BytesIO(answer.content))


def everything(archive: ZipFile) -> str:
    return "".join(archive.read(name).decode() for name in archive.namelist() if name.endswith(".json"))


async def test_all_that_an_account_has_is_in_it_and_nothing_of_others(make_person: Make) -> None:
    zelda, grace = await make_person("zelda"), await make_person("grace")
    archive = await exported(zelda)
    assert archive.testzip() is None
    account = json.loads(archive.read("account.json"))
    assert (account["email"], account["name"]) == (zelda.email, "zelda of Example")
    counts = {
        name: len(json.loads(archive.read(f"{name}.json")))
        for name in ("keys", "sessions", "tasks", "uploads", "orders", "webhooks", "usage", "trail")
    }
    assert counts == {
        "keys": 1,
        "sessions": 1,
        "tasks": 4,
        "uploads": 1,
        "orders": 1,
        "webhooks": 1,
        "usage": 3,
        "trail": 2,
    }
    assert len(json.loads(archive.read("ledger.json"))) == 8
    assert len(json.loads(archive.read("webhook-deliveries.json"))) == 4
    tasks = {task["id"]: task for task in json.loads(archive.read("tasks.json"))}
    assert tasks[zelda.completed]["metadata"] == {"customer": "zelda-0"}
    assert "grace" not in everything(archive)
    assert str(grace.account_id) not in everything(archive)
    assert zelda.email not in everything(await exported(grace))


async def test_every_picture_that_a_line_names_is_in_it(make_person: Make) -> None:
    zelda = await make_person("zelda")
    archive = await exported(zelda)
    tasks, uploads = (json.loads(archive.read(f"{name}.json")) for name in ("tasks", "uploads"))
    named = [upload["key"] for upload in uploads]
    named += [task["result_key"] for task in tasks if task["result_key"]]
    named += [
        source["value"] for task in tasks for source in task["inputs"].values() if source["kind"] == "object"
    ]
    assert len(named) == 4  # an upload, a result, inputs of the two tasks in progress
    pictures = {name for name in archive.namelist() if name.startswith("pictures/")}
    assert pictures == {f"pictures/{key}" for key in named}
    assert archive.read(f"pictures/results/{zelda.completed}/1/face-swap.png") == zelda.result


async def test_it_holds_no_secret(make_person: Make) -> None:
    zelda = await make_person("zelda")
    text = everything(await exported(zelda))
    for secret in (zelda.key, "whsec_", "argon2", "key_hash", "token_hash", "password_hash"):
        assert secret not in text


async def test_long_lists_are_whole(make_person: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    zelda = await make_person("zelda")
    monkeypatch.setattr(export, "_ROWS", 3)
    archive = await exported(zelda)
    assert len({task["id"] for task in json.loads(archive.read("tasks.json"))}) == 4
    assert len({entry["id"] for entry in json.loads(archive.read("ledger.json"))}) == 8


async def test_a_picture_that_goes_meanwhile_is_left_out(make_person: Make, resources: Resources) -> None:
    zelda = await make_person("zelda")
    await objects.delete(resources.store, [f"results/{zelda.completed}/1/face-swap.png"])
    archive = await exported(zelda)
    assert archive.testzip() is None
    assert f"pictures/results/{zelda.completed}/1/face-swap.png" not in archive.namelist()


async def test_it_comes_in_pieces(make_person: Make, resources: Resources) -> None:
    zelda = await make_person("zelda")
    large = bytes(3_000_000)
    await objects.put(resources.store, f"results/{zelda.completed}/1/face-swap.png", large)
    pieces = [piece async for piece in export.archive(resources, zelda.account_id)]
    assert max(len(piece) for piece in pieces) < 1_000_000
    archive = ZipFile(io.BytesIO(b"".join(pieces)))
    assert archive.read(f"pictures/results/{zelda.completed}/1/face-swap.png") == large


async def test_somebody_who_is_signed_in_can_have_it_but_not_all_day_long(make_person: Make) -> None:
    zelda = await make_person("zelda")
    for _ in range(10):
        assert (await zelda.browser.get(EXPORT)).status_code == 200
    refused = await zelda.program.get(EXPORT)
    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "rate_limited")

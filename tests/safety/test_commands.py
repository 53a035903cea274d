"""`mien do-not-swap` and `mien trail`, on the database of a service."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from click.testing import CliRunner
from tests.safety.conftest import PEOPLE

from mien.cli import main

PICTURES = [str(PEOPLE / "P004" / "assets" / f"{name}.jpg") for name in ("studio_portrait", "amateur_selfie")]


@pytest.fixture(autouse=True)
def service(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_DATABASE_URL", database_url)
    monkeypatch.setenv("MIEN_DATA_DIR", str(tmp_path))


def mien(*arguments: str, exit_code: int = 0) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == exit_code, result.output
    return str(result.output)


def test_a_face_is_added_listed_and_removed() -> None:
    added = mien("do-not-swap", "add", *PICTURES, "--note", "Asked by letter")
    found = re.search(r"Face ([0-9a-f-]{36}) is on the list", added)
    assert found
    assert re.search(r"Secret .*: [\w-]{43}\n", added)
    (line,) = mien("do-not-swap", "list").splitlines()
    assert line.split("  ") == [
        found[1],
        f"{datetime.now(UTC):%Y-%m-%d}",
        "by the operator",
        "Asked by letter",
    ]
    mien("do-not-swap", "remove", found[1])
    assert mien("do-not-swap", "list") == ""
    assert "There is no such face" in mien("do-not-swap", "remove", found[1], exit_code=1)


def test_pictures_of_several_people_are_no_face() -> None:
    crowd = str(PEOPLE / "P004" / "assets" / "emotions_sheet.jpg")
    assert "16 faces" in mien("do-not-swap", "add", crowd, exit_code=4)
    stranger = str(PEOPLE / "P001" / "assets" / "studio_portrait.jpg")
    assert "somebody else" in mien("do-not-swap", "add", PICTURES[0], stranger, exit_code=4)
    assert mien("do-not-swap", "list") == ""


def test_the_trail_is_exported_as_json_lines(database_url: str) -> None:
    account = uuid4()
    with psycopg.connect(database_url) as connection:
        for day, name in ((1, "first"), (2, "second")):
            connection.execute(
                "INSERT INTO trail (task_id, account_id, request_id, pictures, outcome, created_at, ended_at)"
                " VALUES (%s, %s, 'request-1', '[]', 'completed', %s, %s)",
                [name, account, datetime(2026, 11, day, tzinfo=UTC), datetime(2026, 11, day, tzinfo=UTC)],
            )
    lines = [json.loads(line) for line in mien("trail", "export").splitlines()]
    assert [line["task_id"] for line in lines] == ["second", "first"]
    assert lines[0]["account_id"] == str(account)
    for chosen, left in (
        (["--since", "2026-11-02"], ["second"]),
        (["--until", "2026-11-02T00:00:00Z"], ["first"]),
        (["--account", str(uuid4())], []),
        (["--client", "203.0.113.7"], []),
        (["--task", "first"], ["first"]),
    ):
        found = mien("trail", "export", *chosen).splitlines()
        assert [json.loads(line)["task_id"] for line in found] == left, chosen

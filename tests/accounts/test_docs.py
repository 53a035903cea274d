"""docs/accounts.md says what the code does."""

import json
import re
from pathlib import Path

import pytest

from mien.accounts.models import Act
from mien.accounts.schemas import KeyData, SessionAnswer
from mien.server import create_app
from mien.settings import load_settings

DOCUMENT = (Path(__file__).parents[2] / "docs/accounts.md").read_text()
MINE = re.compile(
    r"/api/v1/(auth|keys|account/settings|admin/(accounts(/\{account_id\})?$|invites|password-resets))"
)


def test_every_endpoint_is_there(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, database_url="postgresql://unused/")
    operations = {
        (method.upper(), path)
        for path, methods in create_app(settings).openapi()["paths"].items()
        for method in methods
        if MINE.match(path)
    }
    found = re.findall(r"`([A-Z]+) (/api/v1/\S+)`", DOCUMENT)
    documented = {(method, path) for method, path in found if MINE.match(path)}
    assert operations - {("GET", "/api/v1/account/settings")} == documented


def test_every_field_of_a_key_is_there() -> None:
    section = DOCUMENT.split("\n## Keys\n")[1].split("\n## ")[0]
    table = section.split("| field | |")[1]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)} == set(
        KeyData.model_fields
    )


def test_the_example_of_a_session_is_one() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
    assert SessionAnswer.model_validate_json(example).model_dump(mode="json") == json.loads(example)


def test_every_act_and_every_field_of_the_audit_log_is_there() -> None:
    table = DOCUMENT.split("\n### The audit log\n")[1].split("| field | |")[1].split("\n\n")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| `")]
    (acts,) = [meaning for name, meaning in rows if "`act`" in name]
    assert re.findall(r"`([\w.]+)`", acts) == [act.value for act in Act]
    (example,) = re.findall(r'^    (\{"id".*)$', DOCUMENT, re.MULTILINE)
    assert re.findall(r"`(\w+)`", " ".join(name for name, _ in rows)) == list(json.loads(example))


@pytest.mark.parametrize("name", re.findall(r"`(MIEN_\w+)`", DOCUMENT))
def test_settings_that_are_named_exist(name: str) -> None:
    assert name.removeprefix("MIEN_").lower() in type(load_settings()).model_fields

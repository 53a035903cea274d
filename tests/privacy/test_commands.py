"""`mien accounts export|delete` and `mien storage`, on the database that a service was set up with."""

import json
from pathlib import Path
from zipfile import ZipFile

import pytest
from click.testing import CliRunner, Result

from mien.cli import main
from mien.sealing import new_key, parse_keys

PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def service(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_DATABASE_URL", database_url)
    monkeypatch.setenv("MIEN_DATA_DIR", str(tmp_path))
    for email in ("operator@example.com", "ada@example.com"):
        done("accounts", "create", email, "--password-stdin", input=f"{PASSWORD}\n")


def mien(*arguments: str, input: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=input)


def done(*arguments: str, input: str | None = None) -> str:
    result = mien(*arguments, input=input)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_an_account_is_exported_for_its_owner_alone_to_read(tmp_path: Path) -> None:
    file = tmp_path / "ada.zip"
    assert "ada.zip has all" in done("accounts", "export", "ada@example.com", "-o", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    with ZipFile(file) as archive:
        assert json.loads(archive.read("account.json"))["email"] == "ada@example.com"
    assert mien("accounts", "export", "nobody@example.com", "-o", str(file)).exit_code == 1
    assert mien("accounts", "export", "ada@example.com", "-o", "/nowhere/ada.zip").exit_code == 1


def test_an_account_is_deleted_when_it_is_meant() -> None:
    refused = mien("accounts", "delete", "ada@example.com", input="n\n")
    assert refused.exit_code == 1
    assert "ada@example.com" in done("accounts", "list")
    assert "is deleted" in done("accounts", "delete", "ada@example.com", "--yes")
    assert "ada@example.com" not in done("accounts", "list")
    assert "Deleted account" in done("accounts", "list")
    last = mien("accounts", "delete", "operator@example.com", "--yes")
    assert last.exit_code == 1
    assert "last administrator" in last.output


def test_a_new_key_is_one() -> None:
    first, second = done("storage", "new-key"), done("storage", "new-key")
    assert parse_keys(first) != parse_keys(second)


def test_sealing_again_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = mien("storage", "reseal")
    assert refused.exit_code == 1
    assert "MIEN_STORAGE_KEY" in refused.output
    monkeypatch.setenv("MIEN_STORAGE_KEY", new_key())
    assert done("storage", "reseal").startswith("0 objects")

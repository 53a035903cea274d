"""`mien accounts`, on the database that a service was set up with."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, make_url, text

from mien.cli import main

PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def service(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_DATABASE_URL", database_url)
    monkeypatch.setenv("MIEN_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("MIEN_PUBLIC_URL", "https://swap.example.com")


def mien(*arguments: str, input: str | None = None) -> Result:
    return CliRunner().invoke(main, ["accounts", *arguments], input=input)


def done(*arguments: str, input: str | None = None) -> str:
    result = mien(*arguments, input=input)
    assert result.exit_code == 0, result.output
    return result.stdout


def create(email: str, *options: str) -> str:
    return done("create", email, "--password-stdin", *options, input=f"{PASSWORD}\n")


def accounts() -> dict[str | None, dict[str, Any]]:
    return {account["email"]: account for account in json.loads(done("list", "--json"))}


def execute(url: str, statement: str, **parameters: Any) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(text(statement), parameters)
    engine.dispose()


class TestCreate:
    def test_makes_an_account(self) -> None:
        said = create("Ada@example.com", "--name", "Ada")
        assert re.fullmatch(r"ada@example.com has an administrator's account: [0-9a-f-]{36}\n", said)
        assert "grace@example.com has an account: " in create("grace@example.com")
        assert accounts()["ada@example.com"]["name"] == "Ada"
        assert accounts()["grace@example.com"]["is_administrator"] is False

    def test_asks_for_the_password_without_showing_it(self) -> None:
        said = done("create", "ada@example.com", input=f"{PASSWORD}\n{PASSWORD}\n")
        assert "Password" in said
        assert PASSWORD not in said

    def test_gives_the_first_account_to_its_administrator_if_told_so(self, database_url: str) -> None:
        execute(
            database_url,
            "INSERT INTO accounts (id, name, is_administrator)"
            " VALUES (gen_random_uuid(), 'First account', true)",
        )
        create("bob@example.com")
        create("ada@example.com", "--administrator")
        create("grace@example.com", "--administrator")
        found = accounts()
        assert set(found) == {"bob@example.com", "ada@example.com", "grace@example.com"}
        assert found["ada@example.com"]["name"] == "First account"
        assert [found[f"{name}@example.com"]["is_administrator"] for name in ("bob", "ada", "grace")] == [
            False,
            True,
            True,
        ]

    def test_the_first_account_takes_a_name_that_is_given(self, database_url: str) -> None:
        execute(
            database_url,
            "INSERT INTO accounts (id, name, is_administrator)"
            " VALUES (gen_random_uuid(), 'First account', true)",
        )
        create("ada@example.com", "--administrator", "--name", "Ada")
        assert accounts()["ada@example.com"]["name"] == "Ada"

    @pytest.mark.parametrize("name", ["x" * 101, "two\nlines"])
    def test_an_odd_name_is_refused(self, name: str) -> None:
        options = ("--password-stdin", "--name", name)
        assert mien("create", "ada@example.com", *options, input=f"{PASSWORD}\n").exit_code == 2

    def test_an_address_has_one_account(self) -> None:
        create("ada@example.com")
        again = mien("create", "ada@example.com", "--password-stdin", input=f"{PASSWORD}\n")
        assert (again.exit_code, again.stdout) == (1, "")
        assert "There is an account with this e-mail address" in again.stderr

    @pytest.mark.parametrize(("email", "password"), [("ada", PASSWORD), ("ada@example.com", "short")])
    def test_what_is_wrong_is_said_without_the_password(self, email: str, password: str) -> None:
        result = mien("create", email, "--password-stdin", input=f"{password}\n")
        assert result.exit_code == 2
        assert password not in result.output


class TestList:
    def test_shows_a_line_for_each(self) -> None:
        create("ada@example.com")
        create("grace@example.com")
        done("disable", "grace@example.com")
        first, second = done("list").splitlines()
        assert re.fullmatch(r"\S{36}  \d{4}-\d\d-\d\d  grace@example.com  disabled since \S+", first)
        assert re.fullmatch(r"\S{36}  \d{4}-\d\d-\d\d  ada@example.com  administrator", second)


class TestDisable:
    def test_takes_an_address_or_an_id(self) -> None:
        create("ada@example.com")
        account_id = accounts()["ada@example.com"]["account_id"]
        done("disable", "ADA@example.com")
        assert accounts()["ada@example.com"]["disabled_at"] is not None
        done("enable", account_id)
        assert accounts()["ada@example.com"]["disabled_at"] is None

    @pytest.mark.parametrize("account", ["ada@example.com", "x", "00000000-0000-0000-0000-000000000000"])
    def test_an_unknown_one_is_said(self, account: str) -> None:
        result = mien("disable", account)
        assert result.exit_code == 1
        assert "There is no" in result.stderr


class TestInvite:
    def test_prints_a_link(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MIEN_SIGNUP", "invite")
        assert re.fullmatch(r"https://swap\.example\.com/sign-up#[\w-]{64}\n", done("invite"))

    def test_says_so_where_it_would_not_help(self) -> None:
        result = mien("invite", "ada@example.com")
        assert result.exit_code == 1
        assert "MIEN_SIGNUP=invite" in result.stderr


def test_without_a_database_says_so(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIEN_DATABASE_URL")
    result = mien("list", "--data-dir", str(data_dir))
    assert result.exit_code == 1
    assert "start `mien serve` first" in result.stderr

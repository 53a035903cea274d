"""`mien accounts`: who may use a service, from the command line of the machine it runs on."""

import json
import sys
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import click
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from mien.accounts import audit_log, invites, passwords, people, service
from mien.accounts.models import Account, Act
from mien.accounts.schemas import AccountData, Email, Name, NewPassword, account_data
from mien.errors import NotFound
from mien.options import data_dir_option
from mien.resources import Resources, run_once

Value = TypeVar("Value")

_PAGE = 200


@click.group()
def group() -> None:
    """Accounts of the service."""


@group.command()
@click.argument("email")
@click.option("--name", default="", help="Of the account.  [default: its e-mail address, or the name it has]")
@click.option(
    "--administrator",
    is_flag=True,
    help="Let this person administrate. The first key's account becomes theirs, unless it is somebody's.",
)
@click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input instead of asking for it."
)
@data_dir_option
def create(email: str, name: str, administrator: bool, password_stdin: bool, data_dir: str | None) -> None:
    """Make an account for the person with the e-mail address EMAIL."""
    address = _checked(TypeAdapter(Email), email, "EMAIL")
    name = _checked(TypeAdapter(Name), name, "--name") if name else ""
    password = _checked(TypeAdapter(NewPassword), _read_password(password_stdin), "password")

    async def make(resources: Resources) -> Account:
        password_hash = await passwords.hash_password(password)
        async with resources.sessions.begin() as session:
            first = await service.oldest_account(session)
            if administrator and first and first.is_administrator and first.email is None:
                account = first
                await people.adopt(session, first, address, password_hash)
                account.name = name or account.name
            else:
                account = await people.add_person(
                    session,
                    address,
                    password_hash,
                    name=name,
                    is_administrator=administrator,
                    credits=resources.settings.new_account_credits,
                )
            details = {"is_administrator": account.is_administrator}
            await audit_log.write(session, None, Act.ACCOUNT_CREATED, account_id=account.id, details=details)
            return account

    account = run_once(data_dir, make)
    role = "an administrator's account" if account.is_administrator else "an account"
    click.echo(f"{address} has {role}: {account.id}")


@group.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@data_dir_option
def list_(as_json: bool, data_dir: str | None) -> None:
    """Show all accounts, the newest first."""

    async def read(resources: Resources) -> list[AccountData]:
        async with resources.sessions() as session:
            page = await service.list_accounts(session, limit=_PAGE, cursor=None)
            found = [*page.rows]
            while page.next_cursor:
                page = await service.list_accounts(session, limit=_PAGE, cursor=page.next_cursor)
                found += page.rows
        return [account_data(account) for account in found]

    accounts = run_once(data_dir, read)
    if as_json:
        dumped = [account.model_dump(mode="json") for account in accounts]
        click.echo(json.dumps(dumped, indent=2, ensure_ascii=False))
        return
    for account in accounts:
        marks = ["administrator"] if account.is_administrator else []
        marks += [f"disabled since {_day(account.disabled_at)}"] if account.disabled_at else []
        name = account.email or f"({account.name})"
        click.echo(f"{account.account_id}  {_day(account.created_at)}  {name}  {', '.join(marks)}".rstrip())


@group.command()
@click.argument("account")
@data_dir_option
def disable(account: str, data_dir: str | None) -> None:
    """Let the keys and sessions of ACCOUNT, an e-mail address or an id, stop working at once."""
    _set_disabled(account, data_dir, disabled=True)
    click.echo(f"{account} is disabled.")


@group.command()
@click.argument("account")
@data_dir_option
def enable(account: str, data_dir: str | None) -> None:
    """Let the keys of ACCOUNT, an e-mail address or an id, work again."""
    _set_disabled(account, data_dir, disabled=False)
    click.echo(f"{account} is enabled.")


@group.command()
@click.argument("email", required=False)
@data_dir_option
def invite(email: str | None, data_dir: str | None) -> None:
    """Print a link that lets one person sign up within a week, only with EMAIL if it's given."""
    address = _checked(TypeAdapter(Email), email, "EMAIL") if email else None

    async def make(resources: Resources) -> str:
        async with resources.sessions.begin() as session:
            made = await invites.create(session, resources, address, by=None)
        return invites.link(resources, made)

    click.echo(run_once(data_dir, make))


def _set_disabled(name: str, data_dir: str | None, *, disabled: bool) -> None:
    async def change(resources: Resources) -> None:
        async with resources.sessions.begin() as session:
            await people.set_disabled(session, await find_named(session, name), disabled, by=None)

    run_once(data_dir, change)


async def find_named(session: AsyncSession, name: str) -> Account:
    """The account that `name` means, an e-mail address or an id. Raises `NotFound`."""
    account = await people.find_by_email(session, name.lower())
    if account:
        return account
    try:
        return await service.find_account(session, UUID(name))
    except ValueError:
        raise NotFound(f"There is no account with the e-mail address {name}.") from None


def _read_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


def _checked(kind: TypeAdapter[Value], value: str, name: str) -> Value:
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        message = fault["msg"].removeprefix("Value error, ")
        raise click.BadParameter(message, param_hint=name) from None


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"

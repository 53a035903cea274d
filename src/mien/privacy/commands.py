"""`mien accounts export|delete`: what belongs to one account, from the command line of the operator."""

import os
from pathlib import Path

import click

from mien.accounts import audit_log
from mien.accounts.commands import find_named
from mien.accounts.models import Act
from mien.options import data_dir_option
from mien.privacy import deletion
from mien.privacy.export import archive
from mien.resources import Resources, run_once


@click.group()
def group() -> None:
    """What belongs to one account."""


@group.command()
@click.argument("account")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the zip archive goes.",
)
@data_dir_option
def export(account: str, output: Path, data_dir: str | None) -> None:
    """Write all that is kept of ACCOUNT, an e-mail address or an id, into a zip archive."""

    async def write(resources: Resources) -> None:
        async with resources.sessions.begin() as session:
            account_id = (await find_named(session, account)).id
            await audit_log.write(session, None, Act.ACCOUNT_EXPORTED, account_id=account_id)
        part = output.with_name(f".{output.name}.{os.getpid()}.part")
        try:
            part.touch(0o600, exist_ok=False)
            with part.open("wb") as file:
                async for piece in archive(resources, account_id):
                    file.write(piece)
            part.replace(output)
        except OSError as error:
            raise click.ClickException(f"{output} can't be written: {error.strerror}.") from error
        finally:
            part.unlink(missing_ok=True)

    run_once(data_dir, write)
    click.echo(f"{output} has all that is kept of {account}.")


@group.command()
@click.argument("account")
@click.option("--yes", is_flag=True, help="Don't ask whether it's meant.")
@data_dir_option
def delete(account: str, yes: bool, data_dir: str | None) -> None:
    """Delete ACCOUNT, an e-mail address or an id, with all that it owns, for good.

    What books have to hold stays, without anything personal.
    """
    if not yes:
        click.confirm(f"Delete {account} with all its pictures, keys and webhooks, for good?", abort=True)

    async def remove(resources: Resources) -> None:
        async with resources.sessions() as session:
            found = await find_named(session, account)
        await deletion.delete(resources, found.id, by_operator=True)

    run_once(data_dir, remove)
    click.echo(f"{account} is deleted.")

"""`mien storage`: keys that encrypt what is stored."""

import click

from mien.options import data_dir_option
from mien.privacy.resealing import reseal as seal_everything_again
from mien.resources import run_once
from mien.sealing import new_key as make_key


@click.group()
def group() -> None:
    """What is stored, and the keys that encrypt it."""


@group.command("new-key")
def new_key() -> None:
    """Print a new key for MIEN_STORAGE_KEY.

    Keep a copy where the pictures aren't: without it, nobody can read them any more.
    """
    click.echo(make_key())


@group.command()
@data_dir_option
def reseal(data_dir: str | None) -> None:
    """Encrypt everything with the first of the keys in MIEN_STORAGE_KEY.

    Afterwards the keys behind it are needed no more. Restart all processes with the new key first.
    """
    count = run_once(data_dir, seal_everything_again)
    click.echo(f"{count} objects were encrypted with the first key. The others are needed no more.")

"""`mien trail`: who made what, from the command line of the machine that the service runs on."""

from datetime import UTC, datetime
from uuid import UUID

import click

from mien.options import data_dir_option
from mien.resources import Resources, run_once
from mien.safety import trail
from mien.safety.schemas import entry_data

_MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"])


@click.group()
def group() -> None:
    """The trail of who made what."""


@group.command()
@click.option("--since", type=_MOMENT, help="Tasks that ended then or later, in UTC.")
@click.option("--until", type=_MOMENT, help="Tasks that ended before, in UTC.")
@click.option("--account", type=click.UUID, help="Of this account, also of a deleted one.")
@click.option("--task", help="The task with this id.")
@click.option("--sha256", help="Of a result, or of a picture that went in.")
@click.option("--client", help="The address that somebody asked from; an IPv6 one by its /64 network.")
@data_dir_option
def export(
    since: datetime | None,
    until: datetime | None,
    account: UUID | None,
    task: str | None,
    sha256: str | None,
    client: str | None,
    data_dir: str | None,
) -> None:
    """Print entries of the trail as JSON lines, what ended last first.

    That leaves a line in the audit log.
    """

    async def print_all(resources: Resources) -> None:
        wanted = trail.TrailFilter(
            since=since and since.replace(tzinfo=UTC),
            until=until and until.replace(tzinfo=UTC),
            account_id=account,
            task_id=task,
            sha256=sha256 and sha256.lower(),
            client=trail.client_digest(resources, client) if client else None,
        )
        async with resources.sessions.begin() as session:
            await trail.note_reading(session, None, wanted)
        async with resources.sessions() as session:
            async for entry in trail.every(session, wanted):
                click.echo(entry_data(entry).model_dump_json())

    run_once(data_dir, print_all)

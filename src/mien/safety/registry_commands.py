"""`mien do-not-swap`: the list of faces that aren't swapped, from the command line of its machine."""

from uuid import UUID

import click

from mien.options import data_dir_option
from mien.resources import Resources, run_once
from mien.safety import registry
from mien.safety.models import ListedFace
from mien.safety.registry import Registered

_PAGE = 500


@click.group()
def group() -> None:
    """Faces that this service doesn't swap."""


@group.command()
@click.argument("pictures", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--note", default="", help="For yourself, such as who asked for it.")
@data_dir_option
def add(pictures: tuple[str, ...], note: str, data_dir: str | None) -> None:
    """Put the person whom PICTURES show, and nobody else, on the list.

    Only numbers that stand for the face are kept. With three pictures it is found again far more often than
    with one. Prints the face's id, and a secret that lets the person take it off by themselves.
    """
    embedding = _read_face(pictures)

    async def register(resources: Resources) -> Registered:
        return await registry.register_for(resources, embedding, None, note)

    registered = run_once(data_dir, register)
    click.echo(f"Face {registered.face.id} is on the list.")
    click.echo(f"Secret that takes it off, shown only now: {registered.secret}")


@group.command("list")
@data_dir_option
def list_(data_dir: str | None) -> None:
    """Show who is on the list, the newest first."""

    async def read(resources: Resources) -> list[ListedFace]:
        async with resources.sessions() as session:
            page = await registry.newest(session, limit=_PAGE, cursor=None)
            found = [*page.rows]
            while page.next_cursor:
                page = await registry.newest(session, limit=_PAGE, cursor=page.next_cursor)
                found += page.rows
        return found

    for face in run_once(data_dir, read):
        by = "by the operator" if face.by_operator else "by themselves"
        click.echo(f"{face.id}  {face.created_at:%Y-%m-%d}  {by}  {face.note}".rstrip())


@group.command()
@click.argument("face_id", type=click.UUID)
@data_dir_option
def remove(face_id: UUID, data_dir: str | None) -> None:
    """Take the face FACE_ID off the list."""

    async def unlist(resources: Resources) -> None:
        async with resources.sessions.begin() as session:
            await registry.remove_for(session, face_id, None)

    run_once(data_dir, unlist)
    click.echo(f"Face {face_id} is off the list.")


def _read_face(pictures: tuple[str, ...]) -> bytes:
    """The operator's own pictures, so they're looked at here."""
    from pathlib import Path

    from mien import FaceSwapper
    from mien.images.codec import DecodeLimits, decode
    from mien.safety.identification import identify
    from mien.safety.likeness import combine

    swapper = FaceSwapper()
    decoded = [decode(Path(path).read_bytes(), DecodeLimits(), param=path) for path in pictures]
    return combine([identify(swapper, picture.rgb) for picture in decoded])

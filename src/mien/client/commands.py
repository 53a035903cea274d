"""`mien remote`: face swaps by a service, from the command line."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import click

from mien.client.clients import DEFAULT_URL, Client, Task
from mien.client.flows import Image, OnStage, SwapOptions, is_address
from mien.errors import MienError

UNREADABLE = 3  # as of the other commands: docs/cli.md

STDIO = "-"
_FORMATS: dict[str, Literal["png", "jpg", "webp"]] = {
    "": "png",
    ".png": "png",
    ".jpg": "jpg",
    ".jpeg": "jpg",
    ".webp": "webp",
}
_STAGES = ("queued", "fetching", "detecting", "swapping", "marking", "storing", "completed")


@click.group()
def group() -> None:
    """Face swaps by a service."""


@group.command()
@click.argument("target")
@click.argument("face", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Where the result goes; its suffix says in which format: .png, .jpg or .webp.",
)
@click.option(
    "--key", envvar="MIEN_API_KEY", required=True, metavar="KEY", help="API key; better in MIEN_API_KEY."
)
@click.option(
    "--url", envvar="MIEN_URL", default=DEFAULT_URL, show_default=True, help="Of the service; MIEN_URL."
)
@click.option(
    "--target-index",
    type=click.IntRange(0, 10),
    default=0,
    metavar="N",
    help="Which face of TARGET is changed.",
)
@click.option(
    "--source-index",
    type=click.IntRange(0, 10),
    default=0,
    metavar="N",
    help="Which face of FACE is brought in.",
)
@click.option("--quality", type=click.IntRange(1, 100), metavar="Q", help="1 to 100, for jpg and webp.")
@click.option(
    "--max-size", type=click.IntRange(32, 16_384), metavar="PIXELS", help="Longest side of the result."
)
def swap(
    target: str,
    face: tuple[str, ...],
    output: str,
    key: str,
    url: str,
    target_index: int,
    source_index: int,
    quality: int | None,
    max_size: int | None,
) -> None:
    """Bring the face of the picture FACE into the picture TARGET, on a service.

    Pictures are files, - for standard input, or http(s) addresses. FACE may be several pictures of one
    person. Ctrl-C cancels the swap.
    """
    if (target, *face).count(STDIO) > 1:
        raise click.UsageError("Only one picture can be standard input (-).")
    options: SwapOptions = {
        "target_index": target_index,
        "face_index": source_index,
        "output_format": _format_of(output),
    }
    if quality is not None:
        options["quality"] = quality
    if max_size is not None:
        options["max_size"] = max_size
    if output == STDIO and sys.stdout.isatty():
        raise click.UsageError("A picture makes no sense on a terminal. Name a file, or pipe it on.")
    if output != STDIO and not Path(output).parent.is_dir():
        raise click.ClickException(f"{output} can't be written: there is no such folder.")
    image, faces = _picture(target), [_picture(one) for one in face]
    with Client(key, base_url=url) as client, _progress() as show:
        show("uploading")
        task = client.face_swap(image, faces if len(faces) > 1 else faces[0], **options)
        with _canceled_with_us(task):
            task.wait(on_stage=show)
        _save(task, output)


def _picture(place: str) -> Image:
    if is_address(place):
        return place
    try:
        return sys.stdin.buffer.read() if place == STDIO else Path(place).read_bytes()
    except OSError as error:
        failure = click.ClickException(f"{place} can't be read: {error.strerror}.")
        failure.exit_code = UNREADABLE  # type: ignore[misc] # click declares it for the class
        raise failure from error


def _format_of(output: str) -> Literal["png", "jpg", "webp"]:
    suffix = "" if output == STDIO else Path(output).suffix.lower()
    if suffix not in _FORMATS:
        raise click.UsageError(f"{suffix} pictures can't be written. Use .png, .jpg or .webp.")
    return _FORMATS[suffix]


@contextmanager
def _progress() -> Iterator[OnStage]:
    """Yield what shows a stage: a bar on a terminal, gone in the end, and nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda stage: None
        return

    def show(stage: str) -> None:
        done = _STAGES.index(stage) + 1 if stage in _STAGES else 0
        click.echo(f"\r\x1b[K[{'#' * done:{len(_STAGES)}}] {stage} …", nl=False, err=True)

    try:
        yield show
    finally:
        click.echo("\r\x1b[K", nl=False, err=True)


@contextmanager
def _canceled_with_us(task: Task) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        with suppress(MienError):
            task.cancel()
        raise


def _save(task: Task, output: str) -> None:
    if output == STDIO:
        sys.stdout.buffer.write(task.download())
        sys.stdout.buffer.flush()
        return
    try:
        task.save(output)
    except OSError as error:
        raise click.ClickException(f"{output} can't be written: {error.strerror}.") from error

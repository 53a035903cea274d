"""The command line: `mien swap`, `mien faces`, and the service's commands.

Commands import what they need inside their functions, so that `mien --help` comes at once and the library's
commands work without the service's packages. docs/cli.md is the manual.
"""

import importlib
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien.errors import (
    FaceUnusable,
    ImageInvalid,
    ImageTooLarge,
    MienError,
    NoFaceFound,
    TargetIndexOutOfRange,
)
from mien.options import data_dir_option

if TYPE_CHECKING:
    from mien import Face
    from mien.engine.arrays import RGB
    from mien.images.codec import OutputFormat, Picture

UNREADABLE = 3
NO_FACE = 4

EXIT_CODES = """\b
Exit codes:
  0  done
  1  anything not named here, such as an output that can't be written
  2  wrong usage
  3  a picture can't be read, or is too large
  4  no usable face, or no face of that number
"""

STDIO = "-"
_SUFFIXES: dict[str, "OutputFormat"] = {
    "": "png",
    ".png": "png",
    ".jpg": "jpg",
    ".jpeg": "jpg",
    ".webp": "webp",
}

picture_argument = click.Path(dir_okay=False, allow_dash=True)
workers_option = click.option(
    "--workers",
    type=int,
    help="Swaps made at the same time; MIEN_WORKERS.  [default: half the cores]",
)


class Failure(click.ClickException):
    """One line on stderr and an exit code."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc] # click declares a default for the class


class _Main(click.Group):
    """Turns what commands raise on purpose into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (ImageInvalid, ImageTooLarge) as error:
            raise Failure(error.message, UNREADABLE) from error
        except (NoFaceFound, TargetIndexOutOfRange, FaceUnusable) as error:
            raise Failure(error.message, NO_FACE) from error
        except MienError as error:
            raise Failure(error.message) from error


@click.group(cls=_Main, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mien", prog_name="mien")
def main() -> None:
    """Natural face swaps, as a command, a library and a service."""


@main.command(epilog=EXIT_CODES)
@click.argument("target", type=picture_argument)
@click.argument("face", type=picture_argument, nargs=-1, required=True)
@click.option("-o", "--output", required=True, type=picture_argument, help="Where the result goes.")
@click.option(
    "--target-index",
    type=click.IntRange(min=0),
    multiple=True,
    default=[0],
    show_default="0",
    metavar="N",
    help="Which face of TARGET is changed; 0 is the largest. `mien faces` shows the numbers. Name it several "
    "times to change several.",
)
@click.option(
    "--also",
    multiple=True,
    metavar="N=FACE",
    help="Change face N, too, with the face of another picture. May be named several times; for one N, its "
    "pictures show one person.",
)
@click.option(
    "--source-index",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Which face of FACE is brought in; 0 is the largest.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["png", "jpg", "webp"]),
    help="Format of the result. Default: by the suffix of the output, else png.",
)
@click.option(
    "--quality",
    type=click.IntRange(1, 100),
    metavar="Q",
    help="1 to 100, for jpg (default 95) and webp (default 90).",
)
@click.option(
    "--report", type=picture_argument, metavar="REPORT.json", help="Where figures about the swap go."
)
@click.option(
    "--explain",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Where the swap's intermediate pictures go, with a sheet.png of all.",
)
def swap(
    target: str,
    face: tuple[str, ...],
    output: str,
    target_index: tuple[int, ...],
    also: tuple[str, ...],
    source_index: int,
    format_: "OutputFormat | None",
    quality: int | None,
    report: str | None,
    explain: str | None,
) -> None:
    """Bring the face of the picture FACE into the picture TARGET.

    Several pictures FACE of one person give a better likeness than one; the first one counts most. Each file
    may be - for standard input or output. Pictures are JPEG, PNG, WebP, AVIF or HEIC. What TARGET has of
    transparency stays in a png or webp result.
    """
    others = _also(also)
    faces = {index: (list(face), source_index) for index in target_index}
    for index, files in others.items():
        if index in faces:
            raise click.UsageError(f"Face {index} can't be changed twice.")
        faces[index] = (files, 0)
    _once((target, *face, *(file for files in others.values() for file in files)), "input")
    _once((output, report), "output")
    result_format = format_ or _format_of(output)
    _check_output(output)

    from mien import FaceSwap, FaceSwapper
    from mien.images.codec import encode

    target_picture = _read_picture(target)
    read = {file: _read_picture(file).rgb for files, _ in faces.values() for file in files}
    swaps = [
        FaceSwap(tuple(read[file] for file in files), index, source)
        for index, (files, source) in faces.items()
    ]
    shown: list[tuple[str, RGB]] = []
    with _progress() as show:
        result = FaceSwapper().swap_faces(
            target_picture.rgb,
            swaps,
            on_step=show,
            on_picture=(lambda name, picture: shown.append((name, picture))) if explain else None,
        )
        show("encoding")
        data = encode(result.image, result_format, alpha=target_picture.alpha, quality=quality)
    _write(output, data)
    if report:
        reports = [one.to_dict() for one in result.reports]
        _write(report, _json(reports[0] if len(reports) == 1 else reports))
    if explain:
        _write_explanation(Path(explain), shown)
    for index, one in zip(faces, result.reports, strict=True):
        for warning in one.warnings:
            click.echo(
                f"Note: {warning}" if len(faces) == 1 else f"Note on face {index}: {warning}", err=True
            )


@main.command(epilog=EXIT_CODES)
@click.argument("image", type=picture_argument)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@click.option(
    "--annotate",
    type=picture_argument,
    metavar="OUT.png",
    help="Where the picture with numbered boxes goes; with - it takes the place of the table.",
)
def faces(image: str, as_json: bool, annotate: str | None) -> None:
    """Show the faces of IMAGE, largest first, with the numbers that `mien swap` takes.

    Each file may be - for standard input or output. A picture without faces is no error here.
    """
    if annotate == STDIO and as_json:
        raise click.UsageError("Only one of --json and --annotate can have standard output.")
    annotation_format = _format_of(annotate) if annotate else "png"
    _check_output(annotate)

    from mien import FaceSwapper
    from mien.images.annotation import Label
    from mien.images.annotation import annotate as draw
    from mien.images.codec import encode

    picture = _read_picture(image)
    found = FaceSwapper().detect(picture.rgb)
    if annotate:
        labels = [Label(face.box, str(index), face.usable) for index, face in enumerate(found)]
        _write(annotate, encode(draw(picture.rgb, labels), annotation_format))
    if as_json:
        height, width = picture.rgb.shape[:2]
        faces = [{"index": index, **face.to_dict()} for index, face in enumerate(found)]
        _write(STDIO, _json({"width": width, "height": height, "faces": faces}))
    elif annotate != STDIO:
        for index, face in enumerate(found):
            click.echo(_face_as_line(index, face))
        if not found:
            click.echo("No face was found.")


@main.command()
@click.option("--host", help="Address to listen on; MIEN_HOST.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on; MIEN_PORT.  [default: 8080]")
@data_dir_option
@workers_option
def serve(host: str | None, port: int | None, data_dir: str | None, workers: int | None) -> None:
    """Run the service: API, worker and database.

    The first start prints an API key, and each start a first swap to paste. Ctrl-C stops everything when the
    swaps under way are done. All settings are environment variables: docs/settings.md lists them.
    """
    with _packages_of("server"):
        from mien import supervisor
        from mien.settings import load_settings
    supervisor.serve(load_settings(host=host, port=port, data_dir=data_dir, workers=workers))


@main.command()
@data_dir_option
@workers_option
def worker(data_dir: str | None, workers: int | None) -> None:
    """Run a worker alone, on the database of a running or earlier `mien serve`.

    That's the one of the data folder, or MIEN_DATABASE_URL if it is set. Workers on several machines share
    the tasks of one database; they need the same storage (MIEN_STORAGE_URL), too.
    """
    with _packages_of("server"):
        from mien import supervisor
        from mien.settings import load_settings
    supervisor.work(load_settings(data_dir=data_dir, workers=workers))


class _LazyGroup(click.Group):
    """Commands that lie with what they are about, in modules that are imported when one of them is wanted."""

    def __init__(self, name: str, help: str, *modules: str, extra: str = "server") -> None:
        super().__init__(name, help=help)
        self._modules, self._extra = modules, extra

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for group in self._groups() for name in group.list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = (group.get_command(ctx, cmd_name) for group in self._groups())
        return next((command for command in found if command), None)

    def _groups(self) -> list[click.Group]:
        with _packages_of(self._extra):
            return [importlib.import_module(module).group for module in self._modules]


main.add_command(
    _LazyGroup(
        "accounts",
        "Make, list, disable, export and delete accounts of the service.",
        "mien.accounts.commands",
        "mien.privacy.commands",
    )
)

main.add_command(
    _LazyGroup("credits", "Grant, show and audit credits; confirm payments.", "mien.billing.commands")
)

main.add_command(_LazyGroup("storage", "Keys that encrypt what is stored.", "mien.privacy.storage_commands"))

main.add_command(
    _LazyGroup("do-not-swap", "Faces that the service doesn't swap.", "mien.safety.registry_commands")
)

main.add_command(_LazyGroup("trail", "The trail of who made what.", "mien.safety.trail_commands"))

main.add_command(_LazyGroup("remote", "Face swaps by a service.", "mien.client.commands", extra="client"))


@contextmanager
def _packages_of(extra: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise Failure(f"This needs more packages ({error.name}): pip install 'mien[{extra}]'") from error


# Faces in words -------------------------------------------------------------------------------------------


def _face_as_line(index: int, face: "Face") -> str:
    x0, y0, x1, y1 = face.box
    place = f"{x1 - x0:4.0f} × {y1 - y0:4.0f} pixels at {x0:4.0f}, {y0:4.0f}   score {face.score:.2f}"
    pose = f"yaw {face.yaw:+4.0f}°  pitch {face.pitch:+4.0f}°  roll {face.roll:+4.0f}°"
    return f"{index:3}  {place}   {pose}   {'usable' if face.usable else f'not usable: {face.problem}'}"


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


# Swaps ----------------------------------------------------------------------------------------------------


def _also(named: tuple[str, ...]) -> dict[int, list[str]]:
    """The files of each face."""
    faces: dict[int, list[str]] = {}
    for one in named:
        index, _, file = one.partition("=")
        if not index.isdecimal() or not file:
            raise click.UsageError(f"--also takes a number and a picture, such as 1=ben.jpg, not {one}.")
        faces.setdefault(int(index), []).append(file)
    return faces


def _write_explanation(folder: Path, pictures: "list[tuple[str, RGB]]") -> None:
    from mien.engine.explanation import contact_sheet
    from mien.images.codec import encode

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"{folder} can't be written: {error.strerror}.") from error
    for number, (name, picture) in enumerate(pictures, start=1):
        words = "-".join(re.findall(r"\w+", name))
        _write(str(folder / f"{number:02}-{words}.png"), encode(picture, "png"))
    _write(str(folder / "sheet.png"), encode(contact_sheet(pictures), "png"))


# Files ----------------------------------------------------------------------------------------------------


def _once(files: tuple[str | None, ...], role: str) -> None:
    if files.count(STDIO) > 1:
        raise click.UsageError(f"Only one file can be standard {role} (-).")


def _check_output(output: str | None) -> None:
    """Find out before the work is done that its result has nowhere to go."""
    if output == STDIO and sys.stdout.isatty():
        raise click.UsageError("A picture makes no sense on a terminal. Name a file, or pipe it on.")
    if output and output != STDIO and not Path(output).parent.is_dir():
        raise Failure(f"{output} can't be written: there is no such folder.")


def _format_of(output: str) -> "OutputFormat":
    suffix = "" if output == STDIO else Path(output).suffix.lower()
    if suffix not in _SUFFIXES:
        raise click.UsageError(
            f"{suffix} pictures can't be written. Use .png, .jpg or .webp, or name a --format."
        )
    return _SUFFIXES[suffix]


def _read_picture(file: str) -> "Picture":
    from mien.images.codec import DecodeLimits, decode

    limits = DecodeLimits()
    at_most = limits.max_bytes + 1  # one more than allowed is enough to be refused
    if file == STDIO:
        return decode(sys.stdin.buffer.read(at_most), limits, param="standard input")
    try:
        with Path(file).open("rb") as opened:
            data = opened.read(at_most)
    except OSError as error:
        raise Failure(f"{file} can't be read: {error.strerror}.", UNREADABLE) from error
    return decode(data, limits, param=file)


def _write(output: str, data: bytes) -> None:
    """Write `data` to `output` whole or not at all."""
    if output == STDIO:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    path = Path(output).resolve()
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        if path.exists() and not path.is_file():  # a device or a pipe, which can't be replaced
            path.write_bytes(data)
            return
        try:
            part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise Failure(f"{output} can't be written: {error.strerror}.") from error


@contextmanager
def _progress() -> Iterator[Any]:
    """Yield what shows the step at work in one line of the terminal, which is gone in the end."""
    if not sys.stderr.isatty():
        yield lambda step: None
        return
    try:
        yield lambda step: click.echo(f"\r\x1b[K{step} …", nl=False, err=True)
    finally:
        click.echo("\r\x1b[K", nl=False, err=True)


if __name__ == "__main__":
    main()

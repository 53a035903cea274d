"""`mien remote swap` against the real service."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from mien.cli import main
from mien.errors import NoFaceFound, TaskError
from mien.resources import Resources
from mien.tasks.models import Task

FACE = "https://example.com/face.jpg"

MIEN = Path(sys.executable).parent / "mien"


@dataclass(frozen=True)
class Ended:
    exit_code: int | None
    stdout: bytes
    stderr: str


Run = Callable[..., "asyncio.Task[Ended]"]


@pytest.fixture
def run(service: str, key: str) -> Run:
    """Runs `mien remote swap` beside the service."""

    async def run(arguments: Sequence[str | Path], stdin: bytes, key: str) -> Ended:
        process = await asyncio.create_subprocess_exec(
            *(MIEN, "remote", "swap", *arguments),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=os.environ | {"MIEN_URL": service, "MIEN_API_KEY": key},
        )
        stdout, stderr = await process.communicate(stdin)
        return Ended(process.returncode, stdout, stderr.decode())

    return lambda *arguments, stdin=b"", key=key: asyncio.create_task(run(arguments, stdin, key))


@pytest.fixture
def queued(resources: Resources) -> Callable[[], Awaitable[None]]:
    """Waits until there is a task to be done."""

    async def queued() -> None:
        for _ in range(1000):
            async with resources.sessions() as session:
                if await session.scalar(select(func.count()).where(Task.state == "queued")):
                    return
            await asyncio.sleep(0.02)
        raise AssertionError("no task came")

    return queued


Queued = Callable[[], Awaitable[None]]


async def test_a_file_is_swapped_by_the_service_and_saved(
    run: Run, queued: Queued, complete: Callable[..., Awaitable[Task]], picture: bytes, tmp_path: Path
) -> None:
    (tmp_path / "group.png").write_bytes(picture)
    output = tmp_path / "out.jpg"
    running = run(tmp_path / "group.png", FACE, "-o", output, "--target-index", "1", "--quality", "80")
    await queued()
    task = await complete()
    result = await running
    assert (result.exit_code, result.stdout, result.stderr) == (0, b"", "")
    assert output.read_bytes() == picture
    assert (task.parameters["output_format"], task.parameters["quality"]) == ("jpg", 80)
    assert task.parameters["swaps"][0]["target_index"] == 1


async def test_standard_input_and_output_can_be_used(
    run: Run, queued: Queued, complete: Callable[..., Awaitable[Task]], picture: bytes
) -> None:
    running = run("-", FACE, FACE, "-o", "-", stdin=picture)
    await queued()
    task = await complete()
    result = await running
    assert (result.exit_code, result.stdout) == (0, picture)
    assert task.parameters["swaps"][0]["pictures"] == ["face_images[0]", "face_images[1]"]


async def test_a_task_that_fails_is_one_line_and_the_exit_code_of_its_reason(
    run: Run, queued: Queued, fail: Callable[[TaskError], Awaitable[None]], tmp_path: Path
) -> None:
    running = run(FACE, FACE, "-o", tmp_path / "out.png")
    await queued()
    await fail(NoFaceFound("No face was found.", param="image"))
    result = await running
    assert (result.exit_code, result.stderr) == (4, "Error: No face was found.\n")
    assert not (tmp_path / "out.png").exists()


async def test_a_wrong_key_is_one_line(run: Run, tmp_path: Path) -> None:
    result = await run(FACE, FACE, "-o", tmp_path / "out.png", key="aio_wrong")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: The API key is not valid")
    assert "aio_wrong" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["missing.jpg", FACE, "-o", "out.png"], 3, "missing.jpg can't be read"),
        ([FACE, FACE, "-o", "out.gif"], 2, ".gif pictures can't be written"),
        ([FACE, FACE, "-o", "no/such/folder.png"], 1, "there is no such folder"),
        (["-", "-", "-o", "out.png"], 2, "Only one picture"),
        ([FACE, "-o", "out.png"], 2, "Missing argument"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_sent(
    arguments: list[str], exit_code: int, message: str
) -> None:
    environment = {"MIEN_URL": "http://127.0.0.1:9", "MIEN_API_KEY": "aio_unused"}
    result = CliRunner().invoke(main, ["remote", "swap", *arguments], env=environment)
    assert result.exit_code == exit_code
    assert message in result.stderr


def test_a_key_is_wanted() -> None:
    result = CliRunner().invoke(
        main, ["remote", "swap", FACE, FACE, "-o", "out.png"], env={"MIEN_API_KEY": None}
    )
    assert result.exit_code == 2
    assert "--key" in result.stderr

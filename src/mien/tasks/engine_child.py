"""One engine process as its parent sees it: spoken to in frames (`mien.tasks.frames`), and killed at will."""

import asyncio
import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mien.settings import Settings
from mien.tasks import frames

_READ_AHEAD = 2**20  # bytes


class EngineDied(Exception):
    """The process has ended before it answered."""


@dataclass
class EngineChild:
    process: asyncio.subprocess.Process
    killed: bool = False

    @property
    def alive(self) -> bool:
        return not self.killed and self.process.returncode is None

    async def send(self, head: dict[str, Any], *blobs: bytes) -> None:
        """Write a frame. Raises `EngineDied`."""
        assert self.process.stdin  # noqa: S101 - asked for in `spawn`
        try:
            self.process.stdin.writelines(frames.pack(head, *blobs))
            await self.process.stdin.drain()
        except OSError as error:
            raise EngineDied from error

    async def receive(self) -> frames.Frame:
        """Read the next frame. Raises `EngineDied`."""
        assert self.process.stdout  # noqa: S101 - asked for in `spawn`
        try:
            return await frames.read_async(self.process.stdout)
        except EOFError as error:
            raise EngineDied from error

    def kill(self) -> None:
        self.killed = True  # the system tells a moment later
        with suppress(ProcessLookupError):
            self.process.kill()


async def spawn(module: str, settings: Settings) -> asyncio.subprocess.Process:
    """Start `python -m module` with what an engine needs to know, as JSON, for its argument."""
    config = {
        "threads": settings.threads,
        "max_image_bytes": settings.max_image_bytes,
        "max_pixels": settings.max_pixels,
        "refuse_adult_content": settings.adult_content == "refuse",
        "alike_from": settings.do_not_swap_similarity,
        "log_level": settings.log_level,
        "log_format": settings.log_format,
    }
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # nothing from the current folder
        "-m",
        module,
        json.dumps(config),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_READ_AHEAD,
        # NumPy's own threads would fight the engine's. Secrets stay here.
        env={name: value for name, value in os.environ.items() if not name.startswith("MIEN_")}
        | {"OPENBLAS_NUM_THREADS": str(settings.threads)},
    )

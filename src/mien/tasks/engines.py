"""Engine processes as a worker sees them: always a few warm ones, each killable without its neighbours."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from mien.errors import TaskError, Timeout
from mien.marks.certificates import SigningIdentity
from mien.safety.registry import EMPTY, ListReader, PackedList
from mien.settings import Settings
from mien.tasks.engine_child import EngineChild, EngineDied, spawn

logger = structlog.get_logger(__name__)

_START_TIMEOUT = 120.0  # seconds; a cold disk is slow
_RESTART_PAUSE = 1.0  # seconds, so that a process that can't start doesn't eat a core
_STOP_TIMEOUT = 5.0  # seconds, which is longer than any step of a usual picture


class SwapRefused(TaskError):
    """The engine's own error, as it came over the pipe; `param` is a field of the request."""

    def __init__(self, type: str, message: str, param: str | None) -> None:
        super().__init__(message, param=param)
        self.type = type  # type: ignore[misc]  # one of TaskError's, known only now


@dataclass(frozen=True)
class Marking:
    """What is to be marked in which way. `identity` signs, in this process: engines never see its key. They
    do see the watermark's, which goes through their pipe and nowhere else."""

    task_id: str
    when: datetime
    watermark: bool
    identity: SigningIdentity | None
    watermark_key: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class SwapRequest:
    pictures: Mapping[str, bytes]
    """By field of the request: `image`, and those that `parameters` names."""
    parameters: Mapping[str, Any]
    """As a task's row has them: output_format, quality, max_size, label, exif, and swaps with target_index,
    face_index and pictures."""
    log: Mapping[str, str]
    """What the engine's log lines carry."""
    listed: PackedList = EMPTY
    """The do-not-swap list, which is sent on when it's another than the process has."""
    marking: Marking | None = None
    """None leaves the result unmarked."""


@dataclass(frozen=True)
class Swapped:
    picture: bytes
    result: dict[str, Any]
    """format, width, height, bytes, sha256"""
    reports: list[dict[str, Any]]
    """One for each swap."""
    milliseconds: dict[str, float]
    """Of each step, in their order."""


@dataclass
class Engine(EngineChild):
    """One engine process, ready for a swap."""

    busy: bool = False
    """From a swap's request until its last answer."""
    list_version: int = 0
    """Of the do-not-swap list that it has; 0 is empty."""

    async def until_ready(self) -> None:
        """Wait until the process has loaded its networks. Raises `EngineDied`."""
        await self.receive()

    async def swap(
        self, request: SwapRequest, limit: timedelta, on_step: Callable[[str], Awaitable[None]]
    ) -> Swapped:
        """Have the process swap within `limit`; `on_step` hears each step and may raise to give up.

        Raises `SwapRefused`, `Timeout` and `EngineDied`. When `on_step` gives up, the process stops at its
        next step. Unless it has answered in the end, it's killed, since there is no other way to stop it.
        """
        try:
            async with asyncio.timeout(limit.total_seconds()) as clock:
                return await self._swap(request, on_step)
        except TimeoutError:
            if clock.expired():
                raise Timeout("The swap took too long. Send smaller pictures.") from None
            raise
        finally:
            if self.busy:
                self.kill()

    async def _swap(self, request: SwapRequest, on_step: Callable[[str], Awaitable[None]]) -> Swapped:
        self.busy = True
        if request.listed.version != self.list_version:
            await self.send({"kind": "listed", "ids": request.listed.ids}, request.listed.embeddings)
            self.list_version = request.listed.version
        await self.send(
            {
                "kind": "swap",
                "parameters": dict(request.parameters),
                "pictures": list(request.pictures),
                "log": dict(request.log),
                "marking": _described(request.marking),
            },
            *request.pictures.values(),
        )
        while True:
            head, blobs = await self.receive()
            match head["kind"]:
                case "step":
                    try:
                        await on_step(head["step"])
                    except Exception:
                        await self._stop()
                        raise
                case "sign":
                    await self.send({"kind": "signature"}, await _signature(request.marking, blobs[0]))
                case "picture":
                    self.busy = False
                    return Swapped(blobs[0], head["result"], head["reports"], head["milliseconds"])
                case "error":
                    self.busy = False
                    raise SwapRefused(head["type"], head["message"], head["param"])

    async def _stop(self) -> None:
        """Have the process stop at its next step, and wait a while until it's ready for another swap."""
        with suppress(TimeoutError, EngineDied):
            async with asyncio.timeout(_STOP_TIMEOUT):
                await self.send({"kind": "stop"})
                while (await self.receive())[0]["kind"] in ("step", "sign"):
                    pass
                self.busy = False


def _described(marking: Marking | None) -> dict[str, Any] | None:
    if marking is None:
        return None
    identity = marking.identity
    return {
        "task_id": marking.task_id,
        "when": marking.when.isoformat(),
        "watermark": marking.watermark,
        "watermark_key": marking.watermark_key.hex(),
        "signer": identity
        and {
            "certificates": identity.certificates,
            "algorithm": identity.algorithm,
            "time_stamp_authority": identity.time_stamp_authority,
        },
    }


async def _signature(marking: Marking | None, data: bytes) -> bytes:
    if marking is None or marking.identity is None:
        raise EngineDied  # it asks for what nobody wants: it's out of its mind
    return await asyncio.to_thread(marking.identity.sign, data)


class Engines:
    """`count` engine processes; one that dies is replaced.

    async with Engines.running(settings) as engines:     # all are warm
        async with engines.take() as engine:             # waits for a free one
            await engine.swap(…)
    """

    def __init__(self) -> None:
        self.list_reader = ListReader()
        self._free: asyncio.Queue[Engine] = asyncio.Queue()

    @classmethod
    @asynccontextmanager
    async def running(cls, settings: Settings) -> AsyncIterator["Engines"]:
        engines = cls()
        keepers = [asyncio.create_task(engines._keep(settings)) for _ in range(settings.workers)]
        try:
            await engines._all_free(settings.workers)
            yield engines
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)

    @asynccontextmanager
    async def take(self) -> AsyncIterator[Engine]:
        """A warm process of one's own."""
        engine = await self._free.get()
        while not engine.alive:
            engine = await self._free.get()
        try:
            yield engine
        finally:
            if engine.alive:
                self._free.put_nowait(engine)

    async def _keep(self, settings: Settings) -> None:
        """Keep one process running until cancelled."""
        while True:
            try:
                await self._run_one(settings)
            except (EngineDied, OSError):
                logger.exception("engine process could not start")
                await asyncio.sleep(_RESTART_PAUSE)

    async def _run_one(self, settings: Settings) -> None:
        engine = Engine(await spawn("mien.tasks.engine_process", settings))
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                await engine.until_ready()
            logger.info("engine process ready", child=engine.process.pid)
            self._free.put_nowait(engine)
            status = await engine.process.wait()
            logger.warning("engine process ended", child=engine.process.pid, status=status)
        finally:
            engine.kill()
            await engine.process.wait()

    async def _all_free(self, count: int) -> None:
        warm = [await self._free.get() for _ in range(count)]
        for engine in warm:
            self._free.put_nowait(engine)

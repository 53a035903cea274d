"""Processes that look at pictures for an API process: started when needed, ended when idle."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar

import structlog

from mien.errors import (
    FaceUnusable,
    ImageInvalid,
    ImageTooLarge,
    InternalError,
    NoFaceFound,
    TaskError,
    Unavailable,
)
from mien.settings import Settings
from mien.tasks.engine_child import EngineChild, EngineDied, spawn
from mien.tasks.frames import Frame

logger = structlog.get_logger(__name__)

_PLACES = 16
"""Requests that may be under way for each process: each may hold a picture in memory."""
_IDLE = 300.0  # seconds, in which people look for a picture; then a process gives its 200 MB back
_START_TIMEOUT = 60.0  # seconds; a cold disk is slow

_ERRORS: dict[str, type[TaskError]] = {
    error.type: error for error in (ImageInvalid, ImageTooLarge, NoFaceFound, FaceUnusable)
}


class Inspectors:
    """Up to `settings.detectors` processes; one that dies or takes too long costs its own picture only.

    Subclasses say which program they run (`mien.tasks.inspection` is its other half) and what they ask it.

    async with inspectors.place():               # before a picture is fetched
        answer = await inspectors.…(…)
    """

    module: ClassVar[str]

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._places = _PLACES * settings.detectors
        self._free = asyncio.Semaphore(settings.detectors)
        # Those that were used longest ago come first, and so do their endings.
        self._idle: list[tuple[EngineChild, asyncio.TimerHandle]] = []
        self._warming: set[asyncio.Task[None]] = set()

    def warm_up(self) -> None:
        """Have a process ready soon, so that the first picture needn't wait for its start."""
        if not self._free.locked():
            warming = asyncio.create_task(self._start_ahead())
            self._warming.add(warming)
            warming.add_done_callback(self._warming.discard)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place in the queue. Raises `Unavailable` when it is long."""
        if self._places == 0:
            raise Unavailable("Too many pictures wait to be looked at. Try again in a moment.")
        self._places -= 1
        try:
            yield
        finally:
            self._places += 1

    async def ask(self, question: dict[str, Any], picture: bytes, log: dict[str, str]) -> Frame:
        """What a process answers about the file `picture`; `log` is what its log lines carry.

        Raises what it says of the picture, and `Unavailable` or `InternalError` when the process takes
        too long or dies, and is killed.
        """
        limit = self._settings.detect_timeout.total_seconds()
        try:
            async with self._take() as child, asyncio.timeout(limit):
                await child.send({**question, "log": log}, picture)
                head, blobs = await child.receive()
        except TimeoutError:
            logger.warning("inspection took too long", module=self.module, **log)
            raise Unavailable(
                "Looking at the picture took too long. Send a smaller one, or try again later."
            ) from None
        except EngineDied:
            logger.warning("inspection died", module=self.module, **log)
            raise InternalError(
                "The program that looks at pictures broke down on this one. Save it again with another "
                "program and send that."
            ) from None
        if head["kind"] == "error":
            raise _ERRORS[head["type"]](head["message"], param="image")
        return head, blobs

    async def close(self) -> None:
        """End the idle processes."""
        for warming in self._warming:
            warming.cancel()
        await asyncio.gather(*self._warming, return_exceptions=True)
        children = [child for child, _ in self._idle]
        while self._idle:
            self._end_oldest()
        await asyncio.gather(*(child.process.wait() for child in children))

    async def _start_ahead(self) -> None:
        with suppress(EngineDied, OSError, TimeoutError):  # whoever asks something gets to know
            async with self._take():
                pass

    @asynccontextmanager
    async def _take(self) -> AsyncIterator[EngineChild]:
        """A process of one's own; it's killed unless all goes well."""
        async with self._free:
            child = self._warm() or await self._start()
            try:
                yield child
            except BaseException:
                child.kill()
                raise
            self._idle.append((child, asyncio.get_running_loop().call_later(_IDLE, self._end_oldest)))

    def _warm(self) -> EngineChild | None:
        """The process that was used last, so that others grow old."""
        while self._idle:
            child, ending = self._idle.pop()
            ending.cancel()
            if child.alive:
                return child
        return None

    def _end_oldest(self) -> None:
        child, ending = self._idle.pop(0)
        ending.cancel()
        child.kill()

    async def _start(self) -> EngineChild:
        child = EngineChild(await spawn(self.module, self._settings))
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                await child.receive()
        except BaseException:
            child.kill()
            raise
        logger.info("inspection started", module=self.module, child=child.process.pid)
        return child

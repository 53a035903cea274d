"""The client, sync and async. Both run the flows of `mien.client.flows`, each in its own way."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, Unpack

import httpx

from mien.client import flows
from mien.client.answers import AccountInfo, Faces, Output, TaskInfo, TaskPage, Upload
from mien.client.flows import (
    Call,
    Flow,
    Image,
    OnStage,
    Open,
    Pause,
    ReadLine,
    Result,
    Step,
    Swap,
    SwapOptions,
)
from mien.errors import TaskError

DEFAULT_URL = "http://127.0.0.1:8080"

Listed = Literal["IN_PROGRESS", "completed", "failed", "canceled"]

_AGENT = f"mien-client/{version('mien')}"
_CONNECT = 10.0  # seconds


def _request(client: httpx.Client | httpx.AsyncClient, key: str, call: Call) -> httpx.Request:
    """The key goes to the service's own API and nowhere else, whatever addresses its answers hold."""
    to_service = {"Authorization": f"Bearer {key}"} if call.url.startswith("/") else {}
    return client.build_request(
        call.method,
        call.url,
        params=call.params,
        json=call.json,
        content=call.content,
        headers={"User-Agent": _AGENT, **to_service, **call.headers},
        timeout=httpx.Timeout(call.timeout, connect=_CONNECT),
    )


class _Shown:
    """What a handle shows of its task, as it was read last."""

    info: TaskInfo

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.stage}>"

    @property
    def id(self) -> str:
        return self.info.task_id

    @property
    def stage(self) -> str:
        return self.info.stage

    @property
    def has_ended(self) -> bool:
        return self.info.has_ended

    @property
    def output(self) -> Output | None:
        return self.info.output

    @property
    def error(self) -> TaskError | None:
        return self.info.error


# Sync -----------------------------------------------------------------------------------------------------


class Client:
    """The API of one service, with one key.

        with Client("aio_…", base_url="https://swap.example.com") as client:
            client.face_swap("group.jpg", "anna.jpg").wait().save("out.png")

    Requests are sent again where that helps and does no harm, as patiently as the service asks for. Methods
    raise the errors of `mien.errors` that the service answers with, and `Unreachable`. May be shared by
    threads. `transport` stands in for the network.
    """

    def __init__(
        self, key: str, *, base_url: str = DEFAULT_URL, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._key = key
        self._http = httpx.Client(base_url=base_url, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def face_swap(
        self,
        image: Image,
        face_image: Image | Sequence[Image] | None = None,
        *,
        swaps: Sequence[Swap] | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[SwapOptions],
    ) -> "Task":
        """Bring a face into `image`: that of `face_image`, one picture or several of one person, or `swaps`.

        Local files are uploaded first. With an `idempotency_key` of your own, two calls make one task.
        """
        return Task(self, self.run(flows.face_swap(image, face_image, swaps, idempotency_key, options)))

    def task(self, task_id: str) -> "Task":
        """A task that was created before."""
        return Task(self, self.run(flows.read(task_id)))

    def tasks(
        self, *, status: Listed | None = None, limit: int | None = None, cursor: str | None = None
    ) -> TaskPage:
        """A page of the account's tasks, the newest first."""
        return self.run(flows.tasks({"status": status, "limit": limit, "cursor": cursor}))

    def upload(self, picture: Image) -> Upload:
        """Upload a picture that is used several times."""
        return self.run(flows.upload(picture))

    def detect(self, picture: Image, *, annotate: bool = False) -> Faces:
        """The faces of a picture, with the numbers that a face swap takes. Costs nothing."""
        return self.run(flows.detect(picture, annotate))

    def account(self) -> AccountInfo:
        """Balance, price and limits."""
        return self.run(flows.account())

    def run(self, flow: Flow[Result]) -> Result:
        wire = _Wire(self._http, self._key)
        try:
            step = next(flow)
            while True:
                try:
                    came = wire.do(step)
                except httpx.HTTPError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(came)
        except StopIteration as end:
            result: Result = end.value
            return result
        finally:
            wire.close()


class Task(_Shown):
    """A face swap that was asked for. Its properties say how it stood when it was read last."""

    def __init__(self, client: Client, info: TaskInfo) -> None:
        self._client, self.info = client, info

    def wait(self, timeout: float | None = None, on_stage: OnStage | None = None) -> Self:
        """Wait for its end; `on_stage` is called with each stage that it enters.

        Raises what it failed with (`TaskError`), and `WaitedTooLong` after `timeout` seconds.
        """
        self.info = self._client.run(flows.wait(self.id, timeout, on_stage))
        return self

    def refresh(self) -> Self:
        """Read it again."""
        self.info = self._client.run(flows.read(self.id))
        return self

    def cancel(self) -> Self:
        """Cancel it, for nothing. Raises `Conflict` if it has ended."""
        self.info = self._client.run(flows.cancel(self.id))
        return self

    def download(self) -> bytes:
        """The result's file. Raises what the task failed with, and `WaitedTooLong` if it's under way."""
        return self._client.run(flows.download(self.info))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the result's file. Raises what `download` does."""
        return _write(path, self.download())


@dataclass
class _Wire:
    """Does the steps of one flow."""

    http: httpx.Client
    key: str
    opened: httpx.Response | None = None
    lines: Iterator[str] = field(default_factory=lambda: iter(()))

    def do(self, step: Step) -> object:
        if isinstance(step, ReadLine):
            return next(self.lines, None)
        self.close()
        match step:
            case Pause(seconds):
                time.sleep(seconds)
            case Call():
                return self.http.send(_request(self.http, self.key, step))
            case Open(call):
                self.opened = self.http.send(_request(self.http, self.key, call), stream=True)
                self.lines = self.opened.iter_lines()
                return self.opened
        return None

    def close(self) -> None:
        if self.opened:
            self.opened.close()
            self.opened = None


# Async ----------------------------------------------------------------------------------------------------


class AsyncClient:
    """As `Client`, for asyncio.

    async with AsyncClient("aio_…", base_url="https://swap.example.com") as client:
        task = await client.face_swap("group.jpg", "anna.jpg")
        await (await task.wait()).save("out.png")
    """

    def __init__(
        self, key: str, *, base_url: str = DEFAULT_URL, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._key = key
        self._http = httpx.AsyncClient(base_url=base_url, transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def face_swap(
        self,
        image: Image,
        face_image: Image | Sequence[Image] | None = None,
        *,
        swaps: Sequence[Swap] | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[SwapOptions],
    ) -> "AsyncTask":
        """As `Client.face_swap`."""
        flow = flows.face_swap(image, face_image, swaps, idempotency_key, options)
        return AsyncTask(self, await self.run(flow))

    async def task(self, task_id: str) -> "AsyncTask":
        """As `Client.task`."""
        return AsyncTask(self, await self.run(flows.read(task_id)))

    async def tasks(
        self, *, status: Listed | None = None, limit: int | None = None, cursor: str | None = None
    ) -> TaskPage:
        """As `Client.tasks`."""
        return await self.run(flows.tasks({"status": status, "limit": limit, "cursor": cursor}))

    async def upload(self, picture: Image) -> Upload:
        """As `Client.upload`."""
        return await self.run(flows.upload(picture))

    async def detect(self, picture: Image, *, annotate: bool = False) -> Faces:
        """As `Client.detect`."""
        return await self.run(flows.detect(picture, annotate))

    async def account(self) -> AccountInfo:
        """As `Client.account`."""
        return await self.run(flows.account())

    async def run(self, flow: Flow[Result]) -> Result:
        wire = _AsyncWire(self._http, self._key)
        try:
            step = next(flow)
            while True:
                try:
                    came = await wire.do(step)
                except httpx.HTTPError as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(came)
        except StopIteration as end:
            result: Result = end.value
            return result
        finally:
            await wire.close()


class AsyncTask(_Shown):
    """As `Task`, for asyncio."""

    def __init__(self, client: AsyncClient, info: TaskInfo) -> None:
        self._client, self.info = client, info

    async def wait(self, timeout: float | None = None, on_stage: OnStage | None = None) -> Self:  # noqa: ASYNC109
        """As `Task.wait`."""
        self.info = await self._client.run(flows.wait(self.id, timeout, on_stage))
        return self

    async def refresh(self) -> Self:
        """As `Task.refresh`."""
        self.info = await self._client.run(flows.read(self.id))
        return self

    async def cancel(self) -> Self:
        """As `Task.cancel`."""
        self.info = await self._client.run(flows.cancel(self.id))
        return self

    async def download(self) -> bytes:
        """As `Task.download`."""
        return await self._client.run(flows.download(self.info))

    async def save(self, path: str | os.PathLike[str]) -> Path:
        """As `Task.save`."""
        return await asyncio.to_thread(_write, path, await self.download())


@dataclass
class _AsyncWire:
    """As `_Wire`, for asyncio."""

    http: httpx.AsyncClient
    key: str
    opened: httpx.Response | None = None
    lines: AsyncIterator[str] | None = None

    async def do(self, step: Step) -> object:
        if isinstance(step, ReadLine):
            return await anext(self.lines, None) if self.lines else None
        await self.close()
        match step:
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Call():
                return await self.http.send(_request(self.http, self.key, step))
            case Open(call):
                self.opened = await self.http.send(_request(self.http, self.key, call), stream=True)
                self.lines = self.opened.aiter_lines()
                return self.opened
        return None

    async def close(self) -> None:
        if self.opened:
            await self.opened.aclose()
            self.opened = None


def _write(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write a file whole or not at all."""
    place = Path(path)
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)
    return place

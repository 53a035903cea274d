"""What the client does, apart from how it's sent: the same for the sync and the async client.

A flow is a generator that yields steps, such as a request or a pause, and is sent what came of them; a
failure on the way is thrown into it as `httpx.HTTPError`. What it returns is the result.
"""

import hashlib
import json
import os
import random
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, TypedDict, TypeVar, cast
from uuid import uuid4

import httpx

from mien.client import answers
from mien.client.answers import TaskInfo, Unreachable, WaitedTooLong, data_of, retry_after
from mien.errors import NotFound

Image = str | os.PathLike[str] | bytes | BinaryIO
"""A picture: an http(s) address or `data:` URI, or a file by its path, its bytes or opened in binary mode."""

RETRIES: Final = 5
_BACK_OFF: Final = (0.5, 8.0)  # seconds, the first and the longest
_LONGEST_PAUSE: Final = 60.0  # seconds; a service that asks for more is not waited for
_WAIT: Final = 20.0  # seconds that the service is asked to hold a request; proxies give up after 30
_GRACE: Final = 15.0  # seconds that it may take longer to answer
_SILENCE: Final = 40.0  # seconds without a line, after which a stream of events is given up
_RETRIED: Final = frozenset({408, 429, 500, 502, 503, 504})

_ADDRESS: Final = ("http://", "https://", "data:")


@dataclass(frozen=True)
class Call:
    """A request; the driver sends it and gives the whole answer."""

    method: str
    url: str
    params: Mapping[str, Any] | None = None
    json: Any = None
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 60.0
    """Seconds for each piece of the answer."""


@dataclass(frozen=True)
class Pause:
    seconds: float


@dataclass(frozen=True)
class Open:
    """A request whose answer is read line by line; the driver gives the answer without its body."""

    call: Call


@dataclass(frozen=True)
class ReadLine:
    """The driver gives the next line of what was opened; None at its end. Any other step closes it."""


Step = Call | Pause | Open | ReadLine
Result = TypeVar("Result")
Flow = Generator[Step, Any, Result]
OnStage = Callable[[str], object]


@dataclass(frozen=True)
class Swap:
    """One of several faces that are changed on the same picture; each has one picture or several."""

    target_index: int
    face_image: Image | Sequence[Image]
    face_index: int = 0


class SwapOptions(TypedDict, total=False):
    """What a face swap may be asked for besides its pictures; docs/http.md says what it means."""

    target_index: int
    face_index: int
    output_format: Literal["png", "jpg", "webp"]
    quality: int
    max_size: int
    label: bool
    label_language: str
    exif: Literal["drop", "keep", "keep-with-gps"]
    consent: str
    metadata: Mapping[str, str]
    callback_url: str


# Requests -------------------------------------------------------------------------------------------------


def send(call: Call) -> Flow[httpx.Response]:
    """Send a request that may be sent again, until it's answered with something that is worth reading."""
    for attempt in range(RETRIES + 1):
        is_last = attempt == RETRIES
        try:
            response: httpx.Response = yield call
        except httpx.HTTPError as error:
            if is_last or isinstance(error, httpx.UnsupportedProtocol):
                raise Unreachable(
                    f"The service can't be reached: {error or type(error).__name__}."
                ) from error
            seconds = None
        else:
            seconds = retry_after(response)
            if response.status_code not in _RETRIED or is_last or (seconds or 0) > _LONGEST_PAUSE:
                return response
        yield Pause(_back_off(attempt) if seconds is None else seconds)
    raise AssertionError("the last attempt returns or raises")


def _back_off(attempt: int) -> float:
    first, longest = _BACK_OFF
    return min(longest, first * 2.0**attempt) * random.uniform(0.75, 1.25)  # noqa: S311


def upload(picture: Image) -> Flow[answers.Upload]:
    headers = {"Content-Type": "application/octet-stream"}
    response = yield from send(Call("POST", "/api/v1/uploads", content=_bytes_of(picture), headers=headers))
    return answers.upload(data_of(response))


def address_of(picture: Image) -> Flow[str]:
    """The address of a picture, which is uploaded if it's a local file."""
    if isinstance(picture, str) and is_address(picture):
        return picture
    return (yield from upload(picture)).image_url


def face_swap(
    image: Image,
    face_image: Image | Sequence[Image] | None,
    swaps: Sequence[Swap] | None,
    idempotency_key: str | None,
    options: SwapOptions,
) -> Flow[TaskInfo]:
    body: dict[str, Any] = {"model": "face-swap", "image": (yield from address_of(image)), **options}
    if face_image is not None:
        body |= yield from _faces(face_image)
    if swaps is not None:
        body["swaps"] = []
        for swap in swaps:
            pictures = yield from _faces(swap.face_image)
            numbers = {"target_index": swap.target_index, "face_index": swap.face_index}
            body["swaps"].append(numbers | pictures)
    headers = {"Idempotency-Key": idempotency_key or str(uuid4())}
    call = Call("POST", "/api/v1/images/tools/face-swap", json=body, headers=headers)
    return answers.task_info(data_of((yield from send(call))))


def _faces(pictures: Image | Sequence[Image]) -> Flow[dict[str, Any]]:
    """The field of a request that holds the pictures of one face."""
    if isinstance(pictures, list | tuple):
        addresses = []
        for picture in pictures:
            addresses.append((yield from address_of(picture)))  # noqa: PERF401 - a generator can't wait
        return {"face_images": addresses}
    return {"face_image": (yield from address_of(cast(Image, pictures)))}


def detect(picture: Image, annotate: bool) -> Flow[answers.Faces]:
    body = {"image": (yield from address_of(picture)), "annotate": annotate}
    response = yield from send(Call("POST", "/api/v1/images/tools/face-detect", json=body))
    return answers.faces(data_of(response))


def account() -> Flow[answers.AccountInfo]:
    return answers.account(data_of((yield from send(Call("GET", "/api/v1/account")))))


def tasks(params: Mapping[str, Any]) -> Flow[answers.TaskPage]:
    given = {name: value for name, value in params.items() if value is not None}
    return answers.task_page(data_of((yield from send(Call("GET", "/api/v1/tasks", params=given)))))


def read(task_id: str, wait: float = 0.0) -> Flow[TaskInfo]:
    """How a task stands, once it has ended or `wait` seconds are over."""
    params = {"wait": f"{wait:.3f}"} if wait else None
    call = Call("GET", f"/api/v1/tasks/{task_id}", params=params, timeout=wait + _GRACE)
    return answers.task_info(data_of((yield from send(call))))


def cancel(task_id: str) -> Flow[TaskInfo]:
    return answers.task_info(data_of((yield from send(Call("POST", f"/api/v1/tasks/{task_id}/cancel")))))


def download(task: TaskInfo) -> Flow[bytes]:
    """The result's file, checked against its sum.

    Raises what the task failed with, `WaitedTooLong` if it's under way, and `NotFound` if it has expired.
    """
    if task.error:
        raise task.error
    if not task.has_ended:
        raise WaitedTooLong(f"The task {task.task_id} is still under way. Wait for it first.")
    if not task.output:
        raise NotFound(f"The result of {task.task_id} has expired.")
    for _ in range(2):
        response = yield from send(Call("GET", task.output.image_url))
        if not response.is_success:
            data_of(response)
        if hashlib.sha256(response.content).hexdigest() == task.output.sha256:
            return response.content
    raise Unreachable("The result came damaged twice. Try again.")


def is_address(place: str) -> bool:
    """Whether a text is the address of a picture, and not the path of a file."""
    return place.lower().startswith(_ADDRESS)


def _bytes_of(picture: Image) -> bytes:
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, str | os.PathLike):
        return Path(picture).read_bytes()
    return picture.read()


# Waiting --------------------------------------------------------------------------------------------------


def wait(task_id: str, timeout: float | None, on_stage: OnStage | None) -> Flow[TaskInfo]:
    """The task once it has ended. `on_stage` is called with each stage that it enters.

    Raises what it failed with, and `WaitedTooLong` after `timeout` seconds.
    """
    watcher = _Watcher(time.monotonic() + timeout if timeout is not None else float("inf"), on_stage)
    while True:
        seen = watcher.last_event_id
        info = (yield from _follow(task_id, watcher)) if on_stage else None
        if not info and watcher.last_event_id != seen and watcher.left():
            continue  # they broke off, and go on where they did
        # Where events don't get through, reading now and then does.
        info = info or (yield from read(task_id, min(2.0 if on_stage else _WAIT, watcher.left())))
        watcher.enter(info.stage)
        if info.has_ended:
            break
        if not watcher.left():
            raise WaitedTooLong(f"The task {task_id} is still under way ({info.stage}). Wait again.")
    if info.error:
        raise info.error
    return info


@dataclass
class _Watcher:
    deadline: float
    on_stage: OnStage | None
    stage: str = ""
    last_event_id: str = ""

    def left(self) -> float:
        """Seconds."""
        return max(0.0, self.deadline - time.monotonic())

    def enter(self, stage: str) -> None:
        if self.on_stage and stage != self.stage:
            self.on_stage(stage)
        self.stage = stage


def _follow(task_id: str, watcher: _Watcher) -> Flow[TaskInfo | None]:
    """The task at the end of its events; None if they broke off, or time is up."""
    headers = {"Accept": "text/event-stream"}
    if watcher.last_event_id:
        headers["Last-Event-ID"] = watcher.last_event_id
    silence = min(_SILENCE, watcher.left() + 1)
    call = Call("GET", f"/api/v1/tasks/{task_id}/events", headers=headers, timeout=silence)
    try:
        response: httpx.Response = yield Open(call)
        if response.status_code != 200:
            return None
        event: dict[str, str] = {}
        while watcher.left() and (line := (yield ReadLine())) is not None:
            if line:
                name, _, value = line.partition(":")
                event[name] = value.removeprefix(" ")
                continue
            data = json.loads(event.get("data", "{}"))
            watcher.last_event_id = event.get("id", watcher.last_event_id)
            event = {}
            if data.get("task"):
                return answers.task_info(data["task"])
            if data:
                watcher.enter(data["stage"])
    except (httpx.HTTPError, ValueError, KeyError):
        pass  # broken, or not Mien's: reading the task says what is the matter
    return None

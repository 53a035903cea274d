"""What the service answers, as plain objects, and its refusals as the errors of `mien.errors`.

Fields that a service doesn't send, because it's older, are empty; those that this client doesn't know are in
`raw`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import httpx

from mien.errors import ApiError, MienError, RateLimited, TargetIndexOutOfRange, TaskError

Status = Literal["IN_PROGRESS", "completed", "failed"]


class Unreachable(MienError):
    """The service doesn't answer, or what answers is something else."""

    type = "unreachable"


class WaitedTooLong(MienError):
    """The task is still under way: wait again, or read it later."""

    type = "waited_too_long"


@dataclass(frozen=True)
class Output:
    """A result: where it is until it expires, and what it is."""

    image_url: str
    format: str
    width: int
    height: int
    bytes: int
    sha256: str
    expires_at: datetime


@dataclass(frozen=True)
class TaskInfo:
    """A task as it was read last."""

    task_id: str
    status: Status
    stage: str = "queued"
    output: Output | None = None
    error: TaskError | None = None
    credits_charged: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    completed_at: datetime | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def has_ended(self) -> bool:
        return self.status != "IN_PROGRESS"


@dataclass(frozen=True)
class TaskPage:
    """Tasks, the newest first. `next_cursor` leads to the next page; None on the last."""

    tasks: list[TaskInfo]
    next_cursor: str | None


@dataclass(frozen=True)
class Upload:
    """A picture that can be used in tasks by its address until it expires."""

    image_url: str
    expires_at: datetime
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class DetectedFace:
    """A face. `index` is what `target_index` and `face_index` take.

    `box` is left, top, right and bottom in pixels.
    """

    index: int
    box: tuple[float, float, float, float]
    score: float
    usable: bool
    problem: str | None
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Faces:
    """The faces of a picture of so many pixels, the largest first."""

    width: int
    height: int
    faces: list[DetectedFace]
    annotated_url: str | None
    """Where the picture with numbered boxes is, if it was asked for."""


@dataclass(frozen=True)
class AccountInfo:
    """An account: credits that it can spend, those that tasks hold, and what a face costs."""

    account_id: str
    name: str
    balance: int
    held: int
    price_per_face: int
    raw: Mapping[str, Any] = field(repr=False)


def data_of(response: httpx.Response) -> Mapping[str, Any]:
    """The `data` of an answer. Raises what the service refused the request with, and `Unreachable`."""
    try:
        body = response.json()
        if response.is_success:
            data: Mapping[str, Any] = body["data"]
            return data
        refusal = body["error"]
        error = refusal_of(response, refusal["type"], refusal["message"], refusal.get("param"))
        error.add_note(f"request id: {refusal.get('request_id')}")
    except (ValueError, KeyError, TypeError):
        raise Unreachable(
            f"The answer from {response.url.host} with status {response.status_code} isn't Mien's. Check the "
            "service's address."
        ) from None
    raise error


def refusal_of(response: httpx.Response, type: str, message: str, param: str | None) -> ApiError:
    """The error that a request was refused with; a plain `ApiError` for a type that isn't known here."""
    kind = {kind.type: kind for kind in ApiError.__subclasses__()}.get(type, ApiError)
    if kind is RateLimited:
        return RateLimited(message, param=param, retry_after=int(retry_after(response) or 1))
    return kind(message, param=param)


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that an answer asks to wait; None if it doesn't."""
    seconds = response.headers.get("retry-after", "")
    return float(seconds) if seconds.isdecimal() else None


def task_info(data: Mapping[str, Any]) -> TaskInfo:
    return TaskInfo(
        task_id=data["task_id"],
        status=data["status"],
        stage=data.get("stage", "queued"),
        output=_output(data.get("output")),
        error=_failure(data.get("error")),
        credits_charged=(data.get("credits") or {}).get("charged", 0),
        metadata=data.get("metadata") or {},
        created_at=_time(data.get("created_at")),
        completed_at=_time(data.get("completed_at")),
        raw=data,
    )


def task_page(data: Mapping[str, Any]) -> TaskPage:
    return TaskPage([task_info(task) for task in data["tasks"]], data["next_cursor"])


def upload(data: Mapping[str, Any]) -> Upload:
    return Upload(data["image_url"], datetime.fromisoformat(data["expires_at"]), raw=data)


def faces(data: Mapping[str, Any]) -> Faces:
    found = [
        DetectedFace(
            index=face["index"],
            box=tuple(face["box"]),
            score=face["score"],
            usable=face["usable"],
            problem=face["problem"],
            raw=face,
        )
        for face in data["faces"]
    ]
    annotated = data.get("annotated")
    return Faces(data["width"], data["height"], found, annotated["image_url"] if annotated else None)


def account(data: Mapping[str, Any]) -> AccountInfo:
    return AccountInfo(
        account_id=data["account_id"],
        name=data["name"],
        balance=data["balance"],
        held=data["held"],
        price_per_face=data["price_per_face"],
        raw=data,
    )


def _output(data: Mapping[str, Any] | None) -> Output | None:
    if data is None:
        return None
    return Output(
        image_url=data["image_url"],
        format=data["format"],
        width=data["width"],
        height=data["height"],
        bytes=data["bytes"],
        sha256=data["sha256"],
        expires_at=datetime.fromisoformat(data["expires_at"]),
    )


def _failure(data: Mapping[str, Any] | None) -> TaskError | None:
    """The error that a task failed with; a plain `TaskError` for a type that isn't known here."""
    if data is None:
        return None
    kind = {kind.type: kind for kind in TaskError.__subclasses__()}.get(data["type"], TaskError)
    if kind is TargetIndexOutOfRange:
        return TargetIndexOutOfRange(data["message"], count=None, param=data["param"])
    return kind(data["message"], param=data["param"])


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

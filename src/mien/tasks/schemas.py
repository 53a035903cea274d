"""What requests about tasks hold, and what is answered."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from mien.errors import ImageInvalid
from mien.images.codec import OutputFormat
from mien.images.data_uri import decode_data_uri
from mien.resources import Resources
from mien.storage.addresses import signed_path
from mien.tasks.models import State, Task

MAX_ADDRESS = 4096  # characters

EXAMPLE_ID = "6f1c2a9be0d84c1f9a5b7d3e2f4a6c8d_faceswap"
EXAMPLE_ADDRESS = (
    f"https://swap.example.com/files/1798675200/Zm9yIGV4YW1wbGU/results/{EXAMPLE_ID}/1/face-swap.png"
)

_ADDRESS = r"[Hh][Tt][Tt][Pp][Ss]?://[^\s\x00-\x1f/?#][^\s\x00-\x1f]*"
_PICTURE_PATTERN = rf"^({_ADDRESS}|[Dd][Aa][Tt][Aa]:[^\x00]*)$"


def _picture(value: object) -> str | bytes:
    """A picture's address, or its bytes if they came along."""
    if not isinstance(value, str | bytes):
        raise ValueError("must be a string: an http(s) address or a data: URI")
    if isinstance(value, str) and value[:5].lower() == "data:":
        try:
            value = decode_data_uri(value, max_bytes=len(value))  # its size is checked with that of files
        except ImageInvalid as error:
            raise ValueError(error.message) from None
    if not value:
        raise ValueError("is empty. Send an http(s) address, a data: URI or, in a form, a file")
    if isinstance(value, str) and not _is_address(value):
        raise ValueError("must be an http(s) address, a data: URI or, in a form, a file")
    if isinstance(value, str) and len(value) > MAX_ADDRESS:
        raise ValueError(f"is an address of more than {MAX_ADDRESS} characters")
    return value


def _is_address(value: str) -> bool:
    try:
        return bool(re.fullmatch(_ADDRESS, value) and urlsplit(value).port != 0)
    except ValueError:  # a port that is no number, or half an IPv6 address
        return False


Picture = Annotated[
    str | bytes, PlainValidator(_picture), WithJsonSchema({"type": "string", "pattern": _PICTURE_PATTERN})
]


class FaceSwapRequest(BaseModel):
    """Puts the face of one picture onto a face of another."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "model": "face-swap",
                    "image": "https://example.com/target.jpg",
                    "face_image": "https://example.com/face.jpg",
                    "target_index": 0,
                    "output_format": "png",
                }
            ]
        },
    )

    model: Literal["face-swap"] = Field(description="Always `face-swap`.")
    image: Picture = Field(
        description="The picture to change: an http(s) address or a `data:` URI; in a form also a file."
    )
    face_image: Picture = Field(description="The picture whose largest face is put in; given as `image` is.")
    target_index: int = Field(
        default=0,
        ge=0,
        le=10,
        description="Which face of `image` is changed: 0 is the largest, by the area of its box.",
    )
    output_format: OutputFormat = Field(default="png", description="Format of the result.")

    def pictures(self) -> dict[str, str | bytes]:
        return {"image": self.image, "face_image": self.face_image}

    def parameters(self) -> dict[str, Any]:
        return self.model_dump(exclude={"image", "face_image"})


class Accepted(BaseModel):
    task_id: str = Field(examples=[EXAMPLE_ID])
    status: Literal["IN_PROGRESS"] = "IN_PROGRESS"


class AcceptedAnswer(BaseModel):
    """The task has been created and will be done."""

    code: Literal[200] = 200
    message: Literal["success"] = "success"
    data: Accepted


class Output(BaseModel):
    """The result."""

    image_url: str = Field(
        description="Where the picture can be read, without a key, until `expires_at`.",
        examples=[EXAMPLE_ADDRESS],
    )
    format: OutputFormat
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")
    bytes: int
    sha256: str = Field(description="Of the file, in hexadecimal digits.")
    expires_at: datetime


class Failure(BaseModel):
    """Why a task failed."""

    type: str = Field(description="The documented name to switch on.", examples=["no_face_found"])
    message: str = Field(description="What is wrong and what to do.")
    param: str | None = Field(description="The field of the request that is at fault.", examples=["image"])


class TaskData(BaseModel):
    task_id: str = Field(examples=[EXAMPLE_ID])
    status: Literal["IN_PROGRESS", "completed", "failed"]
    stage: str = Field(
        description="What is happening: `queued`, `fetching`, `detecting`, `swapping`, `storing`, "
        "`completed`, `failed` or `canceled`."
    )
    output: Output | None = Field(description="Null until it's completed, and again once it has expired.")
    image_url: str | None = Field(description="The same address as in `output`.")
    outputs: list[str] = Field(description="The same address as in `output`, alone in a list.")
    error: Failure | None = Field(description="Null unless it failed.")
    report: dict[str, Any] | None = Field(description="What the engine measured; its fields may change.")
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None = Field(description="When it ended, however it ended.")


class TaskAnswer(BaseModel):
    code: Literal[200] = 200
    message: Literal["success"] = "success"
    data: TaskData


def accepted_answer(task: Task) -> AcceptedAnswer:
    return AcceptedAnswer(data=Accepted(task_id=task.id))


def task_answer(resources: Resources, task: Task) -> TaskAnswer:
    output = _output(resources, task)
    return TaskAnswer(
        data=TaskData(
            task_id=task.id,
            status=_status(task.state),
            stage=task.stage,
            output=output,
            image_url=output.image_url if output else None,
            outputs=[output.image_url] if output else [],
            error=Failure(**task.error) if task.error else None,
            report=task.report,
            created_at=task.created_at,
            started_at=task.started_at,
            completed_at=task.completed_at,
        )
    )


def _status(state: State) -> Literal["IN_PROGRESS", "completed", "failed"]:
    """Pollers know three; canceled is shown as failed, so that every one of them ends."""
    match state:
        case State.QUEUED | State.RUNNING:
            return "IN_PROGRESS"
        case State.COMPLETED:
            return "completed"
        case State.FAILED | State.CANCELED:
            return "failed"


def _output(resources: Resources, task: Task) -> Output | None:
    if not (task.result_key and task.result and task.expires_at) or task.expires_at <= datetime.now(UTC):
        return None
    path = signed_path(task.result_key, task.expires_at, resources.secret)
    return Output(image_url=resources.settings.public_url + path, expires_at=task.expires_at, **task.result)

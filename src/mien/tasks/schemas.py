"""What is answered about tasks."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from mien.database.paging import Page
from mien.http.answers import Answer
from mien.images.headers import OutputFormat
from mien.resources import Resources
from mien.storage.addresses import signed_path
from mien.tasks.models import State, Task

EXAMPLE_ID = "6f1c2a9be0d84c1f9a5b7d3e2f4a6c8d_faceswap"
EXAMPLE_ADDRESS = (
    f"https://swap.example.com/files/1798675200/Zm9yIGV4YW1wbGU/results/{EXAMPLE_ID}/1/face-swap.png"
)

Status = Literal["IN_PROGRESS", "completed", "failed"]


class Accepted(BaseModel):
    task_id: str = Field(examples=[EXAMPLE_ID])
    status: Literal["IN_PROGRESS"] = "IN_PROGRESS"


class AcceptedAnswer(Answer[Accepted]):
    """The task has been created and will be done."""


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
    param: str | None = Field(
        description="The field of the request that is at fault.", examples=["image", "swaps[1].face_image"]
    )


class Credits(BaseModel):
    """What a task costs."""

    held: int = Field(description="Credits set aside while it's in progress.")
    charged: int = Field(description="Credits paid: nothing unless it was completed.")


class TaskData(BaseModel):
    task_id: str = Field(examples=[EXAMPLE_ID])
    status: Status
    stage: str = Field(
        description="What is happening: `queued`, `fetching`, `detecting`, `swapping`, `marking`, `storing`, "
        "`completed`, `failed` or `canceled`."
    )
    output: Output | None = Field(description="Null until it's completed, and again once it has expired.")
    image_url: str | None = Field(description="The same address as in `output`.")
    outputs: list[str] = Field(description="The same address as in `output`, alone in a list.")
    error: Failure | None = Field(description="Null unless it failed.")
    report: dict[str, Any] | None = Field(
        description="What the engine measured, of the first swap; its fields may change."
    )
    reports: list[dict[str, Any]] = Field(description="The same for every swap.")
    timings: dict[str, float] | None = Field(
        description="Milliseconds of each step of the attempt that was completed, in their order."
    )
    credits: Credits
    consent: str | None = Field(description="As it was sent.")
    metadata: dict[str, str] = Field(description="As it was sent.")
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None = Field(description="When it ended, however it ended.")


class TaskAnswer(Answer[TaskData]):
    """How a task stands."""


class TaskPage(BaseModel):
    tasks: list[TaskData] = Field(description="The newest first.")
    next_cursor: str | None = Field(description="The next page's `cursor`; null on the last one.")


class TaskPageAnswer(Answer[TaskPage]):
    """A page of tasks."""


class Model(BaseModel):
    model: Literal["face-swap"] = Field(description="What a request's `model` names.")
    description: str
    price_per_face: int = Field(
        description="Credits that each swapped face costs, once the task is completed."
    )


class Models(BaseModel):
    models: list[Model]


class ModelsAnswer(Answer[Models]):
    """All models."""


class TaskEvent(BaseModel):
    """The data of an event about a task."""

    task_id: str
    status: Status
    stage: str = Field(description="Also the event's name.")
    attempt: int = Field(description="How often it has been started.")
    task: TaskData | None = Field(description="As reading it answers, with the last event; null before.")


def _event_schema() -> dict[str, Any]:
    """How an event is documented, as OpenAPI 3.2 does it; tools that know 3.1 take it for a comment."""
    data = TaskEvent.model_json_schema(ref_template="#/components/schemas/{model}")
    del data["$defs"]  # which are in the document anyway
    return {
        "type": "object",
        "properties": {
            "event": {"type": "string", "description": "The stage."},
            "data": {"type": "string", "contentMediaType": "application/json", "contentSchema": data},
            "id": {
                "type": "string",
                "description": "What `Last-Event-ID` takes.",
                "examples": ["1.detecting"],
            },
        },
    }


EVENT_SCHEMA: Final = _event_schema()


def models_answer(price_per_face: int) -> ModelsAnswer:
    model = Model(
        model="face-swap",
        description="Puts the face of one picture onto a face of another.",
        price_per_face=price_per_face,
    )
    return ModelsAnswer(data=Models(models=[model]))


def accepted_answer(task: Task) -> AcceptedAnswer:
    return AcceptedAnswer(data=Accepted(task_id=task.id))


def task_answer(resources: Resources, task: Task) -> TaskAnswer:
    return TaskAnswer(data=_task_data(resources, task))


def task_page_answer(resources: Resources, page: Page[Task]) -> TaskPageAnswer:
    tasks = [_task_data(resources, task) for task in page.rows]
    return TaskPageAnswer(data=TaskPage(tasks=tasks, next_cursor=page.next_cursor))


def task_event(resources: Resources, task: Task, attempt: int, stage: str) -> TaskEvent:
    """An event about a stage that `task` is in, or has gone through."""
    is_last = task.has_ended and stage == task.stage
    return TaskEvent(
        task_id=task.id,
        status=status_of(task.state) if is_last else "IN_PROGRESS",
        stage=stage,
        attempt=attempt,
        task=_task_data(resources, task) if is_last else None,
    )


def status_of(state: State) -> Status:
    """Pollers know three; canceled is shown as failed, so that every one of them ends."""
    match state:
        case State.QUEUED | State.RUNNING:
            return "IN_PROGRESS"
        case State.COMPLETED:
            return "completed"
        case State.FAILED | State.CANCELED:
            return "failed"


def _task_data(resources: Resources, task: Task) -> TaskData:
    output = _output(resources, task)
    reports: Sequence[Mapping[str, Any]] = task.reports or []
    return TaskData(
        task_id=task.id,
        status=status_of(task.state),
        stage=task.stage,
        output=output,
        image_url=output.image_url if output else None,
        outputs=[output.image_url] if output else [],
        error=Failure(**task.error) if task.error else None,
        report=dict(reports[0]) if reports else None,
        reports=[dict(report) for report in reports],
        timings=task.timings,
        credits=Credits(
            held=0 if task.has_ended else task.credits,
            charged=task.credits if task.state == State.COMPLETED else 0,
        ),
        consent=task.consent,
        metadata=task.labels,
        created_at=task.created_at,
        started_at=task.started_at,
        completed_at=task.completed_at,
    )


def _output(resources: Resources, task: Task) -> Output | None:
    if not (task.result_key and task.result and task.expires_at) or task.expires_at <= datetime.now(UTC):
        return None
    path = signed_path(task.result_key, task.expires_at, resources.secret)
    return Output(image_url=resources.settings.public_url + path, expires_at=task.expires_at, **task.result)

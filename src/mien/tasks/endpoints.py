"""The endpoints of tasks."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from mien.errors import InvalidRequest
from mien.http.bodies import read_body
from mien.http.clients import ClientAddress
from mien.http.dependencies import AccountId, Caller, RequestId, Shared, bearer
from mien.http.errors import error_answers
from mien.tasks import creation, events, forms, listing, service
from mien.tasks.preferences import MAX_WAIT, preferred_wait
from mien.tasks.request_schema import FORM_SCHEMA, JSON_SCHEMA
from mien.tasks.requests import FaceSwapRequest
from mien.tasks.schemas import (
    EVENT_SCHEMA,
    AcceptedAnswer,
    ModelsAnswer,
    TaskAnswer,
    TaskPageAnswer,
    accepted_answer,
    models_answer,
    task_answer,
    task_page_answer,
)
from mien.tasks.watch import Watch

FACE_SWAP = "/api/v1/images/tools/face-swap"
TASKS = "/api/v1/tasks"

router = APIRouter(tags=["tasks"], dependencies=[Depends(bearer)])

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Makes it safe to send the request again, for 24 hours: the task is created once.",
    ),
]
Prefer = Annotated[
    str,
    Header(alias="Prefer", description="`wait=10` waits up to 10 seconds (at most 60) for the task's end."),
]
LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="The `id` of the last event that has been received."),
]


async def _watch(request: Request) -> Watch:
    watch: Watch = request.app.state.watch
    return watch


Watching = Annotated[Watch, Depends(_watch)]


@router.get(
    "/api/v1/models",
    summary="List models",
    response_description="All of them.",
    responses=error_answers(401, 413, 429, 500, 503),
)
async def list_models(shared: Shared) -> ModelsAnswer:
    """The names that a request's `model` may have."""
    return models_answer(shared.settings.price_per_face)


@router.post(
    FACE_SWAP,
    summary="Swap a face",
    response_description="The task has been created; it has ended if that was waited for.",
    responses={
        200: {
            "headers": {
                "Idempotency-Replayed": {
                    "description": "`true` if the task was created by an earlier request with this key.",
                    "schema": {"const": "true"},
                },
                "Preference-Applied": {
                    "description": "How long the answer would have waited at most.",
                    "schema": {"type": "string"},
                    "example": "wait=10",
                },
            }
        },
        **error_answers(400, 401, 402, 408, 413, 415, 422, 429, 500, 503),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": JSON_SCHEMA},
                "multipart/form-data": {"schema": FORM_SCHEMA},
            },
        }
    },
)
async def create_face_swap(
    request: Request,
    response: Response,
    shared: Shared,
    caller: Caller,
    client: ClientAddress,
    request_id: RequestId,
    watch: Watching,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = "",
) -> AcceptedAnswer | TaskAnswer:
    """Create a task that puts the face of `face_image` onto a face of `image`; read it until it has ended."""
    if idempotency_key and not idempotency_key.isprintable():
        raise InvalidRequest("`Idempotency-Key` must be printable text.", param="Idempotency-Key")
    wanted = await read_body(
        request, FaceSwapRequest, max_text=shared.settings.max_body_bytes, unfold=forms.unfold
    )
    created = await creation.create(shared, caller, request_id, wanted, idempotency_key, client=client)
    del wanted  # pictures of some megabytes, which nobody needs while this waits
    request.state.give_body_back()
    if created.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    task = created.task
    if wait := preferred_wait(prefer):
        response.headers["Preference-Applied"] = f"wait={wait}"
        task = await watch.wait_for_end(task.id, wait) or task
    return task_answer(shared, task) if task.has_ended else accepted_answer(task)


@router.get(
    TASKS,
    summary="List tasks",
    response_description="A page of them.",
    responses=error_answers(400, 401, 413, 429, 500, 503),
)
async def list_tasks(
    shared: Shared, account_id: AccountId, wanted: Annotated[listing.TaskFilter, Query()]
) -> TaskPageAnswer:
    """The account's tasks, the newest first."""
    async with shared.sessions() as session:
        page = await listing.page(session, account_id, wanted)
    return task_page_answer(shared, page)


@router.get(
    f"{TASKS}/{{task_id}}",
    summary="Read a task",
    response_description="How it stands.",
    responses=error_answers(400, 401, 404, 413, 429, 500, 503),
)
async def read_task(
    shared: Shared,
    account_id: AccountId,
    watch: Watching,
    task_id: str,
    wait: Annotated[
        float, Query(ge=0, le=MAX_WAIT, description="Seconds to wait for its end before answering.")
    ] = 0,
) -> TaskAnswer:
    """How a task stands. A task that failed is answered with 200 as well; `data.error` says why."""
    task = await service.find(shared, account_id, task_id)
    if wait and not task.has_ended:
        del task  # so that who waits holds little
        task = await watch.wait_for_end(task_id, wait) or await service.find(shared, account_id, task_id)
    return task_answer(shared, task)


@router.post(
    f"{TASKS}/{{task_id}}/cancel",
    summary="Cancel a task",
    response_description="It has been canceled, and nothing is charged.",
    responses=error_answers(401, 404, 409, 413, 429, 500, 503),
)
async def cancel_task(shared: Shared, account_id: AccountId, task_id: str) -> TaskAnswer:
    """Cancel a task in progress: a queued one never runs, a running one stops at its next step."""
    return task_answer(shared, await service.cancel(shared, account_id, task_id))


@router.delete(
    f"{TASKS}/{{task_id}}",
    summary="Delete a task's pictures",
    response_description="They are gone.",
    responses=error_answers(401, 404, 409, 413, 429, 500, 503),
)
async def delete_task_pictures(shared: Shared, account_id: AccountId, task_id: str) -> TaskAnswer:
    """Delete the pictures of a task that has ended, at once; what it was and what it cost stays."""
    return task_answer(shared, await service.delete_pictures(shared, account_id, task_id))


@router.get(
    f"{TASKS}/{{task_id}}/events",
    summary="Follow a task",
    response_class=Response,
    response_description="Its stages as server-sent events, each with JSON (`TaskEvent`) for its data.",
    responses={
        200: {"content": {"text/event-stream": {"itemSchema": EVENT_SCHEMA}}},
        204: {"description": "There will be no event after `Last-Event-ID`."},
        **error_answers(401, 404, 413, 429, 500, 503),
    },
)
async def follow_task(
    shared: Shared,
    account_id: AccountId,
    watch: Watching,
    task_id: str,
    last_event_id: LastEventId = None,
) -> Response:
    """The task's stages as they happen, from the first one or the one after `Last-Event-ID`."""
    task = await service.find(shared, account_id, task_id)
    if events.is_last(task, last_event_id):
        return Response(status_code=204)
    return StreamingResponse(
        events.stream(shared, watch, task, last_event_id),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )

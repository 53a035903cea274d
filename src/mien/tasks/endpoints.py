"""The endpoints of tasks."""

from typing import Any

from fastapi import APIRouter, Depends, Request

from mien.http.bodies import read_body
from mien.http.dependencies import AccountId, RequestId, Shared, bearer
from mien.http.errors import error_answers
from mien.tasks import service
from mien.tasks.inputs import FIELDS
from mien.tasks.schemas import AcceptedAnswer, FaceSwapRequest, TaskAnswer, accepted_answer, task_answer

FACE_SWAP = "/api/v1/images/tools/face-swap"

router = APIRouter(tags=["tasks"], dependencies=[Depends(bearer)])

_JSON: dict[str, Any] = FaceSwapRequest.model_json_schema()
_FILE = {"type": "string", "format": "binary"}
_FORM = _JSON | {
    "properties": {
        name: {"description": field["description"], **_FILE} if name in FIELDS else field
        for name, field in _JSON["properties"].items()
    }
}


@router.post(
    FACE_SWAP,
    summary="Swap a face",
    response_description="The task has been created and will be done.",
    responses=error_answers(400, 401, 413, 415, 500, 503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _JSON}, "multipart/form-data": {"schema": _FORM}},
        }
    },
)
async def create_face_swap(
    request: Request, shared: Shared, account_id: AccountId, request_id: RequestId
) -> AcceptedAnswer:
    """Create a task that puts the face of `face_image` onto a face of `image`; read it until it has ended."""
    wanted = await read_body(request, FaceSwapRequest, max_text=shared.settings.max_body_bytes)
    task = await service.create(shared, account_id, request_id, wanted)
    return accepted_answer(task)


@router.get(
    "/api/v1/tasks/{task_id}",
    summary="Read a task",
    response_description="How it stands.",
    responses=error_answers(401, 404, 413, 500, 503),
)
async def read_task(shared: Shared, account_id: AccountId, task_id: str) -> TaskAnswer:
    """How a task stands. A task that failed is answered with 200 as well; `data.error` says why."""
    task = await service.find(shared, account_id, task_id)
    return task_answer(shared, task)

"""The endpoint that checks where a picture comes from: free, and answered at once."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from mien.errors import TaskError
from mien.http.bodies import read_body
from mien.http.dependencies import Caller, RequestId, Shared, bearer
from mien.http.errors import error_answers, refusal_of_picture
from mien.origin import service
from mien.origin.checkers import OriginCheckers
from mien.origin.schemas import CheckOriginRequest, OriginAnswer
from mien.tasks import inputs

CHECK_ORIGIN = "/api/v1/images/tools/check-origin"

router = APIRouter(tags=["origin"], dependencies=[Depends(bearer)])

_FILE: dict[str, Any] = {"type": "string", "format": "binary"}
_JSON: dict[str, Any] = CheckOriginRequest.model_json_schema()
_FORM = _JSON | {
    "properties": {"image": {"description": _JSON["properties"]["image"]["description"], **_FILE}}
}


async def _checkers(request: Request) -> OriginCheckers:
    checkers: OriginCheckers = request.app.state.origin_checkers
    return checkers


Checking = Annotated[OriginCheckers, Depends(_checkers)]


@router.post(
    CHECK_ORIGIN,
    summary="Check a picture's origin",
    response_description="Whether Mien made it, and what says so.",
    responses=error_answers(400, 401, 408, 413, 415, 429, 500, 503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": _JSON},
                "multipart/form-data": {"schema": _FORM},
                "image/*": {"schema": _FILE},
                "application/octet-stream": {"schema": _FILE},
            },
        }
    },
)
async def check_origin(
    request: Request, shared: Shared, checkers: Checking, caller: Caller, request_id: RequestId
) -> OriginAnswer:
    """Look for the marks that Mien puts into its results. Costs nothing, and says nothing about anybody."""
    wanted = await read_body(
        request, CheckOriginRequest, max_text=shared.settings.max_body_bytes, file_field="image"
    )
    async with checkers.place():
        try:
            picture = await inputs.read(shared, caller.account_id, "image", wanted.image)
            data = await service.check(shared, checkers, picture, caller, request_id)
        except TaskError as error:
            raise refusal_of_picture(error) from None
    return OriginAnswer(data=data)

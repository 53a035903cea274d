"""The endpoint that finds faces: free, and answered at once."""

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Request

from mien.detection import schemas
from mien.detection.detectors import Detectors, Found
from mien.detection.schemas import FaceDetectRequest, FaceFound, FacesAnswer, FacesData
from mien.detection.sweeper import KEPT, PREFIX
from mien.errors import TaskError
from mien.http.bodies import read_body
from mien.http.dependencies import AccountId, RequestId, Shared, bearer
from mien.http.errors import error_answers, refusal_of_picture
from mien.resources import Resources
from mien.storage import objects
from mien.storage.addresses import signed_path
from mien.tasks import inputs

FACE_DETECT = "/api/v1/images/tools/face-detect"

router = APIRouter(tags=["faces"], dependencies=[Depends(bearer)])

_JSON: dict[str, Any] = FaceDetectRequest.model_json_schema()
_FORM = _JSON | {
    "properties": _JSON["properties"]
    | {
        "image": {
            "description": _JSON["properties"]["image"]["description"],
            "type": "string",
            "format": "binary",
        }
    }
}


async def _detectors(request: Request) -> Detectors:
    detectors: Detectors = request.app.state.detectors
    return detectors


Detecting = Annotated[Detectors, Depends(_detectors)]


@router.post(
    FACE_DETECT,
    summary="Find faces",
    response_description="The faces, with the numbers that a face swap takes.",
    responses=error_answers(400, 401, 408, 413, 415, 429, 500, 503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _JSON}, "multipart/form-data": {"schema": _FORM}},
        }
    },
)
async def detect_faces(
    request: Request,
    shared: Shared,
    detectors: Detecting,
    account_id: AccountId,
    request_id: RequestId,
) -> FacesAnswer:
    """Find the faces of a picture, in the order that a face swap counts them in. Costs nothing."""
    wanted = await read_body(request, FaceDetectRequest, max_text=shared.settings.max_body_bytes)
    return await find_faces(shared, detectors, account_id, request_id, wanted)


async def find_faces(
    resources: Resources, detectors: Detectors, account_id: UUID, request_id: str, wanted: FaceDetectRequest
) -> FacesAnswer:
    """The answer to a request of an account. Raises `InvalidRequest`, `PayloadTooLarge` and `Unavailable`."""
    async with detectors.place():
        try:
            picture = await inputs.read(resources, account_id, "image", wanted.image)
            found = await detectors.detect(picture, annotate=wanted.annotate, log={"request_id": request_id})
        except TaskError as error:
            raise refusal_of_picture(error) from None
    return await _answer(resources, found)


async def _answer(resources: Resources, found: Found) -> FacesAnswer:
    faces = [FaceFound(index=index, **face) for index, face in enumerate(found.picture["faces"])]
    annotated = await _keep(resources, found.annotated) if found.annotated else None
    return FacesAnswer(data=FacesData(**found.picture | {"faces": faces}, annotated=annotated))


async def _keep(resources: Resources, picture: bytes) -> schemas.Annotated:
    key = f"{PREFIX}{uuid4().hex}/faces.jpg"
    expires_at = datetime.now(UTC).replace(microsecond=0) + KEPT
    await objects.put(resources.store, key, picture)
    path = signed_path(key, expires_at, resources.secret)
    return schemas.Annotated(image_url=resources.settings.public_url + path, expires_at=expires_at)

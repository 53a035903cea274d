"""The endpoints of administrators: the do-not-swap list, and the trail of who made what."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from mien.http.bodies import read_body
from mien.http.dependencies import (
    Administrator,
    Cursor,
    Limit,
    RequestId,
    Shared,
    bearer,
    only_known_parameters,
)
from mien.http.errors import error_answers
from mien.safety import registry, trail
from mien.safety.endpoints import FaceId, Reader, read_face
from mien.safety.schemas import (
    DoNotSwapAddition,
    ListedPage,
    ListedPageAnswer,
    NewListedFaceAnswer,
    TrailPage,
    TrailPageAnswer,
    TrailQuery,
    body_of,
    entry_data,
    listed_data,
    unfold,
)

PREFIX = "/api/v1/admin"
DO_NOT_SWAP = f"{PREFIX}/do-not-swap"

router = APIRouter(tags=["administration"], dependencies=[Depends(bearer)])


@router.get(
    DO_NOT_SWAP,
    summary="List faces that aren't swapped",
    dependencies=[only_known_parameters],
    responses=error_answers(400, 401, 403, 413, 500, 503),
)
async def list_faces(
    shared: Shared, _: Administrator, limit: Limit = 20, cursor: Cursor = None
) -> ListedPageAnswer:
    """When and by whom faces were put on the do-not-swap list, the newest first. Nobody is shown more."""
    async with shared.sessions() as session:
        page = await registry.newest(session, limit=limit, cursor=cursor)
    return ListedPageAnswer(
        data=ListedPage(faces=[listed_data(face) for face in page.rows], next_cursor=page.next_cursor)
    )


@router.post(
    DO_NOT_SWAP,
    summary="Register somebody's face",
    response_description="The face is on the list. The secret that takes it off is shown only now.",
    responses=error_answers(400, 401, 403, 408, 413, 415, 429, 500, 503),
    openapi_extra=body_of(DoNotSwapAddition),
)
async def add_face(
    request: Request,
    response: Response,
    shared: Shared,
    by: Administrator,
    reader: Reader,
    request_id: RequestId,
) -> NewListedFaceAnswer:
    """Put the face of somebody who asked for it on the do-not-swap list."""
    wanted = await read_body(
        request, DoNotSwapAddition, max_text=shared.settings.max_body_bytes, unfold=unfold
    )
    embedding = await read_face(reader, wanted.images, request_id)
    registered = await registry.register_for(shared, embedding, by, wanted.note)
    response.headers["Cache-Control"] = "no-store"
    return NewListedFaceAnswer.of(registered)


@router.delete(
    f"{DO_NOT_SWAP}/{{face_id}}",
    status_code=204,
    summary="Remove somebody's face",
    response_description="The face is off the list, and nothing of it is kept.",
    responses=error_answers(401, 403, 404, 413, 500, 503),
)
async def unlist_face(shared: Shared, by: Administrator, face_id: FaceId) -> Response:
    """Take any face off the do-not-swap list."""
    async with shared.sessions.begin() as session:
        await registry.remove_for(session, face_id, by)
    return Response(status_code=204)


@router.get(
    f"{PREFIX}/trail",
    summary="Find out who made what",
    responses=error_answers(400, 401, 403, 413, 500, 503),
)
async def read_trail(
    shared: Shared, by: Administrator, wanted: Annotated[TrailQuery, Query()]
) -> TrailPageAnswer:
    """Entries of the trail, what ended last first. Reading it leaves a line in the audit log."""
    digest = trail.client_digest(shared, wanted.client) if wanted.client else None
    chosen = wanted.model_dump(exclude={"limit", "cursor", "client"})
    found = trail.TrailFilter(**chosen, client=digest)
    async with shared.sessions.begin() as session:
        page = await trail.newest(session, found, limit=wanted.limit, cursor=wanted.cursor)
        await trail.note_reading(session, by, found)
    return TrailPageAnswer(
        data=TrailPage(entries=[entry_data(entry) for entry in page.rows], next_cursor=page.next_cursor)
    )

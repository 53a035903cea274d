"""What the tester needs of the API, for people without an account: below `/demo` instead of `/api/v1`.

These addresses take neither keys nor sessions, and the cookie that they give works nowhere else.
"""

from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from mien.accounts.demo import DEMO_ACCOUNT
from mien.accounts.tokens import new_token
from mien.detection.endpoints import Detecting, find_faces
from mien.detection.schemas import FaceDetectRequest, FacesAnswer
from mien.errors import NotFound
from mien.http import sessions
from mien.http.bodies import read_body
from mien.http.clients import ClientAddress
from mien.http.dependencies import RequestId, Shared
from mien.tasks import endpoints as tasks
from mien.tasks import forms
from mien.tasks.endpoints import LastEventId, Watching
from mien.tasks.preferences import MAX_WAIT
from mien.tasks.requests import FaceSwapRequest
from mien.tasks.schemas import AcceptedAnswer, TaskAnswer, accepted_answer
from mien.web.demo import service

FACE_SWAP = "/demo/images/tools/face-swap"
FACE_DETECT = "/demo/images/tools/face-detect"
TASK = "/demo/tasks/{task_id}"
COOKIE = "mien_demo"
MAX_BODY = 24_000_000
"""Bytes of one request: some pictures as phones take them."""


async def _is_open(request: Request, shared: Shared) -> None:
    if not shared.settings.demo:
        raise NotFound("There is no demo here.")
    sessions.check_origin(request.headers, shared.settings.public_url)


async def _visitor(request: Request) -> UUID | None:
    token = request.cookies.get(COOKIE)
    return service.visitor_id(token) if token else None


Visitor = Annotated[UUID | None, Depends(_visitor)]

router = APIRouter(include_in_schema=False, dependencies=[Depends(_is_open)])


@router.post(FACE_SWAP)
async def try_face_swap(
    request: Request,
    response: Response,
    shared: Shared,
    client: ClientAddress,
    visitor: Visitor,
    request_id: RequestId,
) -> AcceptedAnswer:
    """Create a task, and tell the browser apart from others by a cookie from then on."""
    wanted = await read_body(request, FaceSwapRequest, max_text=MAX_BODY, unfold=forms.unfold)
    if visitor is None:
        token = new_token()
        visitor = service.visitor_id(token)
        _set_cookie(response, shared.settings.public_url, token)
    return accepted_answer(await service.create(shared, visitor, client, request_id, wanted))


@router.post(FACE_DETECT)
async def try_face_detect(
    request: Request, shared: Shared, client: ClientAddress, detectors: Detecting, request_id: RequestId
) -> FacesAnswer:
    """Find the faces of a picture."""
    wanted = await read_body(request, FaceDetectRequest, max_text=MAX_BODY)
    service.check_pictures(shared.settings, {"image": wanted.image})
    await service.count_look(shared, client)
    return await find_faces(shared, detectors, DEMO_ACCOUNT, request_id, wanted)


@router.get(TASK)
async def read_own_task(
    shared: Shared,
    visitor: Visitor,
    watch: Watching,
    task_id: str,
    wait: Annotated[float, Query(ge=0, le=MAX_WAIT)] = 0,
) -> TaskAnswer:
    """How a task of this browser stands."""
    await service.check_own(shared, visitor, task_id)
    return await tasks.read_task(shared, DEMO_ACCOUNT, watch, task_id, wait)


@router.post(f"{TASK}/cancel")
async def cancel_own_task(shared: Shared, visitor: Visitor, task_id: str) -> TaskAnswer:
    """Cancel a task of this browser."""
    await service.check_own(shared, visitor, task_id)
    return await tasks.cancel_task(shared, DEMO_ACCOUNT, task_id)


@router.get(f"{TASK}/events")
async def follow_own_task(
    shared: Shared, visitor: Visitor, watch: Watching, task_id: str, last_event_id: LastEventId = None
) -> Response:
    """The stages of a task of this browser."""
    await service.check_own(shared, visitor, task_id)
    return await tasks.follow_task(shared, DEMO_ACCOUNT, watch, task_id, last_event_id)


def _set_cookie(response: Response, public_url: str, token: str) -> None:
    parts = urlsplit(public_url)
    response.set_cookie(
        COOKIE,
        token,
        max_age=24 * 3600,
        path=parts.path or "/",
        secure=parts.scheme == "https",
        httponly=True,
        samesite="strict",
    )

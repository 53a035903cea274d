"""The page that checks where a picture comes from, for everybody: who shows pictures to others must be asked
nothing for finding out."""

from datetime import timedelta
from typing import Final

from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from mien.accounts import throttle
from mien.accounts.throttle import Allowance
from mien.errors import ApiError, InvalidRequest, TaskError
from mien.http import sessions
from mien.http.clients import ClientAddress
from mien.http.dependencies import RequestId, Shared
from mien.http.errors import refusal_of_picture
from mien.origin import service
from mien.origin.endpoints import Checking
from mien.origin.schemas import OriginData
from mien.web.pages import render
from mien.web.visitors import visitor_of

CHECK_ORIGIN: Final = "/check-origin"

router = APIRouter(include_in_schema=False)

_TRIES: Final = Allowance(60, timedelta(hours=1))
"""Of one address, since each takes a second of a core; of people who are signed in nothing is counted."""


@router.api_route(CHECK_ORIGIN, methods=["GET", "HEAD"])
async def page(request: Request) -> Response:
    """Ask for a picture."""
    return await _show(request)


@router.post(CHECK_ORIGIN)
async def check(
    request: Request, shared: Shared, checkers: Checking, client: ClientAddress, request_id: RequestId
) -> Response:
    """Say what was found, or why nothing could be looked for."""
    sessions.check_origin(request.headers, shared.settings.public_url)
    visitor = await visitor_of(request)
    try:
        if visitor is None:
            await throttle.take(shared.sessions, {f"origin check from {client}": _TRIES})
        picture = await _picture(request)
        async with checkers.place():
            asker = visitor.principal if visitor else None
            found = await service.check(shared, checkers, picture, asker, request_id)
    except TaskError as error:
        return await _show(request, refusal=refusal_of_picture(error))
    except ApiError as error:
        return await _show(request, refusal=error)
    return await _show(request, found=found)


async def _picture(request: Request) -> bytes:
    async with request.form(max_files=1, max_fields=1) as form:
        file = form.get("image")
        data = await file.read() if isinstance(file, UploadFile) else b""
    if not data:
        raise InvalidRequest("Choose a picture first.", param="image")
    return data


async def _show(
    request: Request, *, found: OriginData | None = None, refusal: ApiError | None = None
) -> Response:
    return await render(
        request,
        "check-origin.html",
        status=refusal.status if refusal else 200,
        found=found,
        problem=refusal.message if refusal else "",
    )

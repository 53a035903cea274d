"""The page of faces that aren't swapped: when they came, by whom, and the way off the list."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from mien.http.dependencies import Cursor, Shared
from mien.safety import registry
from mien.safety.endpoints import FaceId
from mien.web.forms import AdministratorsForm, go, show, turning
from mien.web.visitors import SignedInAdministrator

router = APIRouter(include_in_schema=False)

_LIST = "/administration/do-not-swap"
_PER_PAGE = 50


@router.get(_LIST)
async def list_faces(
    request: Request, shared: Shared, _: SignedInAdministrator, cursor: Cursor = None
) -> Response:
    """Who is on the list, the newest first; nobody is shown a face."""
    async with shared.sessions() as session:
        page = await registry.newest(session, limit=_PER_PAGE, cursor=cursor)
    return await show(
        request, "administration/do-not-swap.html", faces=page.rows, **turning(_LIST, page, cursor)
    )


@router.post(f"{_LIST}/{{face_id}}/remove")
async def unlist_face(
    request: Request, shared: Shared, form: AdministratorsForm, face_id: FaceId
) -> Response:
    """Take a face off the list."""
    async with shared.sessions.begin() as session:
        await registry.remove_for(session, face_id, form.visitor.principal)
    return go(request, _LIST, "unlisted")

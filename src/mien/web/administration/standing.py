"""The page of how the service stands: queue, workers, failures."""

from datetime import timedelta

from fastapi import APIRouter, Request
from starlette.responses import Response

from mien.http.dependencies import Shared
from mien.tasks import standing
from mien.web.forms import show
from mien.web.visitors import SignedInAdministrator

router = APIRouter(include_in_schema=False)

_LATELY = timedelta(days=7)


@router.get("/administration")
async def read_standing(request: Request, shared: Shared, _: SignedInAdministrator) -> Response:
    """Who works, what waits, and what fails."""
    async with shared.sessions() as session:
        return await show(
            request,
            "administration/standing.html",
            queue=await standing.queue(session),
            workers=await standing.workers(session),
            ended=await standing.ended(session, _LATELY),
            failures=await standing.failures(session, _LATELY),
            lately=_LATELY,
        )

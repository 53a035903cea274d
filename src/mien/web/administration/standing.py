"""The page of how the service stands: queue, workers, storage, failures."""

from datetime import timedelta

from fastapi import APIRouter, Request
from starlette.responses import Response

from mien.http.dependencies import Shared
from mien.tasks import standing
from mien.web.forms import show
from mien.web.visitors import SignedInAdministrator

router = APIRouter(include_in_schema=False)

_DAYS = (1, 7, 30)
_DEFAULT_DAYS = 7


@router.get("/administration")
async def read_standing(
    request: Request, shared: Shared, _: SignedInAdministrator, days: str = ""
) -> Response:
    """Who works, what waits, what is stored, and what failed in so many days."""
    chosen = int(days) if days in map(str, _DAYS) else _DEFAULT_DAYS
    lately = timedelta(days=chosen)
    async with shared.sessions() as session:
        return await show(
            request,
            "administration/standing.html",
            queue=await standing.queue(session),
            workers=await standing.workers(session),
            ended=await standing.ended(session, lately),
            failures=await standing.failures(session, lately),
            storage=await standing.storage(session),
            days=chosen,
            choices=_DAYS,
        )

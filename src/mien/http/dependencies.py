"""What endpoints ask for."""

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Path, Query, Request
from fastapi.security import HTTPBearer

from mien.errors import InvalidRequest, NotFound, PermissionDenied
from mien.http.principal import Principal
from mien.resources import Resources

# All are async, since FastAPI sends plain functions through a thread pool.

# For the document only: the middleware has checked the key before anything is parsed.
bearer = HTTPBearer(auto_error=False, description="An API key.")


async def _resources(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


async def _principal(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


async def _administrator(request: Request) -> Principal:
    principal = await _principal(request)
    if not principal.is_administrator:
        raise PermissionDenied("This is for administrators, by a key without limits of its own.")
    return principal


async def _account_id(request: Request) -> UUID:
    return (await _principal(request)).account_id


async def _request_id(request: Request) -> str:
    request_id: str = request.state.request_id
    return request_id


async def _only_known_parameters(request: Request) -> None:
    known = [parameter.alias for parameter in request.scope["route"].dependant.query_params]
    for name in request.query_params:
        if name not in known:
            listed = ", ".join(f"`{each}`" for each in known)
            raise InvalidRequest(
                f"`{name}` is not a parameter of this address. It takes {listed}.", param=name
            )


only_known_parameters = Depends(_only_known_parameters)
"""Of lists and sums, where a filter that is misspelt would give too much without a word."""


def path_id(name: str, missing: Callable[[], NotFound]) -> Any:
    """The id in the part `name` of the path. What is no id names nothing: then `missing()` is raised."""

    async def read(text: Annotated[str, Path(alias=name)]) -> UUID:
        try:
            return UUID(text)
        except ValueError:
            raise missing() from None

    return Depends(read)


Shared = Annotated[Resources, Depends(_resources)]
Caller = Annotated[Principal, Depends(_principal)]
Administrator = Annotated[Principal, Depends(_administrator)]
AccountId = Annotated[UUID, Depends(_account_id)]
RequestId = Annotated[str, Depends(_request_id)]
Limit = Annotated[int, Query(ge=1, le=100, description="How many at most.")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before.")]

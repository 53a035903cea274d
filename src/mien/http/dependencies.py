"""What endpoints ask for."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from mien.errors import PermissionDenied
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


Shared = Annotated[Resources, Depends(_resources)]
Caller = Annotated[Principal, Depends(_principal)]
Administrator = Annotated[Principal, Depends(_administrator)]
AccountId = Annotated[UUID, Depends(_account_id)]
RequestId = Annotated[str, Depends(_request_id)]

"""Who looks at a page: nobody known, somebody signed in, or an administrator."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, HTTPException, Request
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mien.accounts import people
from mien.accounts.models import Account
from mien.errors import PermissionDenied, Unavailable
from mien.http import sessions
from mien.http.principal import Principal
from mien.resources import Resources
from mien.web.addresses import own_path, path_of


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is signed in."""

    account: Account
    principal: Principal
    csrf_token: str


async def visitor_of(request: Request) -> Visitor | None:
    """Who is signed in by the request's cookie. Asked once per request; raises `Unavailable`."""
    if not hasattr(request.state, "visitor"):
        request.state.visitor = await _find(request)
    found: Visitor | None = request.state.visitor
    return found


async def _find(request: Request) -> Visitor | None:
    resources: Resources = request.app.state.resources
    token = sessions.session_token(request.headers, resources.settings.public_url)
    if token is None:
        return None
    try:
        async with resources.sessions() as session:
            principal = await people.resume(session, resources.settings, token)
            found = await people.find_session(session, token) if principal else None
    except (OperationalError, PoolTimeout):
        raise Unavailable("The database can't be reached or is busy. Try again in a moment.") from None
    return Visitor(found.account, principal, sessions.csrf_token(token)) if principal and found else None


async def _signed_in(request: Request) -> Visitor:
    visitor = await visitor_of(request)
    if visitor is None:
        here = quote(path_of(request), safe="")
        raise HTTPException(303, headers={"Location": own_path(request, f"/sign-in?to={here}")})
    return visitor


def check_administrator(visitor: Visitor) -> None:
    """Raises `PermissionDenied` for everybody else."""
    if not visitor.account.is_administrator:
        raise PermissionDenied("This page is for administrators.")


async def _administrator(request: Request) -> Visitor:
    visitor = await _signed_in(request)
    check_administrator(visitor)
    return visitor


SignedIn = Annotated[Visitor, Depends(_signed_in)]
"""For pages of people who are signed in: all others are led to `/sign-in` and back."""

SignedInAdministrator = Annotated[Visitor, Depends(_administrator)]
"""For pages of administrators."""

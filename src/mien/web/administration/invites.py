"""The page of people who want to come in: invites, and links for those who forgot their password."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from mien.accounts import invites, letters, resets
from mien.accounts.resets import ShownReset
from mien.accounts.schemas import InviteRequest
from mien.errors import ApiError
from mien.http.dependencies import Shared, path_id
from mien.resources import Resources
from mien.web.forms import AdministratorsForm, Form, go, show
from mien.web.visitors import SignedInAdministrator

router = APIRouter(include_in_schema=False)

_INVITES = "/administration/invites"

ResetId = Annotated[UUID, path_id("reset_id", resets.no_such_reset)]
InviteId = Annotated[UUID, path_id("invite_id", invites.no_such_invite)]


@router.get(_INVITES)
async def list_invites(request: Request, shared: Shared, _: SignedInAdministrator) -> Response:
    """Invites that can still be used, and who waits for a link."""
    return await _invites_page(request, shared)


@router.post(_INVITES)
async def create_invite(request: Request, shared: Shared, form: AdministratorsForm) -> Response:
    """Invite somebody. The page that answers is the only one that shows the link."""
    try:
        wanted = form.read(InviteRequest)
        async with shared.sessions.begin() as session:
            invite = await invites.create(session, shared, wanted.email, form.visitor.principal)
            await invites.mail_link(session, shared, invite)
    except ApiError as refusal:
        return await _invites_page(request, shared, refusal=refusal, form=form)
    link = invites.link(shared, invite)
    return await _invites_page(request, shared, link=link, email=wanted.email)


@router.post(f"{_INVITES}/{{invite_id}}/withdraw")
async def withdraw_invite(
    request: Request, shared: Shared, form: AdministratorsForm, invite_id: InviteId
) -> Response:
    """Let an invite work no more."""
    async with shared.sessions.begin() as session:
        await invites.withdraw(session, invite_id, form.visitor.principal)
    return go(request, _INVITES, "withdrawn")


@router.post("/administration/password-resets/{reset_id}/show")
async def show_reset(
    request: Request, shared: Shared, form: AdministratorsForm, reset_id: ResetId
) -> Response:
    """Show the link that somebody waits for. Only the page that answers does."""
    async with shared.sessions.begin() as session:
        shown = await resets.reveal(session, shared, reset_id, form.visitor.principal)
    return await _invites_page(request, shared, shown_reset=shown)


async def _invites_page(
    request: Request,
    shared: Resources,
    *,
    refusal: ApiError | None = None,
    form: Form | None = None,
    link: str = "",
    email: str | None = None,
    shown_reset: ShownReset | None = None,
) -> Response:
    async with shared.sessions() as session:
        waiting = await invites.list_open(session)
        forgotten = await resets.list_open(session, shared)
        unsent = await letters.list_unsent(session)
    return await show(
        request,
        "administration/invites.html",
        refusal=refusal,
        form=form,
        is_secret=True,  # links that open an account
        invites=waiting,
        resets=forgotten,
        unsent=unsent,
        link=link,
        email=email,
        shown_reset=shown_reset,
    )

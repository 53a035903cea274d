"""The endpoints of administrators: accounts, invites, and people who forgot their passwords."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Depends, Query, Request, Response

from mien.accounts import invites, mail, people, resets, service
from mien.accounts.endpoints import json_body
from mien.accounts.schemas import (
    AccountAnswer,
    AccountChange,
    AccountList,
    AccountListAnswer,
    InviteList,
    InviteListAnswer,
    InviteRequest,
    NewInviteAnswer,
    ResetList,
    ResetListAnswer,
    account_data,
    invite_data,
    new_invite_answer,
    reset_data,
)
from mien.errors import Conflict, NotFound
from mien.http.bodies import read_json
from mien.http.dependencies import Administrator, Shared, bearer
from mien.http.errors import error_answers

router = APIRouter(prefix="/api/v1/admin", tags=["administration"], dependencies=[Depends(bearer)])

_INVITATION = """You are invited to {public_url}. Choose a password within a week:

{link}
"""

Limit = Annotated[int, Query(ge=1, le=200, description="How many at most.")]
Before = Annotated[UUID | None, Query(description="Only those after the one with this id: `next` of a page.")]


async def _account_id(account_id: str) -> UUID:
    return _uuid(account_id, "There is no such account.", "account_id")


async def _invite_id(invite_id: str) -> UUID:
    return _uuid(invite_id, "There is no such invite.", "invite_id")


@router.get("/accounts", summary="List accounts", responses=error_answers(400, 401, 403, 413, 500, 503))
async def list_accounts(
    shared: Shared, _: Administrator, limit: Limit = 50, before: Before = None
) -> AccountListAnswer:
    """All accounts, the newest first."""
    async with shared.sessions() as session:
        found = await service.list_accounts(session, limit=limit, before=before)
    accounts = [account_data(account) for account in found]
    return AccountListAnswer(
        data=AccountList(accounts=accounts, next=accounts[-1].account_id if len(accounts) == limit else None)
    )


@router.patch(
    "/accounts/{account_id}",
    summary="Change an account",
    responses=error_answers(400, 401, 403, 404, 408, 409, 413, 415, 500, 503),
    openapi_extra=json_body(AccountChange),
)
async def change_account(
    request: Request,
    shared: Shared,
    caller: Administrator,
    account_id: Annotated[UUID, Depends(_account_id)],
) -> AccountAnswer:
    """Disable an account or enable it again, or change its limits; at once."""
    wanted = await read_json(request, AccountChange)
    changes = wanted.model_dump(exclude_unset=True)
    disabled = changes.pop("disabled", None)
    if disabled and account_id == caller.account_id:
        raise Conflict("You would lock yourself out: disable your own account with `mien accounts disable`.")
    async with shared.sessions.begin() as session:
        account = await service.update_account(session, account_id, changes)
        if disabled is not None:
            await people.set_disabled(session, account, disabled)
    return AccountAnswer(data=account_data(account))


@router.get("/invites", summary="List invites", responses=error_answers(401, 403, 413, 500, 503))
async def list_invites(shared: Shared, _: Administrator) -> InviteListAnswer:
    """Those that can still be used, the newest first."""
    async with shared.sessions() as session:
        found = await invites.list_open(session)
    return InviteListAnswer(data=InviteList(invites=[invite_data(invite) for invite in found]))


@router.post(
    "/invites",
    summary="Invite somebody",
    response_description="The invite's link, which is shown only now.",
    responses=error_answers(400, 401, 403, 408, 409, 413, 415, 500, 503),
    openapi_extra=json_body(InviteRequest),
)
async def create_invite(
    request: Request, response: Response, shared: Shared, _: Administrator, afterwards: BackgroundTasks
) -> NewInviteAnswer:
    """Make a link that lets one person sign up within a week."""
    wanted = await read_json(request, InviteRequest)
    settings = shared.settings
    async with shared.sessions.begin() as session:
        invite, token = await invites.create(session, settings, wanted.email)
    if wanted.email and settings.smtp_url:
        text = _INVITATION.format(public_url=settings.public_url, link=invites.link(settings, token))
        afterwards.add_task(mail.send, settings, wanted.email, "You are invited", text)
    response.headers["Cache-Control"] = "no-store"
    return new_invite_answer(settings, invite, token)


@router.delete(
    "/invites/{invite_id}",
    status_code=204,
    summary="Withdraw an invite",
    response_description="Its link doesn't work any more.",
    responses=error_answers(401, 403, 404, 413, 500, 503),
)
async def withdraw_invite(
    shared: Shared, _: Administrator, invite_id: Annotated[UUID, Depends(_invite_id)]
) -> Response:
    """Let an invite work no more."""
    async with shared.sessions.begin() as session:
        await invites.withdraw(session, invite_id)
    return Response(status_code=204)


@router.get(
    "/password-resets",
    summary="List links that reset passwords",
    responses=error_answers(401, 403, 413, 500, 503),
)
async def list_password_resets(shared: Shared, response: Response, _: Administrator) -> ResetListAnswer:
    """Who forgot a password and waits for a link, where no mail can be sent."""
    async with shared.sessions() as session:
        found = await resets.list_open(session, shared)
    response.headers["Cache-Control"] = "no-store"
    return ResetListAnswer(data=ResetList(password_resets=[reset_data(waiting) for waiting in found]))


def _uuid(text: str, otherwise: str, param: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(otherwise, param=param) from None

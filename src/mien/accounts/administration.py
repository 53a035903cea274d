"""The endpoints of administrators: accounts, invites, and people who forgot their passwords."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from mien.accounts import invites, people, resets, service
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
from mien.http.bodies import json_body, read_json
from mien.http.dependencies import (
    Administrator,
    Cursor,
    Limit,
    Shared,
    bearer,
    only_known_parameters,
    path_id,
)
from mien.http.errors import error_answers

router = APIRouter(prefix="/api/v1/admin", tags=["administration"], dependencies=[Depends(bearer)])

OfAccount = Annotated[UUID, path_id("account_id", service.no_such_account)]
OfInvite = Annotated[UUID, path_id("invite_id", invites.no_such_invite)]


@router.get(
    "/accounts",
    summary="List accounts",
    dependencies=[only_known_parameters],
    responses=error_answers(400, 401, 403, 413, 500, 503),
)
async def list_accounts(
    shared: Shared, _: Administrator, limit: Limit = 20, cursor: Cursor = None
) -> AccountListAnswer:
    """All accounts, the newest first."""
    async with shared.sessions() as session:
        page = await service.list_accounts(session, limit=limit, cursor=cursor)
    accounts = [account_data(account) for account in page.rows]
    return AccountListAnswer(data=AccountList(accounts=accounts, next_cursor=page.next_cursor))


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
    account_id: OfAccount,
) -> AccountAnswer:
    """Disable an account or enable it again, or change its limits; at once."""
    wanted = await read_json(request, AccountChange)
    changes = wanted.model_dump(exclude_unset=True)
    enabled = changes.pop("enabled", None)
    if enabled is False:
        people.check_not_own(caller, account_id)
    async with shared.sessions.begin() as session:
        account = await service.change_limits(session, account_id, changes, caller)
        if enabled is not None:
            await people.set_disabled(session, account, not enabled, caller)
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
    request: Request, response: Response, shared: Shared, caller: Administrator
) -> NewInviteAnswer:
    """Make a link that lets one person sign up within a week."""
    wanted = await read_json(request, InviteRequest)
    async with shared.sessions.begin() as session:
        invite = await invites.create(session, shared, wanted.email, caller)
        await invites.mail_link(session, shared, invite)
    response.headers["Cache-Control"] = "no-store"
    return new_invite_answer(shared, invite)


@router.delete(
    "/invites/{invite_id}",
    status_code=204,
    summary="Withdraw an invite",
    response_description="Its link doesn't work any more.",
    responses=error_answers(401, 403, 404, 413, 500, 503),
)
async def withdraw_invite(shared: Shared, caller: Administrator, invite_id: OfInvite) -> Response:
    """Let an invite work no more."""
    async with shared.sessions.begin() as session:
        await invites.withdraw(session, invite_id, caller)
    return Response(status_code=204)


@router.get(
    "/password-resets",
    summary="List links that reset passwords",
    responses=error_answers(401, 403, 413, 500, 503),
)
async def list_password_resets(shared: Shared, response: Response, caller: Administrator) -> ResetListAnswer:
    """Who forgot a password and waits for a link, where no mail can be sent."""
    async with shared.sessions.begin() as session:
        found = await resets.reveal_all(session, shared, caller)
    response.headers["Cache-Control"] = "no-store"
    return ResetListAnswer(data=ResetList(password_resets=[reset_data(shown) for shown in found]))

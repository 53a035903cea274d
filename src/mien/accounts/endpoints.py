"""The endpoints of sign-in, keys, and an account's settings."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Depends, Request, Response

from mien.accounts import people, resets, service
from mien.accounts.people import Session
from mien.accounts.schemas import (
    AccountSettingsAnswer,
    AccountSettingsChange,
    KeyAnswer,
    KeyChange,
    KeyList,
    KeyListAnswer,
    KeyRequest,
    NewKeyAnswer,
    PasswordChange,
    ResetConfirmation,
    ResetRequest,
    SessionAnswer,
    SignInRequest,
    SignUpRequest,
    account_settings_answer,
    key_data,
    new_key_answer,
    session_answer,
)
from mien.errors import AuthenticationError, InvalidRequest, PermissionDenied
from mien.http import sessions
from mien.http.bodies import json_body, read_json
from mien.http.clients import ClientAddress
from mien.http.dependencies import Caller, Shared, bearer, path_id
from mien.http.errors import error_answers
from mien.resources import Resources

AUTH = "/api/v1/auth"
KEYS = "/api/v1/keys"
OPEN_PATHS = frozenset(
    f"{AUTH}/{path}" for path in ("sign-up", "sign-in", "password-reset", "password-reset/confirm")
)
"""Those that need neither key nor session."""

open_router = APIRouter(prefix=AUTH, tags=["sign-in"])
router = APIRouter(dependencies=[Depends(bearer)])


# Sign-in --------------------------------------------------------------------------------------------------


@open_router.post(
    "/sign-up",
    summary="Sign up",
    response_description="There is an account, and its person is signed in by the cookie.",
    responses=error_answers(400, 403, 408, 409, 413, 415, 429, 500, 503),
    openapi_extra=json_body(SignUpRequest),
)
async def sign_up(
    request: Request, response: Response, shared: Shared, client: ClientAddress
) -> SessionAnswer:
    """Make an account with an e-mail address and a password, where the operator lets you."""
    wanted = await read_json(request, SignUpRequest)
    session = await people.sign_up(
        shared, wanted.email, wanted.password, name=wanted.name or "", invite=wanted.invite, client=client
    )
    return _signed_in(response, shared, session)


@open_router.post(
    "/sign-in",
    summary="Sign in",
    response_description="The person is signed in by the cookie.",
    responses=error_answers(400, 401, 403, 408, 413, 415, 429, 500, 503),
    openapi_extra=json_body(SignInRequest),
)
async def sign_in(
    request: Request, response: Response, shared: Shared, client: ClientAddress
) -> SessionAnswer:
    """Sign in with e-mail address and password. The answer is the same whichever of them is wrong."""
    wanted = await read_json(request, SignInRequest)
    session = await people.sign_in(shared, wanted.email, wanted.password, client=client)
    return _signed_in(response, shared, session)


@open_router.post(
    "/password-reset",
    status_code=202,
    response_class=Response,
    summary="Ask for a link that resets the password",
    response_description="If there is such an account, the link is on its way.",
    responses=error_answers(400, 403, 408, 413, 415, 429, 500, 503),
    openapi_extra=json_body(ResetRequest),
)
async def request_reset(
    request: Request, shared: Shared, client: ClientAddress, afterwards: BackgroundTasks
) -> Response:
    """Ask for a link by mail. The answer is the same whether or not the address is known."""
    wanted = await read_json(request, ResetRequest)
    await resets.check_tries(shared, wanted.email, client)
    afterwards.add_task(resets.request, shared, wanted.email)
    return Response(status_code=202, background=afterwards)


@open_router.post(
    "/password-reset/confirm",
    status_code=204,
    summary="Reset the password",
    response_description="The account has the new password, and nobody is signed in to it.",
    responses=error_answers(400, 401, 403, 408, 413, 415, 429, 500, 503),
    openapi_extra=json_body(ResetConfirmation),
)
async def confirm_reset(request: Request, shared: Shared, client: ClientAddress) -> Response:
    """Choose a new password with the token of the link."""
    wanted = await read_json(request, ResetConfirmation)
    await resets.confirm(shared, wanted.token, wanted.new_password, client=client)
    return Response(status_code=204)


async def _token(request: Request, shared: Shared, caller: Caller) -> str:
    token = sessions.session_token(request.headers, shared.settings.public_url)
    if caller.key_id or token is None:
        raise PermissionDenied("This is for people who are signed in; a key can't do it.")
    return token


SessionToken = Annotated[str, Depends(_token)]


@router.get(
    f"{AUTH}/session",
    tags=["sign-in"],
    summary="Who is signed in?",
    responses=error_answers(401, 403, 413, 500, 503),
)
async def read_session(shared: Shared, token: SessionToken) -> SessionAnswer:
    """Who is signed in by the cookie, and the session's CSRF token."""
    async with shared.sessions() as session:
        found = await people.find_session(session, token)
    if found is None:
        raise AuthenticationError("The session has ended. Sign in again.")
    return session_answer(found)


@router.post(
    f"{AUTH}/sign-out",
    tags=["sign-in"],
    status_code=204,
    summary="Sign out",
    response_description="The session has ended.",
    responses=error_answers(401, 403, 413, 500, 503),
)
async def sign_out(shared: Shared, token: SessionToken) -> Response:
    """End the session that the cookie holds."""
    async with shared.sessions.begin() as session:
        await people.sign_out(session, token)
    response = Response(status_code=204)
    sessions.delete_cookie(response, shared.settings.public_url)
    return response


@router.post(
    f"{AUTH}/password",
    tags=["sign-in"],
    summary="Change the password",
    response_description="All sessions have ended; this browser has a new one.",
    responses=error_answers(400, 401, 403, 408, 409, 413, 415, 429, 500, 503),
    openapi_extra=json_body(PasswordChange),
    dependencies=[Depends(_token)],
)
async def change_password(
    request: Request, response: Response, shared: Shared, caller: Caller, client: ClientAddress
) -> SessionAnswer:
    """Give the account another password, and sign its person out everywhere else."""
    wanted = await read_json(request, PasswordChange)
    session = await people.change_password(
        shared, caller.account_id, wanted.current_password, wanted.new_password, client=client
    )
    return _signed_in(response, shared, session)


def _signed_in(response: Response, shared: Resources, session: Session) -> SessionAnswer:
    sessions.set_cookie(response, shared.settings.public_url, session.token, session.expires_at)
    response.headers["Cache-Control"] = "no-store"
    return session_answer(session)


# Keys -----------------------------------------------------------------------------------------------------


KeyId = Annotated[UUID, path_id("key_id", service.no_such_key)]


@router.get(KEYS, tags=["keys"], summary="List keys", responses=error_answers(401, 413, 500, 503))
async def list_keys(shared: Shared, caller: Caller) -> KeyListAnswer:
    """The account's keys, without the keys themselves."""
    async with shared.sessions() as session:
        keys = await service.list_keys(session, caller.account_id)
    return KeyListAnswer(data=KeyList(keys=[key_data(key) for key in keys]))


@router.post(
    KEYS,
    tags=["keys"],
    summary="Create a key",
    response_description="The key, which is shown only now.",
    responses=error_answers(400, 401, 403, 408, 409, 413, 415, 500, 503),
    openapi_extra=json_body(KeyRequest),
)
async def create_key(request: Request, response: Response, shared: Shared, caller: Caller) -> NewKeyAnswer:
    """Make a key. A key that has limits or an end of its own can't."""
    wanted = await read_json(request, KeyRequest)
    async with shared.sessions.begin() as session:
        key, plain = await service.create_key(session, caller, wanted.model_dump())
    response.headers["Cache-Control"] = "no-store"
    return new_key_answer(key, plain)


@router.patch(
    f"{KEYS}/{{key_id}}",
    tags=["keys"],
    summary="Change a key",
    responses=error_answers(400, 401, 403, 404, 408, 413, 415, 500, 503),
    openapi_extra=json_body(KeyChange),
)
async def change_key(request: Request, shared: Shared, caller: Caller, key_id: KeyId) -> KeyAnswer:
    """Change a key's name, limits or end; they count from the next request on."""
    wanted = await read_json(request, KeyChange)
    async with shared.sessions.begin() as session:
        key = await service.update_key(session, caller, key_id, wanted.model_dump(exclude_unset=True))
    return KeyAnswer(data=key_data(key))


@router.delete(
    f"{KEYS}/{{key_id}}",
    tags=["keys"],
    status_code=204,
    summary="Revoke a key",
    response_description="The key doesn't work any more.",
    responses=error_answers(401, 403, 404, 413, 500, 503),
)
async def revoke_key(shared: Shared, caller: Caller, key_id: KeyId) -> Response:
    """Let a key work no more, at once and for good. A key may always revoke itself."""
    async with shared.sessions.begin() as session:
        await service.revoke_key(session, caller, key_id)
    return Response(status_code=204)


# An account's settings ------------------------------------------------------------------------------------


@router.get(
    "/api/v1/account/settings",
    tags=["account"],
    summary="Read the account's settings",
    responses=error_answers(401, 413, 500, 503),
)
async def read_account_settings(shared: Shared, caller: Caller) -> AccountSettingsAnswer:
    """What the account has chosen."""
    async with shared.sessions() as session:
        account = await service.find_account(session, caller.account_id)
    return account_settings_answer(shared.settings, account)


@router.patch(
    "/api/v1/account/settings",
    tags=["account"],
    summary="Change the account's settings",
    responses=error_answers(400, 401, 403, 408, 413, 415, 500, 503),
    openapi_extra=json_body(AccountSettingsChange),
)
async def change_account_settings(request: Request, shared: Shared, caller: Caller) -> AccountSettingsAnswer:
    """Change the account's name, or how long its results are kept."""
    wanted = await read_json(request, AccountSettingsChange)
    service.check_unrestricted(caller)
    most = shared.settings.result_retention
    if wanted.retention_seconds and wanted.retention_seconds > most.total_seconds():
        raise InvalidRequest(
            f"`retention_seconds`: results are kept for at most {most.total_seconds():.0f} seconds here.",
            param="retention_seconds",
        )
    changes: dict[str, Any] = wanted.model_dump(include={"name"}, exclude_unset=True)
    if "retention_seconds" in wanted.model_fields_set:
        seconds = wanted.retention_seconds
        changes["retention"] = timedelta(seconds=seconds) if seconds else None
    async with shared.sessions.begin() as session:
        account = await service.update_account(session, caller.account_id, changes)
    return account_settings_answer(shared.settings, account)

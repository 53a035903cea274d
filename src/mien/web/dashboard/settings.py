"""The page of an account's settings: its name, how long results are kept, the password, signing out, taking
all along, and leaving."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from mien.accounts import people, service
from mien.accounts.schemas import AccountSettingsChange, PasswordChange
from mien.errors import ApiError, InvalidRequest
from mien.http import sessions
from mien.http.clients import ClientAddress
from mien.http.dependencies import Shared
from mien.privacy import deletion
from mien.privacy.endpoints import exported
from mien.resources import Resources
from mien.web.forms import Form, PostedForm, go, show
from mien.web.pages import render
from mien.web.visitors import SignedIn, Visitor

router = APIRouter(include_in_schema=False)

_SETTINGS = "/dashboard/settings"
_DELETION_PASSWORD = "password_to_delete"  # noqa: S105 - a field's name
_CHOICES = (timedelta(hours=1), *(timedelta(days=days) for days in (1, 3, 7, 14, 30, 90)))


@router.get(_SETTINGS)
async def read_settings(request: Request, shared: Shared, visitor: SignedIn) -> Response:
    """What can be set."""
    return await _settings_page(request, shared, visitor)


@router.post(_SETTINGS)
async def change_settings(request: Request, shared: Shared, form: PostedForm) -> Response:
    """Change the account's name, or how long its results are kept."""
    most = shared.settings.result_retention
    try:
        wanted = form.read(AccountSettingsChange)
        seconds = wanted.retention_seconds
        if not wanted.name:
            raise InvalidRequest("Give the account a name.", param="name")
        if seconds and seconds > most.total_seconds():
            raise InvalidRequest("Results aren't kept for so long here.", param="retention_seconds")
        changes: dict[str, Any] = {
            "name": wanted.name,
            "retention": timedelta(seconds=seconds) if seconds else None,
        }
        async with shared.sessions.begin() as session:
            await service.update_account(session, form.visitor.account.id, changes)
    except ApiError as refusal:
        return await _settings_page(request, shared, form.visitor, refusal=refusal, form=form)
    return go(request, _SETTINGS, "saved")


@router.post(f"{_SETTINGS}/password")
async def change_password(
    request: Request, shared: Shared, client: ClientAddress, form: PostedForm
) -> Response:
    """Change the password, and sign out everywhere else."""
    try:
        # As they were typed: a password may begin or end with a space.
        typed = {name: str(form.data.get(name, "")) for name in PasswordChange.model_fields}
        wanted = form.read(PasswordChange, **typed)
        session = await people.change_password(
            shared, form.visitor.account.id, wanted.current_password, wanted.new_password, client=client
        )
    except ApiError as refusal:
        return await _settings_page(request, shared, form.visitor, refusal=refusal)
    response = go(request, _SETTINGS, "password-changed")
    sessions.set_cookie(response, shared.settings.public_url, session.token, session.expires_at)
    return response


@router.post(f"{_SETTINGS}/export")
async def export_account(request: Request, shared: Shared, form: PostedForm) -> Response:
    """Give all that is kept of the account."""
    try:
        return await exported(shared, form.visitor.account.id)
    except ApiError as refusal:
        return await _settings_page(request, shared, form.visitor, refusal=refusal)


@router.post(f"{_SETTINGS}/delete")
async def delete_account(
    request: Request, shared: Shared, client: ClientAddress, form: PostedForm
) -> Response:
    """Delete the account with all that it owns."""
    account_id = form.visitor.account.id
    typed = str(form.data.get(_DELETION_PASSWORD, ""))
    try:
        await people.check_password(shared, account_id, typed, client=client, param=_DELETION_PASSWORD)
        await deletion.delete(shared, account_id)
    except ApiError as refusal:
        return await _settings_page(request, shared, form.visitor, refusal=refusal)
    response = go(request, "/account-deleted")
    sessions.delete_cookie(response, shared.settings.public_url)
    return response


@router.get("/account-deleted")
async def account_deleted(request: Request) -> Response:
    """Where somebody is who has just deleted their account."""
    return await render(request, "account-deleted.html")


@router.post(f"{_SETTINGS}/sign-out")
async def sign_out(request: Request, shared: Shared, form: PostedForm) -> Response:
    """Sign this browser out, or all of the account's."""
    public_url = shared.settings.public_url
    token = sessions.session_token(request.headers, public_url)
    async with shared.sessions.begin() as session:
        if "everywhere" in form.fields:
            await people.end_sessions(session, form.visitor.account.id)
        elif token:
            await people.sign_out(session, token)
    response = go(request, "/")
    sessions.delete_cookie(response, public_url)
    return response


async def _settings_page(
    request: Request,
    shared: Resources,
    visitor: Visitor,
    *,
    refusal: ApiError | None = None,
    form: Form | None = None,
) -> Response:
    most = shared.settings.result_retention
    own = visitor.account.retention
    choices = {choice for choice in _CHOICES if choice < most} | ({own} if own and own < most else set())
    return await show(
        request,
        "dashboard/settings.html",
        refusal=refusal,
        form=form,
        account=visitor.account,
        most=most,
        choices=sorted(choices),
    )

"""Pages of accounts: all of them, and one that is disabled, limited, or given credits."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from mien.accounts import audit_log, people, service
from mien.accounts.audit_log import LineFilter
from mien.accounts.schemas import AccountChange
from mien.billing import ledger, usage
from mien.billing.schemas import GrantRequest
from mien.errors import ApiError
from mien.http.dependencies import Cursor, Shared, path_id
from mien.resources import Resources
from mien.web.forms import AdministratorsForm, Form, go, show, turning
from mien.web.visitors import SignedInAdministrator, Visitor

router = APIRouter(include_in_schema=False)

_ACCOUNTS = "/administration/accounts"
_PER_PAGE = 50
_LATEST = 20

Sought = Annotated[str, Query(max_length=200)]
KeyId = Annotated[UUID, path_id("key_id", service.no_such_key)]
AccountId = Annotated[UUID, path_id("account_id", service.no_such_account)]


@router.get(_ACCOUNTS)
async def list_accounts(
    request: Request, shared: Shared, _: SignedInAdministrator, q: Sought = "", cursor: Cursor = None
) -> Response:
    """All accounts, or those that were searched for, the newest first."""
    q = q.replace("\0", "").strip()
    async with shared.sessions() as session:
        page = await service.list_accounts(session, limit=_PER_PAGE, cursor=cursor, search=q)
    return await show(
        request,
        "administration/accounts.html",
        q=q,
        accounts=page.rows,
        **turning(_ACCOUNTS, page, cursor, {"q": q} if q else None),
    )


@router.get(f"{_ACCOUNTS}/{{account_id}}")
async def read_account(
    request: Request, shared: Shared, visitor: SignedInAdministrator, account_id: AccountId
) -> Response:
    """One account, what it has and what it may."""
    return await _account_page(request, shared, visitor, account_id)


@router.post(f"{_ACCOUNTS}/{{account_id}}/disable")
async def disable_account(
    request: Request, shared: Shared, form: AdministratorsForm, account_id: AccountId
) -> Response:
    """Let its keys and sessions work no more, or its keys again."""
    disabled = "enable" not in form.fields
    try:
        if disabled:
            people.check_not_own(form.visitor.principal, account_id)
        async with shared.sessions.begin() as session:
            account = await service.find_account(session, account_id)
            await people.set_disabled(session, account, disabled, form.visitor.principal)
    except ApiError as refusal:
        return await _account_page(request, shared, form.visitor, account_id, refusal=refusal)
    return go(request, f"{_ACCOUNTS}/{account_id}", "disabled" if disabled else "enabled")


@router.post(f"{_ACCOUNTS}/{{account_id}}/limits")
async def change_limits(
    request: Request, shared: Shared, form: AdministratorsForm, account_id: AccountId
) -> Response:
    """Give it limits of its own, or those of the settings."""
    try:
        wanted = form.read(AccountChange)
        limits = wanted.model_dump(include={"requests_per_minute", "tasks_in_flight", "tasks_per_day"})
        async with shared.sessions.begin() as session:
            await service.change_limits(session, account_id, limits, form.visitor.principal)
    except ApiError as refusal:
        return await _account_page(request, shared, form.visitor, account_id, refusal=refusal, form=form)
    return go(request, f"{_ACCOUNTS}/{account_id}", "saved")


@router.post(f"{_ACCOUNTS}/{{account_id}}/grants")
async def grant_credits(
    request: Request, shared: Shared, form: AdministratorsForm, account_id: AccountId
) -> Response:
    """Give it credits."""
    try:
        wanted = form.read(GrantRequest)
        async with shared.sessions.begin() as session:
            by = form.visitor.principal
            await ledger.grant(session, account_id, wanted.credits, wanted.reason, by)
    except ApiError as refusal:
        return await _account_page(request, shared, form.visitor, account_id, refusal=refusal, form=form)
    return go(request, f"{_ACCOUNTS}/{account_id}", "granted")


@router.post(f"{_ACCOUNTS}/{{account_id}}/keys/{{key_id}}/revoke")
async def revoke_key(
    request: Request, shared: Shared, form: AdministratorsForm, account_id: AccountId, key_id: KeyId
) -> Response:
    """Let one of its keys work no more."""
    async with shared.sessions.begin() as session:
        await service.revoke_key_of(session, account_id, key_id, form.visitor.principal)
    return go(request, f"{_ACCOUNTS}/{account_id}", "key-revoked")


async def _account_page(
    request: Request,
    shared: Resources,
    visitor: Visitor,
    account_id: UUID,
    *,
    refusal: ApiError | None = None,
    form: Form | None = None,
) -> Response:
    async with shared.sessions() as session:
        account = await service.find_account(session, account_id)
        activity = await usage.activity(session, account_id)
        keys = await service.list_keys(session, account_id)
        page = await ledger.newest(session, account_id, limit=_LATEST, cursor=None)
        acts = LineFilter(account_id=account_id)
        lines = (await audit_log.newest(session, acts, limit=_LATEST, cursor=None)).rows
        named = await service.find_accounts(session, audit_log.named(lines))
    return await show(
        request,
        "administration/account.html",
        refusal=refusal,
        form=form,
        account=account,
        activity=activity,
        keys=keys,
        now=datetime.now(UTC),
        entries=page.rows,
        lines=lines,
        named=named,
        is_own=account_id == visitor.account.id,
    )

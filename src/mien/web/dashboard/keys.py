"""The page of API keys: make one, see it once, change its limits, revoke it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from mien.accounts import service
from mien.accounts.models import ApiKey
from mien.accounts.schemas import KeyChange, KeyRequest
from mien.errors import ApiError, InvalidRequest
from mien.http.dependencies import Shared, path_id
from mien.resources import Resources
from mien.web.forms import Form, PostedForm, go, show
from mien.web.visitors import SignedIn, Visitor

router = APIRouter(include_in_schema=False)

KeyId = Annotated[UUID, path_id("key_id", service.no_such_key)]


@router.get("/dashboard/keys")
async def list_keys(request: Request, shared: Shared, visitor: SignedIn) -> Response:
    """The account's keys."""
    return await _keys_page(request, shared, visitor)


@router.post("/dashboard/keys")
async def create_key(request: Request, shared: Shared, form: PostedForm) -> Response:
    """Make a key. The page that answers is the only one that shows it."""
    try:
        wanted = form.read(KeyRequest, **_expiry(form))
        async with shared.sessions.begin() as session:
            key, plain = await service.create_key(session, form.visitor.principal, wanted.model_dump())
    except ApiError as refusal:
        return await _keys_page(request, shared, form.visitor, refusal=refusal, form=form)
    return await _keys_page(request, shared, form.visitor, made=key, plain=plain)


@router.get("/dashboard/keys/{key_id}")
async def read_key(request: Request, shared: Shared, visitor: SignedIn, key_id: KeyId) -> Response:
    """A key and its limits."""
    return await _key_page(request, shared, visitor, key_id)


@router.post("/dashboard/keys/{key_id}")
async def change_key(request: Request, shared: Shared, form: PostedForm, key_id: KeyId) -> Response:
    """Change a key's name, limits or end."""
    try:
        wanted = form.read(KeyChange, **_expiry(form))
        async with shared.sessions.begin() as session:
            changes = wanted.model_dump(exclude_unset=True)
            await service.update_key(session, form.visitor.principal, key_id, changes)
    except ApiError as refusal:
        return await _key_page(request, shared, form.visitor, key_id, refusal=refusal, form=form)
    return go(request, "/dashboard/keys", "key-changed")


@router.post("/dashboard/keys/{key_id}/revoke")
async def revoke_key(request: Request, shared: Shared, form: PostedForm, key_id: KeyId) -> Response:
    """Let a key work no more."""
    async with shared.sessions.begin() as session:
        await service.revoke_key(session, form.visitor.principal, key_id)
    return go(request, "/dashboard/keys", "key-revoked")


async def _keys_page(
    request: Request,
    shared: Resources,
    visitor: Visitor,
    *,
    refusal: ApiError | None = None,
    form: Form | None = None,
    made: ApiKey | None = None,
    plain: str = "",
) -> Response:
    async with shared.sessions() as session:
        keys = await service.list_keys(session, visitor.account.id)
    return await show(
        request,
        "dashboard/keys.html",
        refusal=refusal,
        form=form,
        is_secret=bool(plain),
        keys=keys,
        limits=visitor.principal.limits,
        now=datetime.now(UTC),
        made=made,
        plain=plain,
    )


async def _key_page(
    request: Request,
    shared: Resources,
    visitor: Visitor,
    key_id: UUID,
    *,
    refusal: ApiError | None = None,
    form: Form | None = None,
) -> Response:
    async with shared.sessions() as session:
        key = await service.find_key(session, visitor.account.id, key_id)
    return await show(
        request,
        "dashboard/key.html",
        refusal=refusal,
        form=form,
        key=key,
        limits=visitor.principal.limits,
        now=datetime.now(UTC),
    )


def _expiry(form: Form) -> Mapping[str, Any]:
    """A key that has a last day works until its end, in UTC."""
    day = form.fields.get("last_day", "")
    if not day:
        return {"expires_at": None}
    try:
        return {"expires_at": datetime.combine(date.fromisoformat(day), time.max, UTC)}
    except ValueError:
        raise InvalidRequest("The last day must be a date such as 2027-12-31.", param="last_day") from None

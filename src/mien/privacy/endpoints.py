"""The endpoints with which people take along, or take away, all that is kept of them."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from mien.accounts import people, throttle
from mien.accounts.schemas import KnownPassword
from mien.accounts.service import check_unrestricted
from mien.accounts.throttle import Allowance
from mien.errors import InvalidRequest
from mien.http import sessions
from mien.http.bodies import json_body, read_json
from mien.http.clients import ClientAddress
from mien.http.dependencies import Caller, Shared, bearer
from mien.http.errors import error_answers
from mien.http.principal import Principal
from mien.privacy import deletion, export
from mien.resources import Resources

router = APIRouter(tags=["account"], dependencies=[Depends(bearer)])

_EXPORTS: Final = Allowance(10, timedelta(hours=1))


class DeletionRequest(BaseModel):
    """Says that the account is really meant."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"confirm": "7d9f2c61-5a43-4f0e-9f0c-2b8f4f1f6f0d"}]},
    )

    password: KnownPassword | None = Field(
        default=None, description="The account's, if somebody who is signed in asks."
    )
    confirm: str | None = Field(
        default=None, max_length=64, description="The account's id, if it's asked with a key."
    )


@router.get(
    "/api/v1/account/export",
    summary="Export the account",
    response_class=Response,
    response_description="A zip archive: JSON files with all that is kept, and all stored pictures.",
    responses={
        200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}},
        **error_answers(401, 403, 413, 429, 500, 503),
    },
)
async def export_account(shared: Shared, caller: Caller) -> Response:
    """All that is kept of the account, apart from secrets. A key with limits or an end of its own can't."""
    check_unrestricted(caller)
    return await exported(shared, caller.account_id)


@router.delete(
    "/api/v1/account",
    status_code=204,
    summary="Delete the account",
    response_description="It is gone with all that it owned.",
    responses=error_answers(400, 401, 403, 408, 409, 413, 415, 429, 500, 503),
    openapi_extra=json_body(DeletionRequest),
)
async def delete_account(request: Request, shared: Shared, caller: Caller, client: ClientAddress) -> Response:
    """Delete the account for good: tasks in progress are canceled, pictures, keys and webhooks deleted.

    What books have to hold stays, without anything personal. Credits that are left are lost.
    """
    wanted = await read_json(request, DeletionRequest)
    await _check_meant(shared, caller, wanted, client)
    await deletion.delete(shared, caller.account_id)
    response = Response(status_code=204)
    sessions.delete_cookie(response, shared.settings.public_url)
    return response


async def exported(resources: Resources, account_id: UUID) -> Response:
    """The account's archive as a download. Raises `RateLimited`."""
    await throttle.take(resources.sessions, {f"export of {account_id}": _EXPORTS})
    return StreamingResponse(
        export.archive(resources, account_id),
        media_type="application/zip",
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": 'attachment; filename="mien-account.zip"',
            "X-Content-Type-Options": "nosniff",
        },
    )


async def _check_meant(resources: Resources, caller: Principal, wanted: DeletionRequest, client: str) -> None:
    check_unrestricted(caller)
    if caller.key_id is None:
        if wanted.password is None:
            raise InvalidRequest("`password` is missing. Send the account's password.", param="password")
        await people.check_password(
            resources, caller.account_id, wanted.password, client=client, param="password"
        )
    elif wanted.confirm != str(caller.account_id):
        raise InvalidRequest(
            f"`confirm` must be the id of the account that is to be deleted: {caller.account_id}.",
            param="confirm",
        )

"""The endpoints of accounts' credits: what there is, what was used, and how more is bought."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BeforeValidator
from sqlalchemy.ext.asyncio import AsyncSession

from mien.accounts.models import Account
from mien.accounts.service import no_such_account
from mien.billing import ledger, orders, usage
from mien.billing.payments import PaymentProvider
from mien.billing.schemas import (
    AccountOverviewAnswer,
    EntriesAnswer,
    EntryAnswer,
    GrantRequest,
    OrderAnswer,
    OrderRequest,
    OrdersAnswer,
    PacksAnswer,
    UsageAnswer,
    account_answer,
    entries_answer,
    entry_data,
    order_answer,
    orders_answer,
    packs_answer,
    usage_answer,
)
from mien.errors import InvalidRequest, PermissionDenied
from mien.http.bodies import json_body, read_json
from mien.http.dependencies import (
    AccountId,
    Caller,
    Cursor,
    Limit,
    Shared,
    bearer,
    only_known_parameters,
    path_id,
)
from mien.http.errors import error_answers
from mien.http.principal import Principal

STRIPE_WEBHOOK = "/webhooks/stripe"
MAX_EVENT = 512_000
"""Bytes of a webhook's body."""

router = APIRouter(tags=["credits"], dependencies=[Depends(bearer)])
webhook_router = APIRouter(include_in_schema=False)

_MAX_DAYS = 366
_DEFAULT_DAYS = 30


async def _payments(request: Request) -> PaymentProvider:
    payments: PaymentProvider = request.app.state.payments
    return payments


def _iso_only(value: object) -> object:
    # Pydantic takes seconds since 1970 for dates as well, and they are a typing mistake here.
    if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        raise ValueError("must look like 2026-12-24")
    return value


Day = Annotated[date, BeforeValidator(_iso_only)]
Payments = Annotated[PaymentProvider, Depends(_payments)]
AnyAccountId = Annotated[UUID, path_id("account_id", no_such_account)]
OrderId = Annotated[UUID, path_id("order_id", orders.no_such_order)]


@router.get(
    "/api/v1/account",
    summary="Read the account",
    response_description="How it stands.",
    responses=error_answers(401, 413, 429, 500, 503),
)
async def read_account(shared: Shared, caller: Caller) -> AccountOverviewAnswer:
    """The account of the key: its credits, its limits, and what it is doing right now."""
    async with shared.sessions() as session:
        account = await session.get_one(Account, caller.account_id)
        activity = await usage.activity(session, caller.account_id)
    return account_answer(shared.settings, account, activity, caller)


@router.get(
    "/api/v1/usage",
    summary="Read the usage",
    dependencies=[only_known_parameters],
    response_description="Tasks, faces and credits by day, key and status.",
    responses={
        200: {
            "content": {
                "text/csv": {
                    "schema": {"type": "string"},
                    "example": "date,key_id,key_name,status,tasks,faces,credits\r\n",
                }
            }
        },
        **error_answers(400, 401, 413, 429, 500, 503),
    },
    response_model=UsageAnswer,
)
async def read_usage(
    shared: Shared,
    account_id: AccountId,
    from_: Annotated[
        Day | None, Query(alias="from", description="First day, in UTC. Default: 29 days before the last.")
    ] = None,
    to: Annotated[Day | None, Query(description="Last day, in UTC. Default: today.")] = None,
    format: Annotated[
        Literal["json", "csv"] | None, Query(description="Default: what `Accept` asks for, else `json`.")
    ] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> UsageAnswer | Response:
    """What the account has used, by the day that tasks were created. At most 366 days at once."""
    first, last = _days(from_, to)
    async with shared.sessions() as session:
        used = await usage.per_day(session, account_id, first, last)
    if format == "csv" or (format is None and "text/csv" in accept):
        disposition = f'attachment; filename="usage-{first}-{last}.csv"'
        return Response(
            usage.as_csv(used), media_type="text/csv", headers={"Content-Disposition": disposition}
        )
    return usage_answer(first, last, used)


@router.get(
    "/api/v1/credits/packs",
    summary="List what is sold",
    response_description="Packs of credits and their prices.",
    responses=error_answers(401, 413, 429, 500, 503),
)
async def list_packs(shared: Shared) -> PacksAnswer:
    """The packs that can be ordered."""
    return packs_answer(shared.settings, orders.packs_for_sale(shared.settings))


@router.get(
    "/api/v1/credits/entries",
    summary="List changes of the balance",
    dependencies=[only_known_parameters],
    response_description="A page of the ledger.",
    responses=error_answers(400, 401, 413, 429, 500, 503),
)
async def list_entries(
    shared: Shared,
    account_id: AccountId,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> EntriesAnswer:
    """Every change of the account's balance and debt, newest first."""
    async with shared.sessions() as session:
        return entries_answer(await ledger.newest(session, account_id, limit=limit, cursor=cursor))


@router.post(
    "/api/v1/orders",
    summary="Order credits",
    response_description="The order waits for its payment.",
    responses=error_answers(400, 401, 408, 409, 413, 415, 429, 500, 503),
    openapi_extra=json_body(OrderRequest),
)
async def create_order(
    request: Request, shared: Shared, payments: Payments, account_id: AccountId
) -> OrderAnswer:
    """Order a pack of credits. They are there once its payment has been reported or confirmed."""
    wanted = await read_json(request, OrderRequest)
    return order_answer(await orders.place(shared, payments, account_id, wanted.credits))


@router.get(
    "/api/v1/orders",
    summary="List orders",
    dependencies=[only_known_parameters],
    response_description="A page of orders.",
    responses=error_answers(400, 401, 413, 429, 500, 503),
)
async def list_orders(
    shared: Shared,
    account_id: AccountId,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> OrdersAnswer:
    """The account's orders, newest first."""
    async with shared.sessions() as session:
        return orders_answer(await orders.newest(session, account_id, limit=limit, cursor=cursor))


@router.get(
    "/api/v1/orders/{order_id}",
    summary="Read an order",
    response_description="How it stands.",
    responses=error_answers(401, 404, 413, 429, 500, 503),
)
async def read_order(shared: Shared, account_id: AccountId, order_id: OrderId) -> OrderAnswer:
    """How an order stands."""
    async with shared.sessions() as session:
        return order_answer(await orders.find(session, account_id, order_id))


@router.post(
    "/api/v1/orders/{order_id}/confirm",
    tags=["administration"],
    summary="Confirm that an order was paid",
    response_description="Its credits have been added, now or before.",
    responses=error_answers(401, 403, 404, 413, 429, 500, 503),
)
async def confirm_order(shared: Shared, caller: Caller, order_id: OrderId) -> OrderAnswer:
    """For administrators: add the credits of an order whose payment arrived. A second time does nothing."""
    async with shared.sessions.begin() as session:
        await _check_may_decide(session, caller, order_id)
        return order_answer(await orders.confirm(session, order_id, by=caller))


@router.post(
    "/api/v1/orders/{order_id}/cancel",
    tags=["administration"],
    summary="Cancel an order",
    response_description="Its payment isn't waited for, now or before.",
    responses=error_answers(401, 403, 404, 409, 413, 429, 500, 503),
)
async def cancel_order(shared: Shared, caller: Caller, order_id: OrderId) -> OrderAnswer:
    """For administrators: wait no longer for an order's payment. A second time does nothing."""
    async with shared.sessions.begin() as session:
        await _check_may_decide(session, caller, order_id)
        return order_answer(await orders.cancel(session, order_id, by=caller))


@router.post(
    "/api/v1/admin/accounts/{account_id}/grants",
    tags=["administration"],
    summary="Grant credits",
    response_description="The credits have been added.",
    responses=error_answers(400, 401, 403, 404, 408, 413, 415, 429, 500, 503),
    openapi_extra=json_body(GrantRequest),
)
async def create_grant(
    request: Request, shared: Shared, caller: Caller, account_id: AnyAccountId
) -> EntryAnswer:
    """For administrators: give credits to an account."""
    if not caller.is_administrator:
        raise PermissionDenied("Only an administrator can grant credits. Ask who runs this service.")
    wanted = await read_json(request, GrantRequest)
    async with shared.sessions.begin() as session:
        entry = await ledger.grant(session, account_id, wanted.credits, wanted.reason, by=caller)
    return EntryAnswer(data=entry_data(entry))


@webhook_router.post(STRIPE_WEBHOOK, status_code=204)
async def receive_event(
    request: Request, shared: Shared, payments: Payments, stripe_signature: Annotated[str, Header()] = ""
) -> Response:
    """What Stripe reports of payments. It comes without a key, and is believed by its signature."""
    event = payments.read_event(await request.body(), stripe_signature)
    if event:
        async with shared.sessions.begin() as session:
            await orders.record(session, event)
    return Response(status_code=204)


async def _check_may_decide(session: AsyncSession, caller: Principal, order_id: UUID) -> None:
    if not caller.is_administrator:
        await orders.find(session, caller.account_id, order_id)  # others' orders don't exist
        raise PermissionDenied(
            "Only an administrator can confirm or cancel an order. Ask who runs this service."
        )


def _days(first: date | None, last: date | None) -> tuple[date, date]:
    last = last or datetime.now(UTC).date()
    first = first or date.fromordinal(max(1, last.toordinal() - _DEFAULT_DAYS + 1))
    if first > last:
        raise InvalidRequest(f"`from` ({first}) is after `to` ({last}).", param="from")
    if (last - first).days >= _MAX_DAYS:
        raise InvalidRequest(
            f"`from` and `to` are too far apart: ask for {_MAX_DAYS} days at most.", param="from"
        )
    return first, last

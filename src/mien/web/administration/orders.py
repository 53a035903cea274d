"""The page of orders that wait for their payment."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from mien.accounts import service as accounts
from mien.billing import orders
from mien.billing.orders import price_of
from mien.errors import ApiError
from mien.http.dependencies import Shared, path_id
from mien.resources import Resources
from mien.web.forms import AdministratorsForm, go, show
from mien.web.visitors import SignedInAdministrator

router = APIRouter(include_in_schema=False)

_ORDERS = "/administration/orders"

OrderId = Annotated[UUID, path_id("order_id", orders.no_such_order)]


@router.get(_ORDERS)
async def list_orders(request: Request, shared: Shared, _: SignedInAdministrator) -> Response:
    """Who wants to pay for what."""
    return await _orders_page(request, shared)


@router.post(f"{_ORDERS}/{{order_id}}/confirm")
async def confirm_order(
    request: Request, shared: Shared, form: AdministratorsForm, order_id: OrderId
) -> Response:
    """Add the credits of an order whose payment arrived."""
    async with shared.sessions.begin() as session:
        await orders.confirm(session, order_id, form.visitor.principal)
    return go(request, _ORDERS, "confirmed")


@router.post(f"{_ORDERS}/{{order_id}}/cancel")
async def cancel_order(
    request: Request, shared: Shared, form: AdministratorsForm, order_id: OrderId
) -> Response:
    """Wait no longer for the payment of an order."""
    try:
        async with shared.sessions.begin() as session:
            await orders.cancel(session, order_id, form.visitor.principal)
    except ApiError as refusal:
        return await _orders_page(request, shared, refusal)
    return go(request, _ORDERS, "order-canceled")


async def _orders_page(request: Request, shared: Resources, refusal: ApiError | None = None) -> Response:
    async with shared.sessions() as session:
        waiting = await orders.pending(session)
        found = await accounts.find_accounts(session, {order.account_id for order in waiting})
    pending = [(order, price_of(order), found[order.account_id]) for order in waiting]
    return await show(request, "administration/orders.html", refusal=refusal, pending=pending)

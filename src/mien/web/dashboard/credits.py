"""Pages of credits: the balance, packs and orders with their receipts, and every entry of the ledger."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from mien.billing import ledger, orders, usage
from mien.billing.endpoints import Payments
from mien.billing.orders import price_of
from mien.billing.schemas import OrderRequest
from mien.errors import ApiError
from mien.http.dependencies import Cursor, Shared, path_id
from mien.resources import Resources
from mien.web.forms import PostedForm, go, show, turning
from mien.web.visitors import SignedIn, Visitor

router = APIRouter(include_in_schema=False)

_CREDITS = "/dashboard/credits"
_PER_PAGE = 50

OrderId = Annotated[UUID, path_id("order_id", orders.no_such_order)]


@router.get(_CREDITS)
async def read_credits(
    request: Request, shared: Shared, visitor: SignedIn, cursor: Cursor = None
) -> Response:
    """The balance, what is sold, and what was ordered."""
    return await _credits_page(request, shared, visitor, cursor=cursor)


@router.post(f"{_CREDITS}/orders")
async def create_order(request: Request, shared: Shared, payments: Payments, form: PostedForm) -> Response:
    """Order a pack; the order's page says how it's paid."""
    try:
        wanted = form.read(OrderRequest)
        order = await orders.place(shared, payments, form.visitor.account.id, wanted.credits)
    except ApiError as refusal:
        return await _credits_page(request, shared, form.visitor, refusal=refusal)
    return go(request, f"{_CREDITS}/orders/{order.id}", "ordered")


@router.get(f"{_CREDITS}/orders/{{order_id}}")
async def read_order(request: Request, shared: Shared, visitor: SignedIn, order_id: OrderId) -> Response:
    """An order: how to pay it, or its receipt."""
    async with shared.sessions() as session:
        order = await orders.find(session, visitor.account.id, order_id)
    price = price_of(order)
    return await show(request, "dashboard/order.html", order=order, price=price)


@router.get(f"{_CREDITS}/ledger")
async def read_ledger(request: Request, shared: Shared, visitor: SignedIn, cursor: Cursor = None) -> Response:
    """Every change of the balance, the newest first."""
    async with shared.sessions() as session:
        page = await ledger.newest(session, visitor.account.id, limit=_PER_PAGE, cursor=cursor)
    here = f"{_CREDITS}/ledger"
    return await show(
        request,
        "dashboard/ledger.html",
        entries=page.rows,
        **turning(here, page, cursor),
    )


async def _credits_page(
    request: Request,
    shared: Resources,
    visitor: Visitor,
    *,
    cursor: str | None = None,
    refusal: ApiError | None = None,
) -> Response:
    async with shared.sessions() as session:
        activity = await usage.activity(session, visitor.account.id)
        page = await orders.newest(session, visitor.account.id, limit=_PER_PAGE, cursor=cursor)
    return await show(
        request,
        "dashboard/credits.html",
        refusal=refusal,
        activity=activity,
        packs=orders.packs_for_sale(shared.settings),
        orders=[(order, price_of(order)) for order in page.rows],
        **turning(_CREDITS, page, cursor),
    )

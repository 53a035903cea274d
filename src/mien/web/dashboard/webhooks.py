"""Pages of webhooks: who is told of events, with which secret, and how every delivery went."""

import json
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from mien.errors import ApiError
from mien.http.dependencies import Cursor, Shared, path_id
from mien.resources import Resources
from mien.web.forms import Form, PostedForm, go, show, turning
from mien.web.visitors import SignedIn, Visitor
from mien.webhooks import queries, service
from mien.webhooks.models import Event
from mien.webhooks.schemas import WebhookChange, WebhookRequest

router = APIRouter(include_in_schema=False)

_WEBHOOKS = "/dashboard/webhooks"
_DELIVERIES = "/dashboard/deliveries"
_PER_PAGE = 20
_EVENTS = [event.value for event in Event]

WebhookId = Annotated[UUID, path_id("webhook_id", service.no_endpoint)]
DeliveryId = Annotated[UUID, path_id("delivery_id", service.no_delivery)]


# Endpoints ------------------------------------------------------------------------------------------------


@router.get(_WEBHOOKS)
async def list_webhooks(request: Request, shared: Shared, visitor: SignedIn) -> Response:
    """All of the account's, and the latest deliveries."""
    return await _webhooks_page(request, shared, visitor)


@router.post(_WEBHOOKS)
async def create_webhook(request: Request, shared: Shared, form: PostedForm) -> Response:
    """Add an address. The page that answers is the only one that shows its secret."""
    try:
        wanted = form.read(WebhookRequest, events=form.choices("events"))
        async with shared.sessions.begin() as session:
            endpoint = await service.create_endpoint(
                session, shared.sealing, form.visitor.account.id, **wanted.model_dump()
            )
    except ApiError as refusal:
        return await _webhooks_page(request, shared, form.visitor, refusal=refusal, form=form)
    return await _webhook_page(
        request, shared, form.visitor, endpoint.id, secret=shared.sealing.open_text(endpoint.secret)
    )


@router.get(f"{_WEBHOOKS}/{{webhook_id}}")
async def read_webhook(
    request: Request, shared: Shared, visitor: SignedIn, webhook_id: WebhookId, cursor: Cursor = None
) -> Response:
    """One webhook, and what was sent to it."""
    return await _webhook_page(request, shared, visitor, webhook_id, cursor=cursor)


@router.post(f"{_WEBHOOKS}/{{webhook_id}}")
async def change_webhook(
    request: Request, shared: Shared, form: PostedForm, webhook_id: WebhookId
) -> Response:
    """Change its address, what it hears of, or whether it's enabled."""
    try:
        given = {"events": form.choices("events")} if "url" in form.fields else {}
        wanted = form.read(WebhookChange, **given)
        async with shared.sessions.begin() as session:
            endpoint = await service.find_endpoint(session, form.visitor.account.id, webhook_id, lock=True)
            service.change(endpoint, **wanted.model_dump(exclude_none=True))
            if "description" in form.fields:  # emptied, it's None here
                endpoint.description = form.fields["description"]
    except ApiError as refusal:
        return await _webhook_page(request, shared, form.visitor, webhook_id, refusal=refusal, form=form)
    return go(request, f"{_WEBHOOKS}/{webhook_id}", "saved")


@router.post(f"{_WEBHOOKS}/{{webhook_id}}/test")
async def test_webhook(request: Request, shared: Shared, form: PostedForm, webhook_id: WebhookId) -> Response:
    """Send it the event `webhook.test`."""
    try:
        async with shared.sessions.begin() as session:
            delivery = await service.test(session, form.visitor.account.id, webhook_id)
    except ApiError as refusal:
        return await _webhook_page(request, shared, form.visitor, webhook_id, refusal=refusal)
    return go(request, f"{_DELIVERIES}/{delivery.id}", "sent")


@router.post(f"{_WEBHOOKS}/{{webhook_id}}/secret")
async def rotate_secret(
    request: Request, shared: Shared, form: PostedForm, webhook_id: WebhookId
) -> Response:
    """Give it a new secret, which only the page that answers shows."""
    async with shared.sessions.begin() as session:
        endpoint = await service.find_endpoint(session, form.visitor.account.id, webhook_id, lock=True)
        service.rotate(endpoint, shared.sealing)
    return await _webhook_page(
        request, shared, form.visitor, webhook_id, secret=shared.sealing.open_text(endpoint.secret)
    )


@router.post(f"{_WEBHOOKS}/{{webhook_id}}/delete")
async def delete_webhook(
    request: Request, shared: Shared, form: PostedForm, webhook_id: WebhookId
) -> Response:
    """Delete it with its deliveries."""
    async with shared.sessions.begin() as session:
        await session.delete(await service.find_endpoint(session, form.visitor.account.id, webhook_id))
    return go(request, _WEBHOOKS, "webhook-deleted")


async def _webhooks_page(
    request: Request,
    shared: Resources,
    visitor: Visitor,
    *,
    refusal: ApiError | None = None,
    form: Form | None = None,
) -> Response:
    async with shared.sessions() as session:
        endpoints = await queries.endpoints_of(session, visitor.account.id)
        latest = await queries.deliveries_of(session, visitor.account.id, cursor=None, limit=10)
    return await show(
        request,
        "dashboard/webhooks.html",
        refusal=refusal,
        form=form,
        endpoints=endpoints,
        most=service.MAX_ENDPOINTS,
        events=_EVENTS,
        chosen=form.choices("events") if form else _EVENTS,
        deliveries=latest.rows,
        names={endpoint.id: endpoint.url for endpoint in endpoints},
    )


async def _webhook_page(
    request: Request,
    shared: Resources,
    visitor: Visitor,
    webhook_id: UUID,
    *,
    cursor: str | None = None,
    secret: str = "",
    refusal: ApiError | None = None,
    form: Form | None = None,
) -> Response:
    async with shared.sessions() as session:
        endpoint = await service.find_endpoint(session, visitor.account.id, webhook_id)
        page = await queries.deliveries_of(
            session, visitor.account.id, endpoint_id=endpoint.id, cursor=cursor, limit=_PER_PAGE
        )
    here = f"{_WEBHOOKS}/{webhook_id}"
    return await show(
        request,
        "dashboard/webhook.html",
        refusal=refusal,
        form=form,
        is_secret=bool(secret),
        endpoint=endpoint,
        secret=secret,
        rotation=service.ROTATION,
        events=_EVENTS,
        chosen=form.choices("events") if form and refusal else endpoint.events,
        deliveries=page.rows,
        names={endpoint.id: endpoint.url},
        **turning(here, page, cursor),
    )


# Callbacks ------------------------------------------------------------------------------------------------


@router.post("/dashboard/callback-secret")
async def show_callback_secret(request: Request, shared: Shared, form: PostedForm) -> Response:
    """Show what signs deliveries to the `callback_url` of tasks, or renew it first."""
    async with shared.sessions.begin() as session:
        secret = await service.callback_secret(session, shared.sealing, form.visitor.account.id, lock=True)
        if "renew" in form.fields:
            service.rotate(secret, shared.sealing)
        shown = shared.sealing.open_text(secret.secret)
    return await show(
        request,
        "dashboard/callback-secret.html",
        is_secret=True,
        secret=shown,
        renewed="renew" in form.fields,
        rotation=service.ROTATION,
    )


# Deliveries -----------------------------------------------------------------------------------------------


@router.get(f"{_DELIVERIES}/{{delivery_id}}")
async def read_delivery(
    request: Request, shared: Shared, visitor: SignedIn, delivery_id: DeliveryId
) -> Response:
    """A delivery: what was sent, and each attempt."""
    return await _delivery_page(request, shared, visitor, delivery_id)


@router.post(f"{_DELIVERIES}/{{delivery_id}}/redeliver")
async def redeliver(request: Request, shared: Shared, form: PostedForm, delivery_id: DeliveryId) -> Response:
    """Send it again."""
    try:
        async with shared.sessions.begin() as session:
            await service.redeliver(session, form.visitor.account.id, delivery_id)
    except ApiError as refusal:
        return await _delivery_page(request, shared, form.visitor, delivery_id, refusal=refusal)
    return go(request, f"{_DELIVERIES}/{delivery_id}", "sent")


async def _delivery_page(
    request: Request,
    shared: Resources,
    visitor: Visitor,
    delivery_id: UUID,
    *,
    refusal: ApiError | None = None,
) -> Response:
    async with shared.sessions() as session:
        delivery = await service.find_delivery(session, visitor.account.id, delivery_id)
        endpoint = (
            await service.find_endpoint(session, visitor.account.id, delivery.endpoint_id)
            if delivery.endpoint_id
            else None
        )
    return await show(
        request,
        "dashboard/delivery.html",
        refusal=refusal,
        delivery=delivery,
        attempts=service.attempts(delivery),
        endpoint=endpoint,
        body=json.dumps(json.loads(delivery.body), indent=2, ensure_ascii=False),
    )

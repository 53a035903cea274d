"""The endpoints of webhooks."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from mien.http.bodies import json_body, read_json
from mien.http.dependencies import AccountId, Cursor, Limit, Shared, bearer, only_known_parameters, path_id
from mien.http.errors import error_answers
from mien.webhooks import queries, service
from mien.webhooks.schemas import (
    CreatedWebhookAnswer,
    CreatedWebhookData,
    DeliveryAnswer,
    DeliveryListAnswer,
    SecretAnswer,
    WebhookAnswer,
    WebhookChange,
    WebhookList,
    WebhookListAnswer,
    WebhookRequest,
    delivery_answer,
    delivery_list,
    secret_answer,
    webhook,
)

WEBHOOKS = "/api/v1/webhooks"

# Fixed paths stand before `/{webhook_id}`, which would match them, too.
router = APIRouter(prefix=WEBHOOKS, tags=["webhooks"], dependencies=[Depends(bearer)])


WebhookId = Annotated[UUID, path_id("webhook_id", service.no_endpoint)]
DeliveryId = Annotated[UUID, path_id("delivery_id", service.no_delivery)]
TaskId = Annotated[
    str | None, Query(pattern="^[0-9A-Za-z_]{1,64}$", description="Only those about this task.")
]


# Endpoints of an account ----------------------------------------------------------------------------------


@router.get("", summary="List webhooks", responses=error_answers(401, 413, 500, 503))
async def list_webhooks(shared: Shared, account_id: AccountId) -> WebhookListAnswer:
    """All of the account's, the oldest first."""
    async with shared.sessions() as session:
        endpoints = await queries.endpoints_of(session, account_id)
    return WebhookListAnswer(data=WebhookList(webhooks=[webhook(endpoint) for endpoint in endpoints]))


@router.post(
    "",
    summary="Create a webhook",
    responses=error_answers(400, 401, 408, 409, 413, 415, 500, 503),
    openapi_extra=json_body(WebhookRequest),
)
async def create_webhook(request: Request, shared: Shared, account_id: AccountId) -> CreatedWebhookAnswer:
    """From now on, tell an address of the account's events. The answer alone shows its secret."""
    wanted = await read_json(request, WebhookRequest)
    async with shared.sessions.begin() as session:
        endpoint = await service.create_endpoint(session, shared.sealing, account_id, **wanted.model_dump())
    secret = shared.sealing.open_text(endpoint.secret)
    data = CreatedWebhookData(**webhook(endpoint).model_dump(), secret=secret)
    return CreatedWebhookAnswer(data=data)


# Callbacks of single tasks --------------------------------------------------------------------------------


@router.get("/secret", summary="Read the secret of callbacks", responses=error_answers(401, 413, 500, 503))
async def read_callback_secret(shared: Shared, account_id: AccountId) -> SecretAnswer:
    """What the account's deliveries to the `callback_url` of tasks are signed with."""
    async with shared.sessions.begin() as session:
        secret = await service.callback_secret(session, shared.sealing, account_id)
    return secret_answer(secret, shared.sealing)


@router.post("/secret", summary="Renew the secret of callbacks", responses=error_answers(401, 413, 500, 503))
async def rotate_callback_secret(shared: Shared, account_id: AccountId) -> SecretAnswer:
    """A new secret for callbacks. For 24 hours the present one signs as well."""
    async with shared.sessions.begin() as session:
        secret = await service.callback_secret(session, shared.sealing, account_id, lock=True)
        service.rotate(secret, shared.sealing)
    return secret_answer(secret, shared.sealing)


# Deliveries -----------------------------------------------------------------------------------------------


@router.get(
    "/deliveries",
    summary="List deliveries",
    dependencies=[only_known_parameters],
    responses=error_answers(400, 401, 413, 500, 503),
)
async def list_deliveries(
    shared: Shared, account_id: AccountId, task_id: TaskId = None, cursor: Cursor = None, limit: Limit = 20
) -> DeliveryListAnswer:
    """What was sent or is to be sent, to webhooks and callbacks, the latest first."""
    async with shared.sessions() as session:
        page = await queries.deliveries_of(session, account_id, task_id=task_id, cursor=cursor, limit=limit)
    return delivery_list(page)


@router.get(
    "/deliveries/{delivery_id}", summary="Read a delivery", responses=error_answers(401, 404, 413, 500, 503)
)
async def read_delivery(shared: Shared, account_id: AccountId, delivery_id: DeliveryId) -> DeliveryAnswer:
    """How a delivery stands, with its attempts."""
    async with shared.sessions() as session:
        return delivery_answer(await service.find_delivery(session, account_id, delivery_id))


@router.post(
    "/deliveries/{delivery_id}/redeliver",
    summary="Deliver again",
    responses=error_answers(401, 404, 409, 413, 500, 503),
)
async def redeliver(shared: Shared, account_id: AccountId, delivery_id: DeliveryId) -> DeliveryAnswer:
    """Send an ended delivery again, under the same `webhook-id`, with all attempts before it."""
    async with shared.sessions.begin() as session:
        delivery = await service.redeliver(session, account_id, delivery_id)
        await session.refresh(delivery)
    return delivery_answer(delivery)


# One endpoint ---------------------------------------------------------------------------------------------


@router.get("/{webhook_id}", summary="Read a webhook", responses=error_answers(401, 404, 413, 500, 503))
async def read_webhook(shared: Shared, account_id: AccountId, webhook_id: WebhookId) -> WebhookAnswer:
    """How a webhook stands, and why if it's disabled."""
    async with shared.sessions() as session:
        return WebhookAnswer(data=webhook(await service.find_endpoint(session, account_id, webhook_id)))


@router.patch(
    "/{webhook_id}",
    summary="Change a webhook",
    responses=error_answers(400, 401, 404, 408, 413, 415, 500, 503),
    openapi_extra=json_body(WebhookChange),
)
async def change_webhook(
    request: Request, shared: Shared, account_id: AccountId, webhook_id: WebhookId
) -> WebhookAnswer:
    """Change what is named, also for deliveries that are under way."""
    wanted = await read_json(request, WebhookChange)
    async with shared.sessions.begin() as session:
        endpoint = await service.find_endpoint(session, account_id, webhook_id, lock=True)
        service.change(endpoint, **wanted.model_dump(exclude_none=True))
    return WebhookAnswer(data=webhook(endpoint))


@router.delete(
    "/{webhook_id}",
    status_code=204,
    summary="Delete a webhook",
    response_description="It is gone.",
    responses=error_answers(401, 404, 413, 500, 503),
)
async def delete_webhook(shared: Shared, account_id: AccountId, webhook_id: WebhookId) -> Response:
    """Delete a webhook with its deliveries; what is under way isn't tried again."""
    async with shared.sessions.begin() as session:
        await session.delete(await service.find_endpoint(session, account_id, webhook_id))
    return Response(status_code=204)


@router.post(
    "/{webhook_id}/test",
    summary="Test a webhook",
    responses=error_answers(401, 404, 409, 413, 500, 503),
)
async def test_webhook(shared: Shared, account_id: AccountId, webhook_id: WebhookId) -> DeliveryAnswer:
    """Send it the event `webhook.test`, once. Read the delivery to see how that went."""
    async with shared.sessions.begin() as session:
        delivery = await service.test(session, account_id, webhook_id)
        await session.refresh(delivery)
    return delivery_answer(delivery)


@router.post(
    "/{webhook_id}/secret",
    summary="Renew a webhook's secret",
    responses=error_answers(401, 404, 413, 500, 503),
)
async def rotate_webhook_secret(shared: Shared, account_id: AccountId, webhook_id: WebhookId) -> SecretAnswer:
    """A new secret, which only this answer shows. For 24 hours the present one signs as well."""
    async with shared.sessions.begin() as session:
        endpoint = await service.find_endpoint(session, account_id, webhook_id, lock=True)
        service.rotate(endpoint, shared.sealing)
    return secret_answer(endpoint, shared.sealing)


@router.get(
    "/{webhook_id}/deliveries",
    summary="List a webhook's deliveries",
    dependencies=[only_known_parameters],
    responses=error_answers(400, 401, 404, 413, 500, 503),
)
async def list_webhook_deliveries(
    shared: Shared,
    account_id: AccountId,
    webhook_id: WebhookId,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> DeliveryListAnswer:
    """What was sent or is to be sent to it, the latest first."""
    async with shared.sessions() as session:
        endpoint = await service.find_endpoint(session, account_id, webhook_id)
        page = await queries.deliveries_of(
            session, account_id, endpoint_id=endpoint.id, cursor=cursor, limit=limit
        )
    return delivery_list(page)

"""What requests about webhooks hold, and what is answered."""

import re
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from mien.database.paging import Page
from mien.http.answers import Answer
from mien.sealing import Sealing
from mien.webhooks.models import Delivery, Endpoint, Event, Signing, State

_URL = r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[1-9][0-9]{0,4})?([/?][!-~]*)?"
_MAX_URL: Final = 2048  # characters

_EXAMPLE_ID = "3f0c9a52-8d7e-4b16-a5c4-91e2d7f6b830"
_EXAMPLE_TASK = "6f1c2a9be0d84c1f9a5b7d3e2f4a6c8d_faceswap"
_EXAMPLE_SECRET = "whsec_Zm9yIGV4YW1wbGUgb25seSwgbm90IGEgc2VjcmV0ISE="  # noqa: S105


def _receiver(value: str) -> str:
    if not re.fullmatch(_URL, value):
        raise ValueError("must be an http or https address in ASCII, such as https://example.com/hooks")
    if len(value) > _MAX_URL:
        raise ValueError(f"has more than {_MAX_URL} characters")
    return value


ReceiverUrl = Annotated[
    str,
    AfterValidator(_receiver),
    WithJsonSchema({"type": "string", "pattern": f"^{_URL}$", "maxLength": _MAX_URL}),
]
Description = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
Events = Annotated[
    list[Literal["task.completed", "task.failed", "task.canceled"]], Field(min_length=1, max_length=3)
]


# Requests -------------------------------------------------------------------------------------------------


class WebhookRequest(BaseModel):
    """An address that wants to hear of the account's events."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"url": "https://example.com/hooks/mien", "events": ["task.completed", "task.failed"]}
            ]
        },
    )

    url: ReceiverUrl = Field(description="Where events are sent: an http(s) address, public unless allowed.")
    description: Description = Field(default="", description="For you, to tell webhooks apart.")
    events: Events = Field(
        default=[event.value for event in Event],
        description="What it hears of; all unless you say otherwise.",
    )


class WebhookChange(BaseModel):
    """What is to be changed about a webhook; all else stays as it is."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"enabled": True}]})

    url: ReceiverUrl | None = Field(default=None, description="Where events are sent from now on.")
    description: Description | None = Field(default=None, description="For you, to tell webhooks apart.")
    events: Events | None = Field(default=None, description="What it hears of.")
    enabled: bool | None = Field(
        default=None, description="False to send nothing to it; true also forgets that it failed."
    )


# Answers --------------------------------------------------------------------------------------------------


class WebhookData(BaseModel):
    webhook_id: UUID = Field(examples=[_EXAMPLE_ID])
    url: str = Field(examples=["https://example.com/hooks/mien"])
    description: str
    events: list[str] = Field(examples=[["task.completed", "task.failed"]])
    enabled: bool
    disabled_at: datetime | None
    disabled_reason: str | None = Field(description="Why nothing is sent to it; null while it's enabled.")
    failing_since: datetime | None = Field(
        description="Since when no attempt succeeded; null if the last did."
    )
    created_at: datetime


class CreatedWebhookData(WebhookData):
    secret: str = Field(
        description="What its deliveries are signed with. It isn't shown again.", examples=[_EXAMPLE_SECRET]
    )


class SecretData(BaseModel):
    secret: str = Field(examples=[_EXAMPLE_SECRET])
    previous_secret_until: datetime | None = Field(
        description="Until when the secret before it signs as well; null if there was none."
    )


class AttemptData(BaseModel):
    at: datetime
    milliseconds: int
    status: int | None = Field(description="HTTP status of the answer; null if there was none.")
    answer: str | None = Field(description="The first kilobyte of its body.")
    error: str | None = Field(description="Why there was no answer.")


class DeliveryData(BaseModel):
    delivery_id: UUID = Field(description="Sent as `webhook-id`.", examples=[_EXAMPLE_ID])
    webhook_id: UUID | None = Field(description="Null if it goes to a task's `callback_url`.")
    callback_url: str | None
    event: str = Field(examples=["task.completed"])
    task_id: str | None = Field(description="Null for `webhook.test`.", examples=[_EXAMPLE_TASK])
    status: Literal["pending", "delivered", "failed"]
    attempts: list[AttemptData] = Field(description="The latest 20, in their order.")
    next_attempt_at: datetime | None = Field(description="Not before then; null once it has ended.")
    created_at: datetime
    ended_at: datetime | None


class WebhookAnswer(Answer[WebhookData]):
    """How a webhook stands."""


class CreatedWebhookAnswer(Answer[CreatedWebhookData]):
    """A new webhook, and its secret."""


class WebhookList(BaseModel):
    webhooks: list[WebhookData]


class WebhookListAnswer(Answer[WebhookList]):
    """All webhooks of the account."""


class SecretAnswer(Answer[SecretData]):
    """What deliveries are signed with."""


class DeliveryAnswer(Answer[DeliveryData]):
    """How a delivery stands."""


class DeliveryList(BaseModel):
    deliveries: list[DeliveryData] = Field(description="The latest first.")
    next_cursor: str | None = Field(description="The next page's `cursor`; null on the last one.")


class DeliveryListAnswer(Answer[DeliveryList]):
    """A page of deliveries."""


def webhook(endpoint: Endpoint) -> WebhookData:
    return WebhookData(
        webhook_id=endpoint.id,
        url=endpoint.url,
        description=endpoint.description,
        events=endpoint.events,
        enabled=endpoint.disabled_at is None,
        disabled_at=endpoint.disabled_at,
        disabled_reason=endpoint.disabled_reason,
        failing_since=endpoint.failing_since,
        created_at=endpoint.created_at,
    )


def secret_answer(signing: Signing, sealing: Sealing) -> SecretAnswer:
    secret = sealing.open_text(signing.secret)
    return SecretAnswer(data=SecretData(secret=secret, previous_secret_until=signing.previous_secret_until))


def delivery_answer(delivery: Delivery) -> DeliveryAnswer:
    return DeliveryAnswer(data=_delivery(delivery))


def delivery_list(page: Page[Delivery]) -> DeliveryListAnswer:
    deliveries = [_delivery(delivery) for delivery in page.rows]
    return DeliveryListAnswer(data=DeliveryList(deliveries=deliveries, next_cursor=page.next_cursor))


def _delivery(delivery: Delivery) -> DeliveryData:
    return DeliveryData(
        delivery_id=delivery.id,
        webhook_id=delivery.endpoint_id,
        callback_url=delivery.callback_url,
        event=delivery.event,
        task_id=delivery.task_id,
        status=delivery.state.value,
        attempts=[AttemptData(**attempt) for attempt in delivery.attempts],
        next_attempt_at=delivery.next_attempt_at if delivery.state is State.PENDING else None,
        created_at=delivery.created_at,
        ended_at=delivery.ended_at,
    )

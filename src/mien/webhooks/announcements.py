"""What is sent to every webhook, for the OpenAPI document. Nobody calls the function."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Header
from pydantic import BaseModel, Field

router = APIRouter(tags=["webhooks"])

Id = Annotated[
    UUID, Header(alias="webhook-id", description="The delivery's, the same each time that it is tried.")
]
Timestamp = Annotated[
    int, Header(alias="webhook-timestamp", description="When it was signed, in seconds since 1970.")
]
Signature = Annotated[
    str,
    Header(
        alias="webhook-signature",
        description="`v1,` and the signature after Standard Webhooks; several with spaces between them.",
        examples=["v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4="],
    ),
]

RECEIVER: Final[dict[str, Any]] = {
    "status_code": 204,
    "response_description": "Any status from 200 to 299 within 15 seconds; all else is tried again.",
}
"""What its receiver answers."""


class TestedWebhook(BaseModel):
    webhook_id: UUID


class WebhookTest(BaseModel):
    """A test that was asked for."""

    type: Literal["webhook.test"]
    timestamp: datetime
    data: TestedWebhook = Field(description="Which webhook is tested.")


@router.post("webhook.test", summary="A webhook is tested", **RECEIVER)
async def webhook_test(sent: WebhookTest, id: Id, timestamp: Timestamp, signature: Signature) -> None:
    """Sent when somebody asks for it."""

"""Payments through Stripe Checkout: a page of Stripe's for each order, and a signed webhook that reports.

Stripe may send an event again, late, or before an earlier one. What is read from it here says how things
stand, not what has changed, so that `mien.billing.orders` can compare.
"""

from typing import Any
from uuid import UUID

import stripe
import structlog
from pydantic import BaseModel, ValidationError

from mien.billing.payments import Abandoned, Disputed, Paid, PaymentEvent, Refunded
from mien.errors import InvalidRequest, Unavailable
from mien.money import Money

logger = structlog.get_logger(__name__)

_TIMEOUT = 20.0  # seconds
_RETRIES = 2
_ORDER = "mien_order"
"""The name of our order in the metadata of Stripe's objects; others of the same Stripe account have none."""

# Of a dispute that takes no money: inquiries, and those that were settled before they began.
_HARMLESS = ("warning", "prevented")


class StripeCheckout:
    """Fits `PaymentProvider`.

    `api_base` is Stripe's address or that of a double; `return_url` is where buyers go when they are done.
    """

    name = "stripe"

    def __init__(self, *, key: str, webhook_secret: str, api_base: str, return_url: str) -> None:
        self._http = stripe.HTTPXClient(timeout=_TIMEOUT)
        self._client = stripe.StripeClient(
            key,
            http_client=self._http,
            base_addresses={"api": api_base},
            max_network_retries=_RETRIES,
        )
        self._webhook_secret = webhook_secret
        self._return_url = return_url

    async def checkout(self, order_id: UUID, credits: int, price: Money) -> str | None:
        metadata = {_ORDER: str(order_id)}
        try:
            session = await self._client.v1.checkout.sessions.create_async(
                {
                    "mode": "payment",
                    "line_items": [
                        {
                            "quantity": 1,
                            "price_data": {
                                "currency": price.currency.lower(),
                                "unit_amount": price.units,
                                "product_data": {"name": f"{credits} credits"},
                            },
                        }
                    ],
                    "success_url": self._return_url,
                    "cancel_url": self._return_url,
                    "client_reference_id": str(order_id),
                    "metadata": metadata,
                    # Stripe hands it on to the charge, and with it to reports of refunds.
                    "payment_intent_data": {"metadata": metadata},
                },
                {"idempotency_key": str(order_id)},
            )
        except stripe.StripeError as error:
            logger.error("Stripe gave no checkout page", reason=str(error), order_id=str(order_id))
            raise Unavailable("The payment provider doesn't answer as it should. Try again later.") from None
        return session.url

    def read_event(self, payload: bytes, signature: str) -> PaymentEvent | None:
        try:
            stripe.WebhookSignature.verify_header(
                payload, signature, self._webhook_secret, stripe.Webhook.DEFAULT_TOLERANCE
            )
            event = _Event.model_validate_json(payload)
            return _read(event.type, event.data.object)
        except (stripe.SignatureVerificationError, UnicodeDecodeError):
            raise InvalidRequest("The webhook is not signed with the secret of this service.") from None
        except ValidationError as error:
            logger.error("webhook not understood", reason=str(error))
            raise InvalidRequest("The webhook is not an event as Stripe sends it.") from None

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call] # of stripe


def _read(type: str, found: dict[str, Any]) -> PaymentEvent | None:
    if type.startswith("charge.dispute."):
        dispute = _Dispute.model_validate(found)
        if dispute.payment_intent is None or dispute.status.startswith(_HARMLESS):
            return None
        return Disputed(dispute.payment_intent, dispute.id, dispute.money, won=dispute.status == "won")
    order_id = _order_of(found)
    if order_id is None:
        return None
    match type:
        case "checkout.session.completed" | "checkout.session.async_payment_succeeded":
            session = _Session.model_validate(found)
            if session.payment_status == "paid":  # else a report of its success or failure follows
                amount = Money(session.amount_total, session.currency.upper())
                return Paid(order_id, session.payment_intent, amount)
        case "checkout.session.expired" | "checkout.session.async_payment_failed":
            return Abandoned(order_id)
        case "charge.refunded":
            charge = _Charge.model_validate(found)
            refunded = Money(charge.amount_refunded, charge.currency.upper())
            return Refunded(order_id, charge.payment_intent, charge.money, refunded)
    return None


def _order_of(found: dict[str, Any]) -> UUID | None:
    """Our order that Stripe's object belongs to, or None if it's somebody else's."""
    try:
        return UUID(found["metadata"][_ORDER])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


class _Data(BaseModel):
    object: dict[str, Any]


class _Event(BaseModel):
    type: str
    data: _Data


class _Session(BaseModel):
    payment_status: str
    payment_intent: str
    amount_total: int
    currency: str


class _Sum(BaseModel):
    amount: int
    currency: str

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency.upper())


class _Charge(_Sum):
    payment_intent: str
    amount_refunded: int


class _Dispute(_Sum):
    id: str
    payment_intent: str | None
    status: str

"""How orders are paid: the port that a payment provider fits, and what it reports.

Without a provider that is set up, payments are manual: the buyer is told by the operator how to pay, and an
administrator confirms.
"""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from mien.errors import NotFound
from mien.money import Money
from mien.settings import Settings


@dataclass(frozen=True)
class Paid:
    """An order's price has been paid."""

    order_id: UUID
    payment_id: str
    amount: Money


@dataclass(frozen=True)
class Abandoned:
    """An order will not be paid any more."""

    order_id: UUID


@dataclass(frozen=True)
class Refunded:
    """Of what was paid, `refunded` has been returned by now, all in all."""

    order_id: UUID
    payment_id: str
    amount: Money
    refunded: Money


@dataclass(frozen=True)
class Disputed:
    """The buyer's bank takes `amount` back; `won` once it has decided that the operator keeps it."""

    payment_id: str
    dispute: str
    amount: Money
    won: bool


PaymentEvent = Paid | Abandoned | Refunded | Disputed


class PaymentProvider(Protocol):
    name: str

    async def checkout(self, order_id: UUID, credits: int, price: Money) -> str | None:
        """The address of a page on which an order can be paid, or None if that is done elsewhere.

        Raises `Unavailable` if the provider doesn't give one.
        """

    def read_event(self, payload: bytes, signature: str) -> PaymentEvent | None:
        """What a webhook of the provider reports; None if it's of no concern.

        Raises `InvalidRequest` if it isn't from the provider, and `NotFound` where no provider sends any.
        """

    async def close(self) -> None: ...


class ManualPayments:
    """An administrator confirms that an order was paid."""

    name = "manual"

    async def checkout(self, order_id: UUID, credits: int, price: Money) -> str | None:
        return None

    def read_event(self, payload: bytes, signature: str) -> PaymentEvent | None:
        raise NotFound("This service takes no payments through Stripe: MIEN_STRIPE_KEY is not set.")

    async def close(self) -> None:
        pass


def open_payments(settings: Settings) -> PaymentProvider:
    """The provider that the settings name."""
    if settings.stripe_key and settings.stripe_webhook_secret:
        from mien.billing.stripe_checkout import StripeCheckout  # large, and few need it

        return StripeCheckout(
            key=settings.stripe_key.get_secret_value(),
            webhook_secret=settings.stripe_webhook_secret.get_secret_value(),
            api_base=settings.stripe_api_base,
            return_url=settings.public_url,
        )
    return ManualPayments()

"""What requests about credits hold, and what is answered."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from mien.accounts.models import Account
from mien.billing.ledger import MAX_GRANT
from mien.billing.models import Kind, LedgerEntry, Order, OrderState, Outcome
from mien.billing.usage import Activity, Used
from mien.database.paging import Page
from mien.http.answers import Answer
from mien.http.principal import Limits, Principal
from mien.money import Money, Pack
from mien.settings import Settings

EXAMPLE_ACCOUNT = "5e0c1f7a-3d2b-4c8e-9f6a-1b7d4e2c9a30"
EXAMPLE_KEY = "c2a4e6f8-1b3d-4f5a-8c7e-9d0b2a4c6e81"
EXAMPLE_ORDER = "8d1f3b5c-7a9e-4b2d-a6c4-0e8f2d4b6a9c"
EXAMPLE_TASK = "6f1c2a9be0d84c1f9a5b7d3e2f4a6c8d_faceswap"


class LimitsData(BaseModel):
    requests_per_minute: int = Field(examples=[3000])
    tasks_in_flight: int = Field(examples=[100])
    tasks_per_day: int = Field(examples=[10_000])

    @classmethod
    def of(cls, limits: Limits) -> Self:
        return cls(
            requests_per_minute=limits.requests_per_minute,
            tasks_in_flight=limits.tasks_in_flight,
            tasks_per_day=limits.tasks_per_day,
        )


class Counts(BaseModel):
    tasks_in_flight: int = Field(description="Tasks that are queued or running.", examples=[1])
    tasks_last_24_hours: int = Field(description="Tasks created in the last 24 hours.", examples=[42])
    keys: int = Field(description="API keys that work.", examples=[2])


class AccountOverview(BaseModel):
    account_id: UUID = Field(examples=[EXAMPLE_ACCOUNT])
    name: str = Field(examples=["Example Ltd"])
    email: str | None = Field(
        description="Null for an account that has keys only.", examples=["studio@example.com"]
    )
    is_administrator: bool
    created_at: datetime
    balance: int = Field(description="Credits that can be spent.", examples=[1494])
    held: int = Field(
        description="Credits that tasks in flight hold. They are out of the balance, and come back if the "
        "task fails.",
        examples=[3],
    )
    debt: int = Field(
        description="Credits that were spent and whose payment was taken back. Until it's paid off no task "
        "can be created.",
        examples=[0],
    )
    price_per_face: int = Field(description="Credits that a swapped face costs.", examples=[3])
    limits: LimitsData = Field(description="Of all that the account does.")
    key_limits: LimitsData | None = Field(
        description="Of what is done with the key of this request; null if it has no limits of its own."
    )
    counts: Counts


class AccountOverviewAnswer(Answer[AccountOverview]):
    """How the account stands."""


def account_answer(
    settings: Settings, account: Account, activity: Activity, caller: Principal
) -> AccountOverviewAnswer:
    return AccountOverviewAnswer(
        data=AccountOverview(
            account_id=account.id,
            name=account.name,
            email=account.email,
            is_administrator=account.is_administrator,
            created_at=account.created_at,
            balance=account.balance,
            held=activity.held,
            debt=account.debt,
            price_per_face=settings.price_per_face,
            limits=LimitsData.of(caller.limits),
            key_limits=LimitsData.of(caller.key_limits) if caller.key_limits else None,
            counts=Counts(
                tasks_in_flight=activity.tasks_in_flight,
                tasks_last_24_hours=activity.tasks_last_24_hours,
                keys=activity.keys,
            ),
        )
    )


class UsageRow(BaseModel):
    date: date
    key_id: UUID | None = Field(
        description="The key the tasks were created with; null for a signed-in person's.",
        examples=[EXAMPLE_KEY],
    )
    key_name: str | None = Field(examples=["production"])
    status: Literal["IN_PROGRESS", "completed", "failed", "canceled"]
    tasks: int = Field(examples=[40])
    faces: int = Field(description="Faces that these tasks were to swap.", examples=[44])
    credits: int = Field(
        description="What they cost: failed and canceled ones nothing. Of tasks in progress, what they hold.",
        examples=[132],
    )


class UsageTotal(BaseModel):
    tasks: int = Field(examples=[40])
    faces: int = Field(examples=[44])
    credits: int = Field(examples=[132])


class UsageData(BaseModel):
    from_: date = Field(alias="from", description="First day, in UTC.")
    to: date = Field(description="Last day, in UTC.")
    days: list[UsageRow] = Field(description="By day, key and status; without those where nothing was done.")
    total: UsageTotal

    model_config = ConfigDict(serialize_by_alias=True)


class UsageAnswer(Answer[UsageData]):
    """What was used."""


def usage_answer(first: date, last: date, used: Sequence[Used]) -> UsageAnswer:
    days = [UsageRow.model_validate(row, from_attributes=True) for row in used]
    total = UsageTotal(
        tasks=sum(day.tasks for day in days),
        faces=sum(day.faces for day in days),
        credits=sum(day.credits for day in days),
    )
    return UsageAnswer(
        data=UsageData.model_validate({"from": first, "to": last, "days": days, "total": total})
    )


class Price(BaseModel):
    amount: str = Field(description="As a decimal number.", examples=["10.00"])
    currency: str = Field(description="ISO 4217.", examples=["USD"])

    @classmethod
    def of(cls, money: Money) -> Self:
        return cls(amount=money.amount, currency=money.currency)


class PackData(BaseModel):
    credits: int = Field(examples=[5000])
    price: Price


class PacksData(BaseModel):
    price_per_face: int = Field(
        description="Credits that a swapped face costs; with 0 nothing is sold.", examples=[3]
    )
    packs: list[PackData]


class PacksAnswer(Answer[PacksData]):
    """What is sold."""


def packs_answer(settings: Settings, packs: Sequence[Pack]) -> PacksAnswer:
    shown = [PackData(credits=pack.credits, price=Price.of(pack.price)) for pack in packs]
    return PacksAnswer(data=PacksData(price_per_face=settings.price_per_face, packs=shown))


class EntryData(BaseModel):
    entry_id: int = Field(examples=[1042])
    created_at: datetime
    kind: Kind
    credits: int = Field(description="What was added to the balance.", examples=[-3])
    debt: int = Field(description="What was added to the debt.", examples=[0])
    task_id: str | None = Field(examples=[EXAMPLE_TASK])
    key_id: UUID | None = Field(examples=[EXAMPLE_KEY])
    faces: int | None = Field(examples=[1])
    outcome: Outcome | None = Field(description="How the task ended, of `settle` and `release`.")
    order_id: UUID | None
    reason: str | None = Field(description="Why credits were granted.")


class EntriesData(BaseModel):
    entries: list[EntryData] = Field(description="Newest first.")
    next_cursor: str | None = Field(description="The next page's `cursor`; null on the last one.")


class EntryAnswer(Answer[EntryData]):
    """An entry of the ledger."""


def entry_data(entry: LedgerEntry) -> EntryData:
    return EntryData(
        entry_id=entry.id,
        created_at=entry.created_at,
        kind=entry.kind,
        credits=entry.credits,
        debt=entry.debt,
        task_id=entry.task_id,
        key_id=entry.key_id,
        faces=entry.faces,
        outcome=entry.outcome,
        order_id=entry.order_id,
        reason=entry.reason,
    )


class EntriesAnswer(Answer[EntriesData]):
    """A page of the ledger."""


def entries_answer(page: Page[LedgerEntry]) -> EntriesAnswer:
    entries = [entry_data(entry) for entry in page.rows]
    return EntriesAnswer(data=EntriesData(entries=entries, next_cursor=page.next_cursor))


class OrderRequest(BaseModel):
    """Orders one of the packs."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"credits": 5000}]})

    credits: int = Field(description="Which pack: one of those at `/api/v1/credits/packs`.")


class OrderData(BaseModel):
    order_id: UUID = Field(examples=[EXAMPLE_ORDER])
    status: OrderState
    credits: int = Field(examples=[5000])
    price: Price
    provider: Literal["manual", "stripe"] = Field(
        description="How it's paid: through Stripe, or as the operator says, who then confirms."
    )
    checkout_url: str | None = Field(
        description="Where it can be paid; null once it's paid or canceled, and where the operator confirms.",
        examples=["https://checkout.stripe.com/c/pay/cs_example"],
    )
    created_at: datetime
    paid_at: datetime | None


class OrdersData(BaseModel):
    orders: list[OrderData] = Field(description="Newest first.")
    next_cursor: str | None = Field(description="The next page's `cursor`; null on the last one.")


def order_data(order: Order) -> OrderData:
    return OrderData.model_validate(
        {
            "order_id": order.id,
            "status": order.state,
            "credits": order.credits,
            "price": Price.of(Money(order.units, order.currency)),
            "provider": order.provider,
            "checkout_url": order.checkout_url if order.state == OrderState.PENDING else None,
            "created_at": order.created_at,
            "paid_at": order.paid_at,
        }
    )


class OrderAnswer(Answer[OrderData]):
    """How an order stands."""


def order_answer(order: Order) -> OrderAnswer:
    return OrderAnswer(data=order_data(order))


class OrdersAnswer(Answer[OrdersData]):
    """A page of orders."""


def orders_answer(page: Page[Order]) -> OrdersAnswer:
    orders = [order_data(order) for order in page.rows]
    return OrdersAnswer(data=OrdersData(orders=orders, next_cursor=page.next_cursor))


class GrantRequest(BaseModel):
    """Gives credits to an account."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"credits": 300, "reason": "Welcome to the beta"}]}
    )

    credits: int = Field(ge=1, le=MAX_GRANT)
    reason: str = Field(
        default="Granted by an administrator",
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f]+$",
        description="Shown to the account's owner.",
    )

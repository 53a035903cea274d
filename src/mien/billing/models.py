"""Tables: the ledger of credits, which is only ever added to, and orders for more of them.

An account's balance and debt are what its entries add up to. Both are kept in its row as well, changed in the
transaction that writes the entry, where a constraint holds them at 0 or above. Of two triggers (in revision
0004) one refuses to change or delete an entry, and one enters what an account starts with as a grant.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Enum,
    ForeignKey,
    Identity,
    Index,
    String,
    Uuid,
    column,
    func,
    table,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from mien.database.connection import Base


class Kind(StrEnum):
    HOLD = "hold"
    """−price, when a task is created."""
    SETTLE = "settle"
    """0, when it's completed: the hold is the price."""
    RELEASE = "release"
    """What was held, when it has failed or was canceled."""
    GRANT = "grant"
    PURCHASE = "purchase"
    REFUND = "refund"
    """What an order's money bought, when the operator gives the money back."""
    CHARGEBACK = "chargeback"
    """The same, when the buyer's bank takes it back."""
    REINSTATEMENT = "reinstatement"
    """What a chargeback took, when the bank decides for the operator."""


class Outcome(StrEnum):
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


class OrderState(StrEnum):
    PENDING = "pending"
    PAID = "paid"
    CANCELED = "canceled"


class LedgerEntry(Base):
    """One change of an account's balance, of its debt, or of both; a settle changes neither."""

    __tablename__ = "ledger_entries"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    kind: Mapped[Kind] = mapped_column(
        Enum(Kind, native_enum=False, create_constraint=False, values_callable=list, length=16)
    )
    credits: Mapped[int] = mapped_column(BigInteger)
    """What is added to the balance."""
    debt: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """What is added to the debt: what a chargeback found spent, or less what pays it off."""
    task_id: Mapped[str | None]
    key_id: Mapped[UUID | None]
    """The key that the task was created with; null if that was done in a browser's session. It outlives the
    key, so it's no foreign key."""
    faces: Mapped[int | None]
    outcome: Mapped[Outcome | None] = mapped_column(
        Enum(Outcome, native_enum=False, create_constraint=False, values_callable=list, length=16)
    )
    """How the task of a closing entry ended."""
    order_id: Mapped[UUID | None] = mapped_column(ForeignKey("orders.id"))
    reference: Mapped[str | None]
    """The payment provider's name for what happened, which happens once."""
    reason: Mapped[str | None]
    """Why, in words for the account's owner."""
    made_by: Mapped[str | None]
    """Who did it, where somebody did: an administrator's account id, or the command line."""

    __table_args__ = (
        CheckConstraint(
            "CASE kind"
            " WHEN 'hold' THEN credits <= 0 AND debt = 0"
            " WHEN 'settle' THEN credits = 0 AND debt = 0"
            " WHEN 'refund' THEN credits <= 0 AND debt >= 0"
            " WHEN 'chargeback' THEN credits <= 0 AND debt >= 0"
            " ELSE credits >= 0 AND debt <= 0 END",
            name="signs",
        ),
        CheckConstraint(
            "kind IN ('hold', 'settle', 'release', 'grant', 'purchase', 'refund', 'chargeback',"
            " 'reinstatement')",
            name="kind",
        ),
        CheckConstraint(
            "(kind IN ('hold', 'settle', 'release')) = (task_id IS NOT NULL AND faces IS NOT NULL)",
            name="task",
        ),
        CheckConstraint(
            "CASE kind WHEN 'settle' THEN outcome IS NOT DISTINCT FROM 'completed'"
            " WHEN 'release' THEN coalesce(outcome IN ('failed', 'canceled'), false)"
            " ELSE outcome IS NULL END",
            name="outcome",
        ),
        CheckConstraint(
            "(kind IN ('purchase', 'refund', 'chargeback', 'reinstatement')) = (order_id IS NOT NULL)",
            name="order",
        ),
        Index("ix_ledger_entries_account_id_id", "account_id", "id"),
        Index("ix_ledger_entries_holds", "account_id", "created_at", postgresql_where=text("kind = 'hold'")),
        Index("uq_ledger_entries_hold", "task_id", unique=True, postgresql_where=text("kind = 'hold'")),
        Index(
            "uq_ledger_entries_closing",
            "task_id",
            unique=True,
            postgresql_where=text("kind IN ('settle', 'release')"),
        ),
        Index(
            "uq_ledger_entries_purchase",
            "order_id",
            unique=True,
            postgresql_where=text("kind = 'purchase'"),
        ),
        Index("ix_ledger_entries_order_id", "order_id", postgresql_where=text("order_id IS NOT NULL")),
        Index(
            "uq_ledger_entries_reference",
            "kind",
            "reference",
            unique=True,
            postgresql_where=text("reference IS NOT NULL"),
        ),
    )


class Order(Base):
    """A pack of credits that somebody wants to pay for."""

    __tablename__ = "orders"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    credits: Mapped[int] = mapped_column(BigInteger)
    units: Mapped[int] = mapped_column(BigInteger)
    """The price in the smallest units of its currency."""
    currency: Mapped[str] = mapped_column(String(3))
    """ISO 4217, in capitals."""
    provider: Mapped[str]
    """Which way of payment it was made for."""
    state: Mapped[OrderState] = mapped_column(
        Enum(OrderState, native_enum=False, create_constraint=False, values_callable=list, length=16)
    )
    checkout_url: Mapped[str | None]
    """Where it can be paid, if there is such a page."""
    payment_id: Mapped[str | None] = mapped_column(unique=True)
    """The provider's name for the payment, once there is one."""
    paid_at: Mapped[datetime | None]
    confirmed_by: Mapped[str | None]
    """Who confirmed the payment, if it was a person."""

    __table_args__ = (
        CheckConstraint("credits > 0", name="credits"),
        CheckConstraint("units > 0", name="units"),
        CheckConstraint("state IN ('pending', 'paid', 'canceled')", name="state"),
        CheckConstraint("(state = 'paid') = (paid_at IS NOT NULL)", name="paid_at"),
        Index("ix_orders_account_id_created_at", "account_id", "created_at"),
        Index("ix_orders_pending", "created_at", postgresql_where=text("state = 'pending'")),
    )


# The room of tasks stands above this one, so what is read of its table here is named here.
tasks = table("tasks", column("id", String), column("account_id", Uuid), column("state", String))

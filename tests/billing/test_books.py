"""Whatever happens in whatever order, the books add up."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from mien.accounts.models import Account
from mien.accounts.service import create_account
from mien.billing import ledger, orders
from mien.billing.models import LedgerEntry, Order, OrderState, Outcome
from mien.billing.payments import Disputed, Paid, PaymentEvent, Refunded
from mien.database.connection import create_engine, create_sessions
from mien.errors import InsufficientCredits
from mien.money import Money

Result = TypeVar("Result")

PRICE = 3
ORDERED = 50
PAID = Money(1000, "USD")


class Books(RuleBasedStateMachine):
    """One account and a model of it; every step is a transaction of its own."""

    database_url = ""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.engine = create_engine(self.database_url, pool_size=1)
        self.sessions = create_sessions(self.engine)
        self.account_id = self.run(lambda session: create_account(session, "Test")).id
        self.order: Order = self.run(self._place)
        self.worth = 0
        """Balance without debt, by the model."""
        self.open: dict[str, int] = {}
        self.paid = self.disputed = self.won = False
        self.refunded = self.disputed_credits = 0

    def teardown(self) -> None:
        self.runner.run(self.engine.dispose())
        self.runner.close()

    def run(self, step: Callable[[AsyncSession], Awaitable[Result]]) -> Result:
        async def commit() -> Result:
            async with self.sessions.begin() as session:
                return await step(session)

        return self.runner.run(commit())

    async def _place(self, session: AsyncSession) -> Order:
        order = Order(
            account_id=self.account_id,
            credits=ORDERED,
            units=PAID.units,
            currency=PAID.currency,
            provider="stripe",
            state=OrderState.PENDING,
        )
        session.add(order)
        await session.flush()
        return order

    @property
    def payment(self) -> str:
        return f"pi_{self.order.id}"

    def report(self, event: PaymentEvent) -> None:
        self.run(lambda session: orders.record(session, event))

    def standing(self) -> tuple[int, int]:
        async def read(session: AsyncSession) -> tuple[int, int]:
            account = await session.get_one(Account, self.account_id)
            return account.balance, account.debt

        return self.run(read)

    @rule(credits=st.integers(1, 40))
    def grant(self, credits: int) -> None:
        self.run(lambda session: ledger.grant(session, self.account_id, credits, "For tests", None))
        self.worth += credits

    @rule(faces=st.integers(1, 4))
    def hold(self, faces: int) -> None:
        task_id, price = uuid4().hex, faces * PRICE
        balance, debt = self.standing()
        try:
            self.run(
                lambda session: ledger.hold(
                    session, self.account_id, task_id, None, faces, price_per_face=PRICE
                )
            )
        except InsufficientCredits:
            assert debt > 0 or balance < price
        else:
            assert debt == 0
            assert balance >= price
            self.open[task_id] = price
            self.worth -= price

    @rule(again=st.booleans())
    def settle(self, again: bool) -> None:
        if self.open:
            task_id, _ = self.open.popitem()
            assert self.run(lambda session: ledger.settle(session, task_id))
            if again:
                assert not self.run(lambda session: ledger.release(session, task_id))

    @rule(again=st.booleans())
    def release(self, again: bool) -> None:
        if self.open:
            task_id, price = self.open.popitem()
            assert self.run(lambda session: ledger.release(session, task_id, Outcome.CANCELED))
            self.worth += price
            if again:
                assert not self.run(lambda session: ledger.settle(session, task_id))

    @rule()
    def pay(self) -> None:
        self.report(Paid(self.order.id, self.payment, PAID))
        self._has_been_paid()

    @rule(cents=st.integers(1, PAID.units))
    def refund(self, cents: int) -> None:
        self.report(Refunded(self.order.id, self.payment, PAID, Money(cents, "USD")))
        self._has_been_paid()
        due = max(ORDERED * cents // PAID.units, self.refunded)
        taken = min(due - self.refunded, self._left())
        self.refunded += taken
        self.worth -= taken

    @rule(won=st.booleans())
    def dispute(self, won: bool) -> None:
        self.report(Disputed(self.payment, f"dp_{self.order.id}", PAID, won))
        if not self.paid:
            return  # it's nobody's yet
        if not self.disputed:
            self.disputed_credits = self._left()
            self.worth -= self.disputed_credits
            self.disputed = True
        if won and not self.won:
            self.worth += self.disputed_credits
            self.won = True

    def _has_been_paid(self) -> None:
        if not self.paid:
            self.paid = True
            self.worth += ORDERED

    def _left(self) -> int:
        taken = self.disputed_credits if self.disputed and not self.won else 0
        return ORDERED - self.refunded - taken

    @invariant()
    def balance_and_debt_are_what_the_entries_add_up_to(self) -> None:
        async def read(session: AsyncSession) -> tuple[Account, int, int]:
            credits, debt = func.sum(LedgerEntry.credits), func.sum(LedgerEntry.debt)
            found = select(credits, debt).where(LedgerEntry.account_id == self.account_id)
            sums = (await session.execute(found)).one()
            account = await session.get_one(Account, self.account_id)
            return account, int(sums[0] or 0), int(sums[1] or 0)

        account, credits, debt = self.run(read)
        assert account.balance >= 0
        assert account.debt >= 0
        assert (account.balance, account.debt) == (credits, debt)
        assert account.balance - account.debt == self.worth


@pytest.mark.slow
def test_the_books_add_up_whatever_happens(module_database_url: str) -> None:
    class OnThisDatabase(Books):
        database_url = module_database_url

    run_state_machine_as_test(
        OnThisDatabase,
        settings=settings(
            max_examples=20,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

"""The ledger on a real PostgreSQL."""

import asyncio
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mien.accounts.models import Account
from mien.accounts.service import create_account
from mien.billing import ledger
from mien.billing.models import Kind, LedgerEntry, Outcome
from mien.errors import InsufficientCredits, InvalidRequest, NotFound

Sessions = async_sessionmaker[AsyncSession]


@pytest.fixture
def database_url(module_database_url: str) -> str:
    """One database for all: each test has accounts of its own."""
    return module_database_url


async def grant(sessions: Sessions, account_id: UUID, credits: int) -> None:
    async with sessions.begin() as session:
        await ledger.grant(session, account_id, credits, "For tests", None)


def task(account_id: UUID, number: int = 0) -> str:
    return f"{account_id}_{number}"


async def hold(sessions: Sessions, account_id: UUID, number: int = 0, faces: int = 1) -> None:
    async with sessions.begin() as session:
        await ledger.hold(session, account_id, task(account_id, number), None, faces, price_per_face=3)


async def settle(sessions: Sessions, account_id: UUID) -> bool:
    async with sessions.begin() as session:
        return await ledger.settle(session, task(account_id))


async def release(sessions: Sessions, account_id: UUID) -> bool:
    async with sessions.begin() as session:
        return await ledger.release(session, task(account_id))


async def entry(sessions: Sessions, account_id: UUID, kind: Kind) -> LedgerEntry:
    async with sessions() as session:
        found = select(LedgerEntry).where(LedgerEntry.account_id == account_id, LedgerEntry.kind == kind)
        return (await session.scalars(found)).one()


async def balance(sessions: Sessions, account_id: UUID) -> int:
    async with sessions() as session:
        return (await session.scalars(select(Account.balance).where(Account.id == account_id))).one()


async def entries(sessions: Sessions, account_id: UUID) -> list[tuple[str, int]]:
    async with sessions() as session:
        found = await session.execute(
            select(LedgerEntry.kind, LedgerEntry.credits)
            .where(LedgerEntry.account_id == account_id)
            .order_by(LedgerEntry.id)
        )
        return [(kind.value, credits) for kind, credits in found]


class TestHold:
    async def test_takes_the_price_of_all_faces_from_the_balance(
        self, sessions: Sessions, account_id: UUID
    ) -> None:
        await grant(sessions, account_id, 10)
        await hold(sessions, account_id, faces=3)
        assert await balance(sessions, account_id) == 1
        assert await entries(sessions, account_id) == [("grant", 10), ("hold", -9)]

    async def test_says_for_whom_what_and_with_which_key(self, sessions: Sessions, account_id: UUID) -> None:
        await grant(sessions, account_id, 10)
        key_id = uuid4()
        async with sessions.begin() as session:
            await ledger.hold(session, account_id, task(account_id), key_id, 2, price_per_face=3)
        held = await entry(sessions, account_id, Kind.HOLD)
        assert (held.task_id, held.key_id, held.faces) == (task(account_id), key_id, 2)

    async def test_says_what_it_costs_what_there_is_and_what_to_do(
        self, sessions: Sessions, account_id: UUID
    ) -> None:
        await grant(sessions, account_id, 5)
        with pytest.raises(InsufficientCredits, match=r"costs 6 credits \(3 a face\).*balance is 5.*Buy"):
            await hold(sessions, account_id, faces=2)
        assert await entries(sessions, account_id) == [("grant", 5)]

    async def test_costs_nothing_where_a_face_costs_nothing(
        self, sessions: Sessions, account_id: UUID
    ) -> None:
        async with sessions.begin() as session:
            await ledger.hold(session, account_id, task(account_id), None, 2, price_per_face=0)
        assert await entries(sessions, account_id) == [("hold", 0)]

    async def test_goes_with_the_transaction(self, sessions: Sessions, account_id: UUID) -> None:
        await grant(sessions, account_id, 10)
        async with sessions() as session:
            await ledger.hold(session, account_id, task(account_id), None, 1, price_per_face=3)
            await session.rollback()
        assert await balance(sessions, account_id) == 10
        assert await entries(sessions, account_id) == [("grant", 10)]

    async def test_holds_a_task_once(self, sessions: Sessions, account_id: UUID) -> None:
        await grant(sessions, account_id, 10)
        await hold(sessions, account_id)
        with pytest.raises(IntegrityError, match="uq_ledger_entries_hold"):
            await hold(sessions, account_id)
        assert await balance(sessions, account_id) == 7

    async def test_only_as_many_at_the_same_time_as_the_balance_pays_for(
        self, sessions: Sessions, account_id: UUID
    ) -> None:
        await grant(sessions, account_id, 300)
        outcomes = await asyncio.gather(
            *(hold(sessions, account_id, number) for number in range(200)), return_exceptions=True
        )
        assert outcomes.count(None) == 100
        assert sum(isinstance(outcome, InsufficientCredits) for outcome in outcomes) == 100
        assert await balance(sessions, account_id) == 0
        assert await entries(sessions, account_id) == [("grant", 300), *[("hold", -3)] * 100]


class TestClosing:
    async def test_settling_keeps_the_price(self, sessions: Sessions, account_id: UUID) -> None:
        await grant(sessions, account_id, 10)
        await hold(sessions, account_id)
        assert await settle(sessions, account_id)
        assert await balance(sessions, account_id) == 7
        assert await entries(sessions, account_id) == [("grant", 10), ("hold", -3), ("settle", 0)]

    async def test_releasing_gives_it_back(self, sessions: Sessions, account_id: UUID) -> None:
        await grant(sessions, account_id, 10)
        await hold(sessions, account_id)
        assert await release(sessions, account_id)
        assert await balance(sessions, account_id) == 10
        assert await entries(sessions, account_id) == [("grant", 10), ("hold", -3), ("release", 3)]

    @pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.CANCELED])
    async def test_a_release_tells_how_the_task_ended(
        self, sessions: Sessions, account_id: UUID, outcome: ledger.Failed
    ) -> None:
        await grant(sessions, account_id, 10)
        await hold(sessions, account_id, faces=2)
        async with sessions.begin() as session:
            await ledger.release(session, task(account_id), outcome)
        closing = await entry(sessions, account_id, Kind.RELEASE)
        assert (closing.outcome, closing.task_id, closing.faces) == (outcome, task(account_id), 2)

    @pytest.mark.parametrize("first", [settle, release])
    @pytest.mark.parametrize("second", [settle, release])
    async def test_a_second_time_changes_nothing(
        self, sessions: Sessions, account_id: UUID, first: object, second: object
    ) -> None:
        assert callable(first) and callable(second)
        await grant(sessions, account_id, 10)
        await hold(sessions, account_id)
        assert await first(sessions, account_id)
        before = await entries(sessions, account_id), await balance(sessions, account_id)
        assert not await second(sessions, account_id)
        assert (await entries(sessions, account_id), await balance(sessions, account_id)) == before

    @pytest.mark.parametrize("close", [settle, release])
    async def test_what_was_never_held_changes_nothing(
        self, sessions: Sessions, account_id: UUID, close: object
    ) -> None:
        assert callable(close)
        assert not await close(sessions, account_id)
        assert await entries(sessions, account_id) == []

    async def test_many_at_the_same_time_close_once(self, sessions: Sessions, account_id: UUID) -> None:
        await grant(sessions, account_id, 10)
        await hold(sessions, account_id)
        closed = await asyncio.gather(*(close(sessions, account_id) for close in [settle, release] * 10))
        assert sum(closed) == 1
        assert len(await entries(sessions, account_id)) == 3
        assert await balance(sessions, account_id) in (7, 10)


class TestGrant:
    async def test_of_nothing_or_less_is_refused(self, sessions: Sessions, account_id: UUID) -> None:
        for credits in (0, -1, ledger.MAX_GRANT + 1):
            with pytest.raises(InvalidRequest):
                await grant(sessions, account_id, credits)
        assert await entries(sessions, account_id) == []

    async def test_needs_an_account(self, sessions: Sessions) -> None:
        with pytest.raises(NotFound):
            await grant(sessions, uuid4(), 1)


class TestStartingCredits:
    async def test_are_entered_as_a_grant(self, sessions: Sessions) -> None:
        async with sessions.begin() as session:
            account = await create_account(session, "Test", credits=30)
        assert await entries(sessions, account.id) == [("grant", 30)]
        assert (await entry(sessions, account.id, Kind.GRANT)).reason == "Starting credits"

    async def test_of_nothing_are_no_entry(self, sessions: Sessions, account_id: UUID) -> None:
        assert await entries(sessions, account_id) == []


class TestTheTable:
    @pytest.mark.parametrize(
        "statement",
        [update(LedgerEntry).values(credits=1), delete(LedgerEntry), text("TRUNCATE ledger_entries")],
        ids=["update", "delete", "truncate"],
    )
    async def test_is_only_added_to(self, sessions: Sessions, account_id: UUID, statement: object) -> None:
        await grant(sessions, account_id, 10)
        async with sessions() as session:
            with pytest.raises(IntegrityError, match="only added to"):
                await session.execute(statement)  # type: ignore[call-overload]
        assert await entries(sessions, account_id) == [("grant", 10)]

    async def test_balance_below_zero_is_refused_by_the_database(
        self, sessions: Sessions, account_id: UUID
    ) -> None:
        async with sessions() as session:
            with pytest.raises(IntegrityError, match="ck_accounts_balance"):
                await session.execute(update(Account).values(balance=-1))

    async def test_account_with_entries_stays(self, sessions: Sessions, account_id: UUID) -> None:
        await grant(sessions, account_id, 10)
        async with sessions() as session:
            with pytest.raises(IntegrityError, match="ledger_entries"):
                await session.execute(delete(Account).where(Account.id == account_id))

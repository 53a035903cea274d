from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mien.accounts.models import Account, ApiKey
from mien.accounts.service import (
    admit_first_key,
    authenticate,
    create_account,
    generate_key,
    issue_key,
)
from mien.settings import load_settings

Sessions = async_sessionmaker[AsyncSession]


async def _account_with_key(sessions: Sessions, name: str = "Ada") -> tuple[Account, str]:
    async with sessions.begin() as session:
        account = await create_account(session, name)
        return account, await issue_key(session, account.id, "laptop")


class TestIssueKey:
    async def test_key_has_256_random_bits_behind_its_mark(self, sessions: Sessions) -> None:
        _, first = await _account_with_key(sessions)
        _, second = await _account_with_key(sessions)
        assert first != second
        assert first.startswith("aio_")
        assert len(first) == len("aio_") + 43

    async def test_database_never_holds_the_key(self, sessions: Sessions) -> None:
        _, key = await _account_with_key(sessions)
        async with sessions() as session:
            row = (await session.execute(select(ApiKey.__table__))).mappings().one()
        assert row["prefix"] == key[:12]
        assert all(key not in str(value) for value in row.values())

    async def test_account_has_to_exist(self, sessions: Sessions) -> None:
        async with sessions() as session:
            with pytest.raises(IntegrityError):
                await issue_key(session, Account(name="nobody").id, "laptop")


class TestAuthenticate:
    async def test_key_tells_its_account(self, sessions: Sessions) -> None:
        await _account_with_key(sessions, "Grace")
        account, key = await _account_with_key(sessions)
        async with sessions.begin() as session:
            principal = await authenticate(session, load_settings(), key)
            key_id = await session.scalar(select(ApiKey.id).where(ApiKey.account_id == account.id))
        assert principal is not None
        assert (principal.account_id, principal.key_id) == (account.id, key_id)

    @pytest.mark.parametrize(
        "change",
        [str.upper, lambda key: key[:-1], lambda key: key + " ", lambda key: "", lambda key: key[4:]],
    )
    async def test_anything_else_is_nobody(self, sessions: Sessions, change: Callable[[str], str]) -> None:
        _, key = await _account_with_key(sessions)
        async with sessions.begin() as session:
            assert await authenticate(session, load_settings(), change(key)) is None

    async def test_unknown_key_is_nobody(self, sessions: Sessions) -> None:
        async with sessions.begin() as session:
            assert await authenticate(session, load_settings(), generate_key()) is None

    async def test_revoked_key_is_nobody(self, sessions: Sessions) -> None:
        _, key = await _account_with_key(sessions)
        async with sessions.begin() as session:
            await session.execute(update(ApiKey).values(revoked_at=func.now()))
        async with sessions.begin() as session:
            assert await authenticate(session, load_settings(), key) is None

    async def test_key_of_a_disabled_account_is_nobody(self, sessions: Sessions) -> None:
        _, key = await _account_with_key(sessions)
        async with sessions.begin() as session:
            await session.execute(update(Account).values(disabled_at=func.now()))
        async with sessions.begin() as session:
            assert await authenticate(session, load_settings(), key) is None

    async def test_last_use_is_noted_to_the_minute(self, sessions: Sessions) -> None:
        _, key = await _account_with_key(sessions)
        moments: list[datetime] = []
        for earlier in (timedelta(0), timedelta(0), timedelta(minutes=2)):
            async with sessions.begin() as session:
                await session.execute(update(ApiKey).values(last_used_at=ApiKey.last_used_at - earlier))
            async with sessions.begin() as session:
                assert await authenticate(session, load_settings(), key)
            async with sessions() as session:
                moments.append((await session.scalars(select(ApiKey.last_used_at))).one() or datetime.min)
        assert moments[0] == moments[1]
        assert moments[2] > moments[1]
        assert datetime.now(UTC) - moments[2] < timedelta(minutes=1)


class TestAdmitFirstKey:
    async def test_makes_the_first_account(self, sessions: Sessions) -> None:
        key = generate_key()
        async with sessions.begin() as session:
            await admit_first_key(session, key)
        async with sessions.begin() as session:
            assert await authenticate(session, load_settings(), key)

    async def test_again_changes_nothing(self, sessions: Sessions) -> None:
        key = generate_key()
        for _ in range(2):
            async with sessions.begin() as session:
                await admit_first_key(session, key)
        async with sessions() as session:
            assert await session.scalar(select(func.count()).select_from(Account)) == 1
            assert await session.scalar(select(func.count()).select_from(ApiKey)) == 1

    async def test_new_key_belongs_to_the_oldest_account(self, sessions: Sessions) -> None:
        account, _ = await _account_with_key(sessions)
        await _account_with_key(sessions, "Grace")
        key = generate_key()
        async with sessions.begin() as session:
            await admit_first_key(session, key)
        async with sessions.begin() as session:
            principal = await authenticate(session, load_settings(), key)
        assert principal and principal.account_id == account.id

    async def test_revoked_key_stays_revoked(self, sessions: Sessions) -> None:
        _, key = await _account_with_key(sessions)
        async with sessions.begin() as session:
            await session.execute(update(ApiKey).values(revoked_at=func.now()))
        async with sessions.begin() as session:
            await admit_first_key(session, key)
        async with sessions.begin() as session:
            assert await authenticate(session, load_settings(), key) is None

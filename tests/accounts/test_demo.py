"""The account of those who have none."""

from mien.accounts import people, service
from mien.accounts.demo import DEMO_ACCOUNT, open_demo_account
from mien.resources import Resources


async def test_it_is_opened_once_and_nobody_is_second_after_it(resources: Resources) -> None:
    async with resources.sessions.begin() as session:
        assert (await open_demo_account(session)).id == DEMO_ACCOUNT
        assert (await open_demo_account(session)).id == DEMO_ACCOUNT
        assert await service.oldest_account(session) is None
        first = await people.add_person(session, "first@example.com", "hash", name="First")
        assert first.is_administrator
        assert await service.oldest_account(session) == first

"""Who is told of what, how often it's tried, and when an endpoint is given up."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from mien.accounts.service import create_account
from mien.errors import Conflict, NotFound
from mien.resources import Resources
from mien.webhooks import queries, service
from mien.webhooks.models import Delivery, Endpoint, Event, State
from mien.webhooks.service import DELAYS, DISABLED_AFTER, MAX_ENDPOINTS, Attempt

Create = Callable[..., Awaitable[Endpoint]]
Announce = Callable[..., Awaitable[list[UUID]]]
ReadDelivery = Callable[[UUID], Awaitable[Delivery]]
ReadEndpoint = Callable[[UUID], Awaitable[Endpoint]]
ById = Callable[[UUID], Awaitable[None]]

URL = "https://example.com/hooks"


@pytest.fixture
def attempt(resources: Resources, make_due: ById) -> Callable[..., Awaitable[State]]:
    """Makes an attempt that ends with a status, without sending anything."""

    async def attempt(delivery_id: UUID, status: int | None) -> State:
        await make_due(delivery_id)
        async with resources.sessions.begin() as session:
            delivery = await queries.start_attempt(session, delivery_id, timedelta(minutes=1))
            assert delivery
            error = None if status else "The receiver can't be reached."
            ended = Attempt(datetime.now(UTC), milliseconds=1, status=status, error=error)
            return await service.end_attempt(session, delivery, ended)

    return attempt


AttemptOnce = Callable[..., Awaitable[State]]


class TestAnnounce:
    async def test_makes_a_delivery_and_a_job_for_each_receiver(
        self,
        create: Create,
        announce: Announce,
        delivery: ReadDelivery,
        jobs: Callable[[], Awaitable[list[UUID]]],
    ) -> None:
        endpoint = await create(URL)
        made = await announce(callback_url="https://example.com/callback")
        first, second = [await delivery(id) for id in made]
        assert {first.endpoint_id, second.endpoint_id} == {endpoint.id, None}
        assert {first.callback_url, second.callback_url} == {"https://example.com/callback", None}
        assert sorted(await jobs()) == sorted(made)
        assert (first.state, first.attempt, first.task_id) == (
            "pending",
            0,
            json.loads(first.body)["data"]["task_id"],
        )

    async def test_the_message_has_type_time_and_the_task(
        self, create: Create, announce: Announce, delivery: ReadDelivery
    ) -> None:
        await create(URL)
        (made,) = await announce(Event.TASK_FAILED)
        message = json.loads((await delivery(made)).body)
        assert set(message) == {"type", "timestamp", "data"}
        assert message["type"] == "task.failed"
        assert message["data"]["who"] == "Zoë"
        assert datetime.now(UTC) - datetime.fromisoformat(message["timestamp"]) < timedelta(minutes=1)

    async def test_tells_only_enabled_endpoints_of_the_account_that_want_the_event(
        self, resources: Resources, create: Create, announce: Announce, delivery: ReadDelivery
    ) -> None:
        wanting = await create(URL, Event.TASK_FAILED, Event.TASK_CANCELED)
        await create(URL, Event.TASK_COMPLETED)
        disabled = await create(URL)
        async with resources.sessions.begin() as session:
            service.change(await session.merge(disabled), enabled=False)
            stranger = await create_account(session, "Stranger")
            await service.create_endpoint(
                session, resources.sealing, stranger.id, url=URL, description="", events=[*Event]
            )
        (made,) = await announce(Event.TASK_CANCELED)
        assert (await delivery(made)).endpoint_id == wanting.id

    async def test_sends_nothing_of_a_transaction_that_fails(
        self,
        resources: Resources,
        account_id: UUID,
        create: Create,
        jobs: Callable[[], Awaitable[list[UUID]]],
    ) -> None:
        await create(URL)
        with pytest.raises(RuntimeError):
            async with resources.sessions.begin() as session:
                await service.announce(session, account_id, Event.TASK_COMPLETED, {"task_id": "a"}, URL)
                raise RuntimeError
        async with resources.sessions() as session:
            assert await session.scalar(select(func.count()).select_from(Delivery)) == 0
        assert await jobs() == []


class TestAttempts:
    async def test_success_ends_it(
        self, create: Create, announce: Announce, attempt: AttemptOnce, delivery: ReadDelivery
    ) -> None:
        await create(URL)
        (made,) = await announce()
        assert await attempt(made, 299) == "delivered"
        ended = await delivery(made)
        assert ended.ended_at is not None
        assert [entry["status"] for entry in ended.attempts] == [299]

    async def test_failures_are_tried_again_later_and_later_for_about_a_day(
        self, create: Create, announce: Announce, attempt: AttemptOnce, delivery: ReadDelivery
    ) -> None:
        await create(URL)
        (made,) = await announce()
        for number, delay in enumerate(DELAYS, 1):
            assert await attempt(made, 500) == "pending"
            waiting = await delivery(made)
            assert waiting.attempt == number
            left = waiting.next_attempt_at - datetime.now(UTC)
            assert delay - timedelta(seconds=5) < left < delay * 1.1 + timedelta(seconds=1)
        assert await attempt(made, None) == "failed"
        ended = await delivery(made)
        assert ended.ended_at
        assert len(ended.attempts) == len(DELAYS) + 1
        assert timedelta(hours=22) < sum(DELAYS, timedelta()) < timedelta(hours=26)

    async def test_a_late_attempt_changes_nothing(
        self, resources: Resources, create: Create, announce: Announce, make_due: ById, delivery: ReadDelivery
    ) -> None:
        await create(URL)
        (made,) = await announce()
        started = []
        for _ in range(2):
            await make_due(made)
            async with resources.sessions.begin() as session:
                found = await queries.start_attempt(session, made, timedelta(minutes=1))
            assert found
            started.append(found)
        async with resources.sessions.begin() as session:
            late = Attempt(datetime.now(UTC), milliseconds=1, status=500)
            await service.end_attempt(session, started[0], late)
        assert (await delivery(made)).attempts == []

    async def test_410_ends_it_and_disables_the_endpoint(
        self, create: Create, announce: Announce, attempt: AttemptOnce, endpoint: ReadEndpoint
    ) -> None:
        made = await create(URL)
        (delivery_id,) = await announce()
        assert await attempt(delivery_id, 410) == "failed"
        disabled = await endpoint(made.id)
        assert disabled.disabled_at
        assert disabled.disabled_reason == "It answered 410 Gone."

    async def test_410_ends_a_callback(self, announce: Announce, attempt: AttemptOnce) -> None:
        (made,) = await announce(callback_url=URL)
        assert await attempt(made, 410) == "failed"


class TestDisabling:
    async def exhaust(self, announce: Announce, attempt: AttemptOnce) -> None:
        (made,) = await announce()
        while await attempt(made, 500) == "pending":
            pass

    async def test_one_lost_delivery_disables_nothing(
        self, create: Create, announce: Announce, attempt: AttemptOnce, endpoint: ReadEndpoint
    ) -> None:
        made = await create(URL)
        await self.exhaust(announce, attempt)
        found = await endpoint(made.id)
        assert found.failing_since
        assert found.disabled_at is None

    async def test_an_endpoint_that_failed_for_days_is_disabled_with_the_reason(
        self,
        create: Create,
        announce: Announce,
        attempt: AttemptOnce,
        endpoint: ReadEndpoint,
        fail_since: Callable[[UUID, timedelta], Awaitable[None]],
    ) -> None:
        made = await create(URL)
        await fail_since(made.id, DISABLED_AFTER)
        await self.exhaust(announce, attempt)
        found = await endpoint(made.id)
        assert found.disabled_at
        assert found.disabled_reason
        assert "3 days" in found.disabled_reason
        assert "500" in found.disabled_reason

    async def test_a_success_lets_it_start_afresh(
        self,
        create: Create,
        announce: Announce,
        attempt: AttemptOnce,
        endpoint: ReadEndpoint,
        fail_since: Callable[[UUID, timedelta], Awaitable[None]],
    ) -> None:
        made = await create(URL)
        await fail_since(made.id, DISABLED_AFTER)
        (delivered,) = await announce()
        await attempt(delivered, 200)
        await self.exhaust(announce, attempt)
        assert (await endpoint(made.id)).disabled_at is None

    async def test_enabling_forgets_that_it_failed(
        self, resources: Resources, create: Create, announce: Announce, attempt: AttemptOnce
    ) -> None:
        made = await create(URL)
        (delivery_id,) = await announce()
        await attempt(delivery_id, 410)
        async with resources.sessions.begin() as session:
            found = await service.find_endpoint(session, made.account_id, made.id)
            service.change(found, enabled=True)
        assert (found.disabled_at, found.disabled_reason, found.failing_since) == (None, None, None)

    async def test_a_test_is_tried_once_and_disables_nothing(
        self,
        resources: Resources,
        account_id: UUID,
        create: Create,
        attempt: AttemptOnce,
        endpoint: ReadEndpoint,
        fail_since: Callable[[UUID, timedelta], Awaitable[None]],
    ) -> None:
        made = await create(URL)
        await fail_since(made.id, DISABLED_AFTER)
        async with resources.sessions.begin() as session:
            test = await service.test(session, account_id, made.id)
        assert await attempt(test.id, 500) == "failed"
        assert (await endpoint(made.id)).disabled_at is None


class TestRedelivery:
    async def test_an_ended_delivery_gets_all_attempts_again(
        self,
        resources: Resources,
        account_id: UUID,
        create: Create,
        announce: Announce,
        attempt: AttemptOnce,
        delivery: ReadDelivery,
    ) -> None:
        await create(URL)
        (made,) = await announce()
        await attempt(made, 200)
        async with resources.sessions.begin() as session:
            await service.redeliver(session, account_id, made)
        for _ in DELAYS:
            assert await attempt(made, 500) == "pending"
        assert await attempt(made, 500) == "failed"
        assert [entry["status"] for entry in (await delivery(made)).attempts] == [200] + 9 * [500]

    async def test_one_under_way_is_left_alone(
        self, resources: Resources, account_id: UUID, create: Create, announce: Announce
    ) -> None:
        await create(URL)
        (made,) = await announce()
        with pytest.raises(Conflict, match="under way"):
            async with resources.sessions.begin() as session:
                await service.redeliver(session, account_id, made)

    async def test_one_to_a_disabled_endpoint_is_refused(
        self,
        resources: Resources,
        account_id: UUID,
        create: Create,
        announce: Announce,
        attempt: AttemptOnce,
    ) -> None:
        await create(URL)
        (made,) = await announce()
        await attempt(made, 410)
        with pytest.raises(Conflict, match="disabled"):
            async with resources.sessions.begin() as session:
                await service.redeliver(session, account_id, made)

    async def test_one_of_somebody_else_does_not_exist(
        self, resources: Resources, create: Create, announce: Announce
    ) -> None:
        await create(URL)
        (made,) = await announce()
        with pytest.raises(NotFound):
            async with resources.sessions.begin() as session:
                await service.redeliver(session, uuid4(), made)


async def test_an_account_has_a_limited_number_of_endpoints(create: Create) -> None:
    for _ in range(MAX_ENDPOINTS):
        await create(URL)
    with pytest.raises(Conflict, match="Delete one first"):
        await create(URL)


async def test_also_of_endpoints_made_at_the_same_time(create: Create) -> None:
    made = await asyncio.gather(*(create(URL) for _ in range(MAX_ENDPOINTS + 3)), return_exceptions=True)
    assert sum(isinstance(one, Conflict) for one in made) == 3


async def test_the_secret_of_callbacks_is_made_once(resources: Resources, account_id: UUID) -> None:
    secrets = []
    for _ in range(2):
        async with resources.sessions.begin() as session:
            secrets.append((await service.callback_secret(session, resources.sealing, account_id)).secret)
    assert secrets[0] == secrets[1]

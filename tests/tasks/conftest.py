"""Tasks of an account of the test's own. The functions are fixtures, since test files share no modules."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest
from sqlalchemy import func, select, update

from mien.accounts.service import create_account
from mien.billing import ledger
from mien.http.principal import Limits, Principal
from mien.resources import Resources
from mien.tasks import creation, queries
from mien.tasks.models import Task
from mien.tasks.requests import FaceSwapRequest


@pytest.fixture
async def caller(resources: Resources) -> Principal:
    """An account with a key and 100 credits."""
    async with resources.sessions.begin() as session:
        account = await create_account(session, "Test")
        await ledger.grant(session, account.id, 100, reason="Test", by=None)
    limits = Limits(requests_per_minute=1000, tasks_in_flight=100, tasks_per_day=1000)
    return Principal(
        account_id=account.id, key_id=uuid4(), is_administrator=False, limits=limits, key_limits=None
    )


@pytest.fixture
def queue(resources: Resources, caller: Principal) -> Callable[[], Awaitable[Task]]:
    """Queues a task whose pictures came along."""

    async def queue() -> Task:
        wanted = FaceSwapRequest(model="face-swap", image=b"target", face_image=b"source")
        return (await creation.create(resources, caller, "request-1", wanted)).task

    return queue


@pytest.fixture
def start(resources: Resources) -> Callable[[Task], Awaitable[Task]]:
    """Starts an attempt, as a worker does that is never heard of again."""

    async def start(task: Task) -> Task:
        async with resources.sessions.begin() as session:
            started = await queries.start(session, task.id, uuid4())
        assert started
        return started

    return start


@pytest.fixture
def reread(resources: Resources) -> Callable[[Task], Awaitable[Task]]:
    """The task as it is now."""

    async def reread(task: Task) -> Task:
        async with resources.sessions() as session:
            return (await session.scalars(select(Task).where(Task.id == task.id))).one()

    return reread


@pytest.fixture
def make_overdue(resources: Resources) -> Callable[[Task], Awaitable[None]]:
    async def make_overdue(task: Task) -> None:
        async with resources.sessions.begin() as session:
            await session.execute(update(Task).where(Task.id == task.id).values(deadline_at=func.now()))

    return make_overdue

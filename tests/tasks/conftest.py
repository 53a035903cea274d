"""Tasks of an account of the test's own. The functions are fixtures, since test files share no modules."""

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update

from mien.accounts.service import create_account
from mien.resources import Resources
from mien.tasks import queries, service
from mien.tasks.models import Task
from mien.tasks.schemas import FaceSwapRequest


@pytest.fixture
async def account_id(resources: Resources) -> UUID:
    async with resources.sessions.begin() as session:
        return (await create_account(session, "Test")).id


@pytest.fixture
def queue(resources: Resources, account_id: UUID) -> Callable[[], Awaitable[Task]]:
    """Queues a task whose pictures came along."""

    async def queue() -> Task:
        wanted = FaceSwapRequest(model="face-swap", image=b"target", face_image=b"source")
        return await service.create(resources, account_id, "request-1", wanted)

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

"""The rules of a task's life: created once, tried up to three times, ended once.

Creating and each ending are one transaction. The caller of the functions that take a session commits, so that
what belongs to an ending commits with it or not at all.
"""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from mien.errors import NotFound, TaskError, TaskInternalError, Timeout
from mien.resources import Resources
from mien.tasks import inputs, jobs, queries
from mien.tasks.models import State, Task
from mien.tasks.schemas import FaceSwapRequest

MAX_ATTEMPTS = 3

_SUFFIX = "_faceswap"
_TASK_ID = re.compile(rf"[0-9a-f]{{32}}{_SUFFIX}")


async def create(resources: Resources, account_id: UUID, request_id: str, wanted: FaceSwapRequest) -> Task:
    """Queue a face swap. Raises `InvalidRequest` and `PayloadTooLarge` for pictures that can never work."""
    task_id = uuid4().hex + _SUFFIX
    # Pictures are stored before the transaction that names them; without it they are swept.
    async with resources.sessions() as session:
        sources = await inputs.keep(resources, session, account_id, task_id, wanted.pictures())
    async with resources.sessions.begin() as session:
        task = Task(
            id=task_id,
            account_id=account_id,
            request_id=request_id,
            state=State.QUEUED,
            stage=State.QUEUED.value,
            parameters=wanted.parameters(),
            inputs=sources,
        )
        await queries.add(session, task, deadline=resources.settings.task_deadline)
        await jobs.wake(session, task.id)
    return task


async def find(resources: Resources, account_id: UUID, task_id: str) -> Task:
    """An account's own task. Raises `NotFound`, also for somebody else's."""
    task = None
    if _TASK_ID.fullmatch(task_id):
        async with resources.sessions() as session:
            task = await queries.find(session, account_id, task_id)
    if task is None:
        raise NotFound("There is no such task. Check the task id and the key.", param="task_id")
    return task


async def complete(
    session: AsyncSession,
    task: Task,
    key: str,
    result: dict[str, Any],
    report: dict[str, Any],
    retention: timedelta,
) -> bool:
    """End a running task with its picture; False if the try has been lost, and nothing is changed."""
    return await queries.complete(session, task, key=key, result=result, report=report, retention=retention)


async def fail(session: AsyncSession, task: Task, error: TaskError) -> bool:
    """End an open task with an error; False if it has moved on since it was read, and nothing is changed."""
    return await queries.fail(session, task, error.type, error.message, error.param)


async def give_back(session: AsyncSession, task: Task) -> bool:
    """Queue a running task again whose try was cut short, or fail it if that was the last.

    Whether it has ended by this. Nothing is changed if the try has been lost already.
    """
    if task.attempt >= MAX_ATTEMPTS:
        return await fail(
            session, task, TaskInternalError(f"The swap was cut short {task.attempt} times. Try again.")
        )
    if await queries.queue_again(session, task):
        await jobs.wake(session, task.id)
    return False


async def expire(session: AsyncSession, task: Task) -> bool:
    """End a task that is past its deadline; False if it has moved on since it was read."""
    return await fail(
        session, task, Timeout("The task was not done in time, since the server is busy. Try again.")
    )

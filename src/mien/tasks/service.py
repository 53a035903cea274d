"""What an account may do with its tasks once they exist: find them, cancel them, delete their pictures."""

import re
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from mien.errors import Conflict, NotFound
from mien.resources import Resources
from mien.storage import objects
from mien.tasks import endings, inputs, queries
from mien.tasks.models import TASK_SUFFIX, Task

_TASK_ID = re.compile(rf"[0-9a-f]{{32}}{TASK_SUFFIX}")


async def find(resources: Resources, account_id: UUID, task_id: str) -> Task:
    """An account's own task. Raises `NotFound`, also for somebody else's."""
    async with resources.autocommit() as session:
        return await _find(session, account_id, task_id)


async def cancel(resources: Resources, account_id: UUID, task_id: str) -> Task:
    """End a task that is queued or running; a worker that is at it stops at its next step.

    Raises `NotFound`, and `Conflict` if it has ended.
    """
    async with resources.sessions.begin() as session:
        task = await _find(session, account_id, task_id, lock=True)
        kept = task.inputs
        if not await endings.cancel(resources, session, task):
            raise Conflict(
                f"The task has ended: it is {task.state}. Only a task in progress can be canceled."
            )
    await inputs.discard(resources, task_id, kept)
    return task


async def delete_pictures(resources: Resources, account_id: UUID, task_id: str) -> Task:
    """Delete the result of a task that has ended; its inputs are gone already, and its row stays.

    Raises `NotFound`, and `Conflict` if it's in progress.
    """
    async with resources.sessions.begin() as session:
        task = await _find(session, account_id, task_id, lock=True)
        if not task.has_ended:
            raise Conflict("The task is in progress. Cancel it first; that deletes its pictures, too.")
        key = await queries.forget_result(session, task)
    # Should this process die here, the object is swept: no row names it any more.
    if key:
        await objects.delete(resources.store, [key])
    return await find(resources, account_id, task_id)


async def _find(session: AsyncSession, account_id: UUID, task_id: str, *, lock: bool = False) -> Task:
    task = None
    if _TASK_ID.fullmatch(task_id):
        task = await queries.find(session, account_id, task_id, lock=lock)
    if task is None:
        raise NotFound("There is no such task. Check the task id and the key.", param="task_id")
    return task

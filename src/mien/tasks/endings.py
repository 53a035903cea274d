"""A task's end, of whatever kind: one transaction changes its row, closes its hold, enters it into the trail
and announces it.

Whoever calls the functions commits, so that what belongs to an ending commits with it or not at all. All take
the task as it was read, and return whether they ended it: if it has moved on since, nothing is changed. A
task that the session has read itself is up to date afterwards. The ledger comes last, since from there on the
account's other tasks wait for the commit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from mien.billing import ledger
from mien.billing.models import Outcome
from mien.errors import Canceled, TaskError, TaskInternalError, Timeout
from mien.resources import Resources
from mien.safety import trail
from mien.tasks import jobs, queries
from mien.tasks.models import State, Task
from mien.tasks.schemas import task_answer
from mien.webhooks import service as webhooks
from mien.webhooks.models import Event

MAX_ATTEMPTS: Final = 3


@dataclass(frozen=True)
class Result:
    """What a winning attempt has to show."""

    key: str
    """The object that it stored."""
    described: Mapping[str, Any]
    """format, width, height, bytes, sha256"""
    reports: Sequence[Mapping[str, Any]]
    timings: Mapping[str, float]


async def complete(resources: Resources, session: AsyncSession, task: Task, result: Result) -> bool:
    """End a running task with its picture, and charge what was held for it."""
    entry = _trail_entry(task)
    ended = await queries.complete(
        session,
        task,
        key=result.key,
        result=result.described,
        reports=result.reports,
        timings=result.timings,
        retention=resources.settings.result_retention,
    )
    if ended is None:
        return False
    await _record(session, entry, ended)
    await _announce(resources, session, ended, Event.TASK_COMPLETED)
    await ledger.settle(session, task.id)
    return True


async def fail(resources: Resources, session: AsyncSession, task: Task, error: TaskError) -> bool:
    """End an open task with an error, and give back what was held for it."""
    return await _give_up(resources, session, task, error, State.FAILED, Outcome.FAILED, Event.TASK_FAILED)


async def cancel(resources: Resources, session: AsyncSession, task: Task) -> bool:
    """End an open task as its owner wishes, and give back what was held for it."""
    error = Canceled("You canceled the task.")
    return await _give_up(
        resources, session, task, error, State.CANCELED, Outcome.CANCELED, Event.TASK_CANCELED
    )


async def expire(resources: Resources, session: AsyncSession, task: Task) -> bool:
    """End a task that is past its deadline."""
    busy = Timeout("The task was not done in time, since the server is busy. Try again.")
    return await fail(resources, session, task, busy)


async def give_back(resources: Resources, session: AsyncSession, task: Task) -> bool:
    """Queue a running task again whose try was cut short, or fail it if that was the last: True only then."""
    if task.attempt >= MAX_ATTEMPTS:
        cut_short = TaskInternalError(f"The swap was cut short {task.attempt} times. Try again.")
        return await fail(resources, session, task, cut_short)
    await put_back(session, task)
    return False


async def put_back(session: AsyncSession, task: Task) -> None:
    """Queue a running task again."""
    if await queries.queue_again(session, task):
        await jobs.wake(session, task.id)


async def _give_up(
    resources: Resources,
    session: AsyncSession,
    task: Task,
    error: TaskError,
    state: Literal[State.FAILED, State.CANCELED],
    outcome: Literal[Outcome.FAILED, Outcome.CANCELED],
    event: Event,
) -> bool:
    entry = _trail_entry(task)
    ended = await queries.fail(session, task, state, error.type, error.message, error.param)
    if ended is None:
        return False
    await _record(session, entry, ended)
    await _announce(resources, session, ended, event)
    await ledger.release(session, task.id, outcome)
    return True


async def _announce(resources: Resources, session: AsyncSession, task: Task, event: Event) -> None:
    answer = task_answer(resources, task).data.model_dump(mode="json")
    await webhooks.announce(session, task.account_id, event, answer, task.callback_url)


def _trail_entry(task: Task) -> dict[str, Any]:
    """What the trail keeps of an open task. Its row loses some of that when it ends."""
    return {
        "task_id": task.id,
        "account_id": task.account_id,
        "key_id": task.key_id,
        "request_id": task.request_id,
        "client": task.client,
        "consent": task.consent,
        "pictures": task.pictures or [],
        "created_at": task.created_at,
    }


async def _record(session: AsyncSession, entry: Mapping[str, Any], ended: Task) -> None:
    ending = {
        "outcome": ended.state.value,
        "error": ended.error["type"] if ended.error else None,
        "result_sha256": ended.result["sha256"] if ended.result else None,
        "ended_at": ended.completed_at,
    }
    await trail.add(session, {**entry, **ending})

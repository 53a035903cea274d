"""A task's stages as server-sent events.

There is no table of events: which stages a task has gone through follows from the one that it's in. An
event's id is `attempt.stage`, so that a client that lost its connection goes on after the last one it got.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from mien.resources import Resources
from mien.tasks.models import STAGES, Task
from mien.tasks.schemas import task_event
from mien.tasks.watch import Watch

_ALIVE: Final = 15.0
"""Seconds without an event, after which a comment keeps the connection open."""

Event = tuple[int, str]
"""Attempt and stage."""


def event_id(event: Event) -> str:
    attempt, stage = event
    return f"{attempt}.{stage}"


def events_until(task: Task) -> list[Event]:
    """The events that lead to where a task is: of its latest attempt all, of earlier ones that they ended."""
    attempt, stage = task.attempt, task.stage
    if attempt == 0:
        return [(0, "queued")] if stage == "queued" else [(0, "queued"), (0, stage)]
    queued: list[Event] = [(earlier, "queued") for earlier in range(attempt)]
    if stage in STAGES:
        return queued + [(attempt, passed) for passed in STAGES[: STAGES.index(stage) + 1]]
    if stage == "completed":
        return queued + [(attempt, passed) for passed in STAGES] + [(attempt, stage)]
    return [*queued, (attempt, stage)]  # how far a failed one came isn't known any more


async def stream(
    resources: Resources, watch: Watch, task: Task, last_event_id: str | None
) -> AsyncGenerator[bytes]:
    """The events of a task after `last_event_id`, as they happen, until it has ended."""
    with watch.changes(task.id) as changes:
        newest: Task | None = task
        while newest:
            task = newest
            for event in _after(last_event_id, events_until(task)):
                last_event_id = event_id(event)
                attempt, stage = event
                data = task_event(resources, task, attempt, stage).model_dump_json()
                yield format_sse_event(data_str=data, event=stage, id=last_event_id)
            if task.has_ended:
                return
            while True:
                try:
                    newest = await asyncio.wait_for(changes.get(), _ALIVE)
                    break
                except TimeoutError:
                    yield KEEPALIVE_COMMENT


def is_last(task: Task, last_event_id: str | None) -> bool:
    """Whether a client that has got `last_event_id` has got all that there will be."""
    return task.has_ended and last_event_id == event_id((task.attempt, task.stage))


def _after(last_event_id: str | None, events: list[Event]) -> list[Event]:
    ids = [event_id(event) for event in events]
    if last_event_id in ids:
        return events[ids.index(last_event_id) + 1 :]
    attempt = _attempt_of(last_event_id)
    return [event for event in events if event[0] >= attempt]


def _attempt_of(last_event_id: str | None) -> int:
    """The attempt that an id belongs to whose stage isn't known any more; 0 if there is none."""
    number = (last_event_id or "").partition(".")[0]
    return int(number) if number.isdecimal() and len(number) < 9 else 0

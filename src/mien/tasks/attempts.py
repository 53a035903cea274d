"""One attempt at one task: from a queued row to a stored picture, or to the reason why there is none."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Final
from uuid import UUID

import structlog

from mien.errors import TaskError
from mien.resources import Resources
from mien.safety import trail
from mien.sealing import SealBroken
from mien.storage import objects
from mien.tasks import endings, inputs, queries
from mien.tasks.endings import Result
from mien.tasks.engines import Engines, Marking, Swapped, SwapRequest
from mien.tasks.models import STAGES, Task
from mien.tasks.timings import Timings

logger = structlog.get_logger(__name__)

_OPERATOR_PAUSE: Final = 10.0  # seconds


_OFTEN_ENOUGH: Final = 0.2
"""Seconds between two questions whether a task is still wanted; most of the engine's steps are shorter."""


class AttemptLost(Exception):
    """The task has another attempt by now, or has ended: nothing that is done here counts any more."""


async def attempt(resources: Resources, engines: Engines, worker_id: UUID, task_id: str) -> None:
    """Try a task once, if it's still queued, and write down how that ended.

    Raises what the database raises when it can't be written down.
    """
    async with resources.sessions.begin() as session:
        task = await queries.start(session, task_id, worker_id)
    if task is None:
        return
    with structlog.contextvars.bound_contextvars(
        request_id=task.request_id, task_id=task.id, attempt=task.attempt
    ):
        logger.info("task started")
        try:
            await _swap(resources, engines, task)
            logger.info("task completed")
        except TaskError as error:
            logger.info("task failed", type=error.type, reason=error.message)
            await _fail(resources, task, error)
        except SealBroken as error:
            logger.error("task waits for its pictures", reason=error.message)
            await _wait_for_operator(resources, task)
        except AttemptLost:
            logger.warning("task was canceled, or given to another worker")
        except asyncio.CancelledError:
            await give_back(resources, task)
            raise
        except Exception:
            logger.exception("attempt cut short")
            await give_back(resources, task)


async def give_back(resources: Resources, task: Task) -> None:
    """Let somebody else try, or end the task if it has been tried often enough."""
    async with resources.sessions.begin() as session:
        ended = await endings.give_back(resources, session, task)
    if ended:
        await inputs.discard(resources, task.id, task.inputs)


async def _wait_for_operator(resources: Resources, task: Task) -> None:
    """Let somebody else try after a while, until the task's deadline: no try is at fault."""
    try:
        await asyncio.sleep(_OPERATOR_PAUSE)
    finally:
        async with resources.sessions.begin() as session:
            await endings.put_back(session, task)


async def _fail(resources: Resources, task: Task, error: TaskError) -> None:
    async with resources.sessions.begin() as session:
        ended = await endings.fail(resources, session, task, error)
    if ended:
        await inputs.discard(resources, task.id, task.inputs)


async def _swap(resources: Resources, engines: Engines, task: Task) -> None:
    timings = Timings()
    timings.since("queued", task.created_at, task.started_at)
    with timings.timed("fetching"):
        pictures = await inputs.load(resources, task.inputs)
        task.pictures = await asyncio.to_thread(trail.hashes_of, pictures)
    request = SwapRequest(
        pictures=pictures,
        parameters=task.parameters,
        log={"request_id": task.request_id, "task_id": task.id},
        marking=Marking(
            task_id=task.id,
            when=datetime.now(UTC),
            watermark=resources.settings.watermark,
            watermark_key=resources.watermark_key,
            identity=resources.identity,
        ),
    )
    asked_for_engine = perf_counter()
    async with engines.take() as engine:
        timings.add("waiting", perf_counter() - asked_for_engine)
        # As late as this, so that also those are protected who were listed while the task waited.
        request = replace(request, listed=await engines.list_reader.current(resources))
        swapped = await engine.swap(request, resources.settings.swap_timeout, _Stages(resources, task))
    timings.milliseconds |= swapped.milliseconds
    await _store(resources, task, swapped, timings)
    await inputs.discard(resources, task.id, task.inputs)


class _Stages:
    """Writes the task's stage as the engine goes from step to step. Raises `AttemptLost`."""

    def __init__(self, resources: Resources, task: Task) -> None:
        self._resources, self._task, self._stage = resources, task, task.stage
        self._asked = -_OFTEN_ENOUGH

    async def __call__(self, step: str) -> None:
        stage = step if step in STAGES else "swapping"
        if stage != self._stage:
            await _enter(self._resources, self._task, stage)
            self._stage = stage
        elif perf_counter() - self._asked > _OFTEN_ENOUGH:
            await _check_held(self._resources, self._task)
        else:
            return
        self._asked = perf_counter()


async def _enter(resources: Resources, task: Task, stage: str) -> None:
    async with resources.sessions.begin() as session:
        if not await queries.set_stage(session, task, stage):
            raise AttemptLost


async def _check_held(resources: Resources, task: Task) -> None:
    async with resources.autocommit() as session:
        if not await queries.is_held(session, task):
            raise AttemptLost


async def _store(resources: Resources, task: Task, swapped: Swapped, timings: Timings) -> None:
    """Store the picture under a key of this attempt's own, then let the task's row name it."""
    await _enter(resources, task, "storing")
    key = f"results/{task.id}/{task.attempt}/face-swap.{swapped.result['format']}"
    with timings.timed("storing"):
        await objects.put(resources.store, key, swapped.picture)
    result = Result(key, swapped.result, swapped.reports, timings.milliseconds)
    async with resources.sessions.begin() as session:
        won = await endings.complete(resources, session, task, result)
    if not won:
        await objects.delete(resources.store, [key])
        raise AttemptLost

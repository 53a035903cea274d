"""One attempt at one task: from a queued row to a stored picture, or to the reason why there is none."""

import asyncio
from uuid import UUID

import structlog

from mien.errors import TaskError
from mien.resources import Resources
from mien.storage import objects
from mien.tasks import inputs, queries, service
from mien.tasks.engines import Engines, Swapped, SwapRequest
from mien.tasks.models import Task

logger = structlog.get_logger(__name__)


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
        except AttemptLost:
            logger.warning("task has been given to another worker")
        except asyncio.CancelledError:
            await give_back(resources, task)
            raise
        except Exception:
            logger.exception("attempt cut short")
            await give_back(resources, task)


async def give_back(resources: Resources, task: Task) -> None:
    """Let somebody else try, or end the task if it has been tried often enough."""
    async with resources.sessions.begin() as session:
        ended = await service.give_back(session, task)
    if ended:
        await inputs.discard(resources, task.id)


async def _fail(resources: Resources, task: Task, error: TaskError) -> None:
    async with resources.sessions.begin() as session:
        ended = await service.fail(session, task, error)
    if ended:
        await inputs.discard(resources, task.id)


async def _swap(resources: Resources, engines: Engines, task: Task) -> None:
    target, source = await inputs.load(resources, task.inputs)
    request = SwapRequest(
        target=target,
        source=source,
        target_index=task.parameters["target_index"],
        format=task.parameters["output_format"],
        log={"request_id": task.request_id, "task_id": task.id},
    )
    async with engines.take() as engine:
        swapped = await engine.swap(request, resources.settings.swap_timeout, _Stages(resources, task))
    await _store(resources, task, swapped)
    await inputs.discard(resources, task.id)


class _Stages:
    """Writes the task's stage as the engine goes from step to step. Raises `AttemptLost`."""

    def __init__(self, resources: Resources, task: Task) -> None:
        self._resources, self._task, self._stage = resources, task, task.stage

    async def __call__(self, step: str) -> None:
        stage = step if step == "detecting" else "swapping"
        if stage != self._stage:
            await _enter(self._resources, self._task, stage)
            self._stage = stage


async def _enter(resources: Resources, task: Task, stage: str) -> None:
    async with resources.sessions.begin() as session:
        if not await queries.set_stage(session, task, stage):
            raise AttemptLost


async def _store(resources: Resources, task: Task, swapped: Swapped) -> None:
    """Store the picture under a key of this attempt's own, then let the task's row name it."""
    await _enter(resources, task, "storing")
    key = f"results/{task.id}/{task.attempt}/face-swap.{swapped.result['format']}"
    await objects.put(resources.store, key, swapped.picture)
    async with resources.sessions.begin() as session:
        won = await service.complete(
            session, task, key, swapped.result, swapped.report, resources.settings.result_retention
        )
    if not won:
        await objects.delete(resources.store, [key])
        raise AttemptLost

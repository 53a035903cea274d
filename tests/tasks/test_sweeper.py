from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from mien.http.principal import Principal
from mien.resources import Resources
from mien.storage import objects
from mien.tasks import creation, endings, idempotency
from mien.tasks.endings import Result
from mien.tasks.models import IdempotencyKey, Task
from mien.tasks.requests import FaceSwapRequest
from mien.tasks.sweeper import expire, forget_idempotency_keys, sweep

Queue = Callable[[], Awaitable[Task]]
ByTask = Callable[[Task], Awaitable[Task]]

RESULT = {"format": "png", "width": 2, "height": 3, "bytes": 4, "sha256": "00"}
AT_ONCE = timedelta(0)


async def keys(resources: Resources) -> set[str]:
    return {info.key async for batch in objects.list_objects(resources.store, "") for info in batch}


async def completed(resources: Resources, task: Task) -> str:
    """Complete a started task; the key of its result."""
    key = f"results/{task.id}/{task.attempt}/face-swap.png"
    await objects.put(resources.store, key, b"result")
    async with resources.sessions.begin() as session:
        assert await endings.complete(resources, session, task, Result(key, RESULT, [{"faces": 1}], {}))
    return key


async def test_only_the_winning_attempts_object_stays(
    resources: Resources, queue: Queue, start: ByTask
) -> None:
    task = await start(await queue())
    won = await completed(resources, task)
    await objects.put(resources.store, f"results/{task.id}/2/face-swap.png", b"late")
    await objects.put(resources.store, "results/unknown/1/face-swap.png", b"never named")
    await sweep(resources, older_than=AT_ONCE)
    assert await keys(resources) == {won}


async def test_pictures_of_open_tasks_stay(resources: Resources, queue: Queue, start: ByTask) -> None:
    queued, running = await queue(), await start(await queue())
    await objects.put(resources.store, "inputs/never-created/image", b"orphan")
    await sweep(resources, older_than=AT_ONCE)
    kept = {f"inputs/{task.id}/{field}" for task in (queued, running) for field in ("image", "face_image")}
    assert await keys(resources) == kept


async def test_what_is_young_may_still_be_named(resources: Resources) -> None:
    await objects.put(resources.store, "results/a/1/face-swap.png", b"being stored")
    await objects.put(resources.store, "inputs/a/image", b"being created")
    await sweep(resources)
    assert len(await keys(resources)) == 2


async def test_results_expire_with_their_objects_and_the_task_stays(
    resources: Resources, queue: Queue, start: ByTask, reread: ByTask
) -> None:
    old, young = await start(await queue()), await start(await queue())
    await completed(resources, old)
    kept = await completed(resources, young)
    async with resources.sessions.begin() as session:
        await session.execute(update(Task).where(Task.id == old.id).values(expires_at=func.now()))
    await expire(resources)
    assert {key for key in await keys(resources) if key.startswith("results/")} == {kept}
    old = await reread(old)
    assert (old.state, old.result_key) == ("completed", None)


async def test_killed_between_forgetting_and_deleting_it_does_the_rest_next_time(
    resources: Resources, queue: Queue, start: ByTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = await start(await queue())
    await completed(resources, task)
    async with resources.sessions.begin() as session:
        await session.execute(update(Task).where(Task.id == task.id).values(expires_at=func.now()))
    with monkeypatch.context() as patched:

        async def killed(*_: object) -> None:
            raise RuntimeError("killed")

        patched.setattr(objects, "delete", killed)
        with pytest.raises(RuntimeError):
            await expire(resources)
    await sweep(resources, older_than=AT_ONCE)
    assert await keys(resources) == set()


async def test_idempotency_keys_are_forgotten_after_a_day(resources: Resources, caller: Principal) -> None:
    wanted = FaceSwapRequest(model="face-swap", image=b"target", face_image=b"source")
    for key in ("old", "young"):
        await creation.create(resources, caller, "request-1", wanted, key)
    async with resources.sessions.begin() as session:
        aged = IdempotencyKey.created_at - idempotency.KEPT
        await session.execute(
            update(IdempotencyKey).where(IdempotencyKey.key == "old").values(created_at=aged)
        )
    await forget_idempotency_keys(resources)
    async with resources.sessions() as session:
        assert (await session.scalars(select(IdempotencyKey.key))).all() == ["young"]

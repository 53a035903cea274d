"""Attempts with a real engine process, on a real database."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from tests.time_stamping import time_stamp_authority

import mien
from mien.http.principal import Principal
from mien.images.codec import decode
from mien.marks.certificates import Trust
from mien.marks.origin import check
from mien.marks.tags import tag_of
from mien.resources import Resources, open_resources
from mien.settings import Settings, load_settings
from mien.storage import objects
from mien.tasks import creation, inputs, queries, service
from mien.tasks.attempts import attempt, give_back
from mien.tasks.engines import Engines
from mien.tasks.models import Task
from mien.tasks.requests import FaceSwapRequest

pytestmark = pytest.mark.slow

SAMPLES = Path(mien.__file__).parent / "samples"
TARGET, SOURCE = (SAMPLES / "cafe.jpg").read_bytes(), (SAMPLES / "woman.jpg").read_bytes()

Create = Callable[[str | bytes, str | bytes], Awaitable[Task]]
ByTask = Callable[[Task], Awaitable[Task]]


@pytest.fixture(scope="module")
async def engines(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engines]:
    settings = load_settings(data_dir=tmp_path_factory.mktemp("data"), workers=1, threads=1)
    async with Engines.running(settings) as engines:
        yield engines


@pytest.fixture
def create(resources: Resources, caller: Principal) -> Create:
    async def create(image: str | bytes, face_image: str | bytes) -> Task:
        wanted = FaceSwapRequest(model="face-swap", image=image, face_image=face_image)
        return (await creation.create(resources, caller, "request-1", wanted)).task

    return create


@asynccontextmanager
async def web_server(*answers: bytes, simultaneous: int = 1) -> AsyncIterator[str]:
    """Answers each request with the next of `answers`, once `simultaneous` requests are there."""
    remaining, barrier = list(answers), asyncio.Barrier(simultaneous)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await barrier.wait()
        body = remaining.pop(0)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/picture"


async def stored(resources: Resources) -> list[str]:
    return [info.key async for batch in objects.list_objects(resources.store, "") for info in batch]


async def stage(resources: Resources, task_id: str, wanted: str) -> Task:
    """Wait until the task is at a stage."""
    for _ in range(1000):
        async with resources.sessions() as session:
            task = await session.get(Task, task_id)
        if task and task.stage == wanted:
            return task
        await asyncio.sleep(0.01)
    raise AssertionError(f"never reached {wanted}")


async def engine_pid(engines: Engines) -> int:
    async with engines.take() as engine:
        return engine.process.pid


async def test_a_swap_is_stored_named_by_its_row_and_its_inputs_are_gone(
    resources: Resources, engines: Engines, create: Create, reread: ByTask
) -> None:
    task = await create(TARGET, SOURCE)
    await attempt(resources, engines, uuid4(), task.id)
    task = await reread(task)
    assert (task.state, task.stage, task.attempt) == ("completed", "completed", 1)
    assert task.result_key == f"results/{task.id}/1/face-swap.png"
    assert await stored(resources) == [task.result_key]
    picture = decode(await objects.read(resources.store, task.result_key)).rgb
    target = decode(TARGET).rgb
    changed = (np.abs(picture.astype(int) - target) > 8).any(axis=2)  # the watermark changes less
    assert picture.shape == target.shape
    assert 0.001 < changed.mean() < 0.5
    file = await objects.read(resources.store, task.result_key)
    origin = check(file, trust=resources.trust, watermark_keys=[resources.watermark_key])
    assert (origin.signed_here, origin.task_id) == (True, task.id)
    assert [each.tag for each in origin.watermarks] == [tag_of(task.id)] == [task.tag]
    assert check(file).watermarks == ()  # only who has the key can read it
    assert task.reports and task.reports[0]["faces"] >= 1
    assert task.started_at and task.completed_at
    assert task.created_at <= task.started_at <= task.completed_at


async def test_a_result_is_time_stamped_by_the_authority_that_the_settings_name(
    settings: Settings, engines: Engines, create: Create, reread: ByTask
) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5)
    with time_stamp_authority(at) as authority:
        address = {"time_stamp_authority": authority.address}
        resources = open_resources(settings.model_copy(update=address))
        task = await create(TARGET, SOURCE)
        await attempt(resources, engines, uuid4(), task.id)
    task = await reread(task)
    assert task.result_key
    file = await objects.read(resources.store, task.result_key)
    await resources.close()
    origin = check(file, trust=Trust.of(resources.identity, authority.certificate))
    assert (origin.signed_here, origin.time_stamped, origin.when) == (True, True, at)
    assert len(authority.stamped) == 1


async def test_both_addresses_are_fetched_at_the_same_time(
    resources: Resources, engines: Engines, create: Create, reread: ByTask
) -> None:
    opened = resources.settings.model_copy(update={"fetch_allowed_networks": (IPv4Network("127.0.0.0/8"),)})
    async with web_server(SOURCE, SOURCE, simultaneous=2) as address:
        task = await create(f"{address}?target", f"{address}?source")
        await attempt(replace(resources, settings=opened), engines, uuid4(), task.id)
    task = await reread(task)
    assert task.state == "completed", task.error


async def test_samples_need_no_network(
    resources: Resources, engines: Engines, create: Create, reread: ByTask
) -> None:
    base = resources.settings.public_url + "/samples/"
    task = await create(base + "park.jpg", base + "man.jpg")
    await attempt(resources, engines, uuid4(), task.id)
    assert (await reread(task)).state == "completed"


async def test_an_address_that_is_not_public_fails_the_task_and_names_the_picture(
    resources: Resources, engines: Engines, create: Create, reread: ByTask
) -> None:
    async with web_server(SOURCE) as address:
        task = await create(TARGET, address)
        await attempt(resources, engines, uuid4(), task.id)
    task = await reread(task)
    assert task.state == "failed"
    assert task.error and (task.error["type"], task.error["param"]) == ("image_unreachable", "face_image")
    assert await stored(resources) == []


async def test_a_picture_without_the_wanted_face_fails_the_task(
    resources: Resources, engines: Engines, caller: Principal, reread: ByTask
) -> None:
    wanted = FaceSwapRequest(model="face-swap", image=TARGET, face_image=SOURCE, target_index=10)
    task = (await creation.create(resources, caller, "request-1", wanted)).task
    await attempt(resources, engines, uuid4(), task.id)
    task = await reread(task)
    assert task.error and (task.error["type"], task.error["param"]) == ("target_index_out_of_range", "image")


async def test_inputs_that_have_gone_fail_the_task(
    resources: Resources, engines: Engines, create: Create, reread: ByTask
) -> None:
    task = await create(TARGET, SOURCE)
    await objects.delete(resources.store, [inputs.key_of(task.id, "image")])
    await attempt(resources, engines, uuid4(), task.id)
    task = await reread(task)
    assert task.error and (task.error["type"], task.error["param"]) == ("image_unreachable", "image")


async def test_a_job_for_a_task_that_is_not_queued_does_nothing(
    resources: Resources, engines: Engines, create: Create, start: ByTask, reread: ByTask
) -> None:
    task = await start(await create(TARGET, SOURCE))
    await attempt(resources, engines, uuid4(), task.id)
    await attempt(resources, engines, uuid4(), "never created")
    task = await reread(task)
    assert (task.state, task.attempt) == ("running", 1)


async def test_a_killed_engine_costs_one_attempt(
    resources: Resources, engines: Engines, create: Create, reread: ByTask
) -> None:
    task = await create(TARGET, SOURCE)
    pid = await engine_pid(engines)
    trying = asyncio.create_task(attempt(resources, engines, uuid4(), task.id))
    await stage(resources, task.id, "detecting")
    os.kill(pid, signal.SIGKILL)
    await trying
    assert (await reread(task)).state == "queued"
    await attempt(resources, engines, uuid4(), task.id)
    task = await reread(task)
    assert (task.state, task.attempt) == ("completed", 2)
    assert await stored(resources) == [f"results/{task.id}/2/face-swap.png"]


async def test_a_swap_that_takes_too_long_fails_its_task(
    resources: Resources, engines: Engines, create: Create, reread: ByTask
) -> None:
    hasty = load_settings(
        data_dir=resources.settings.data_dir, database_url="postgresql://unused/", swap_timeout="0.05s"
    )
    task = await create(TARGET, SOURCE)
    await attempt(replace(resources, settings=hasty), engines, uuid4(), task.id)
    task = await reread(task)
    assert task.error and task.error["type"] == "timeout"


async def test_an_attempt_that_was_given_to_another_stops_and_leaves_nothing(
    resources: Resources, engines: Engines, create: Create, reread: ByTask
) -> None:
    task = await create(TARGET, SOURCE)
    late = asyncio.create_task(attempt(resources, engines, uuid4(), task.id))
    await give_back(resources, await stage(resources, task.id, "detecting"))
    async with resources.sessions.begin() as session:
        assert await queries.start(session, task.id, uuid4())
    await late
    task = await reread(task)
    assert (task.state, task.stage, task.attempt) == ("running", "fetching", 2)
    assert not [key for key in await stored(resources) if key.startswith("results/")]


async def test_a_canceled_attempt_is_given_back(
    resources: Resources, engines: Engines, create: Create, reread: ByTask
) -> None:
    task = await create(TARGET, SOURCE)
    trying = asyncio.create_task(attempt(resources, engines, uuid4(), task.id))
    await stage(resources, task.id, "detecting")
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trying
    assert (await reread(task)).state == "queued"


async def test_a_running_task_that_is_canceled_stops_at_its_next_step_and_its_engine_goes_on(
    resources: Resources, engines: Engines, caller: Principal, create: Create, reread: ByTask
) -> None:
    task = await create(TARGET, SOURCE)
    pid = await engine_pid(engines)
    trying = asyncio.create_task(attempt(resources, engines, uuid4(), task.id))
    await stage(resources, task.id, "detecting")
    await service.cancel(resources, caller.account_id, task.id)
    await trying
    task = await reread(task)
    assert (task.state, task.stage) == ("canceled", "canceled")
    assert await stored(resources) == []
    assert await engine_pid(engines) == pid


async def test_a_completed_task_says_what_it_took_and_what_each_swap_measured(
    resources: Resources, engines: Engines, caller: Principal, reread: ByTask
) -> None:
    wanted = FaceSwapRequest(
        model="face-swap",
        image=TARGET,
        face_images=[SOURCE, SOURCE],
        output_format="jpg",
        quality=50,
        max_size=200,
    )
    task = (await creation.create(resources, caller, "request-1", wanted)).task
    await attempt(resources, engines, uuid4(), task.id)
    task = await reread(task)
    assert task.state == "completed", task.error
    assert task.result and max(task.result["width"], task.result["height"]) == 200
    assert task.result_key and task.result_key.endswith("/face-swap.jpg")
    assert task.reports and len(task.reports) == 1
    assert task.timings
    steps = list(task.timings)
    assert steps[:4] == ["queued", "fetching", "waiting", "decoding"]
    assert steps[-2:] == ["marking", "storing"]

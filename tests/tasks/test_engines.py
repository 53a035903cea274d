"""Real engine processes, with the sample pictures."""

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

import mien
from mien.errors import Timeout
from mien.images.codec import decode
from mien.settings import load_settings
from mien.tasks.engines import Engine, EngineDied, Engines, SwapRefused, SwapRequest

pytestmark = pytest.mark.slow

SAMPLES = Path(mien.__file__).parent / "samples"
TARGET, SOURCE = (SAMPLES / "cafe.jpg").read_bytes(), (SAMPLES / "woman.jpg").read_bytes()
REQUEST = SwapRequest(TARGET, SOURCE, target_index=0, format="png", log={})
LIMIT = timedelta(seconds=60)


@pytest.fixture(scope="module")
async def engines(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engines]:
    settings = load_settings(data_dir=tmp_path_factory.mktemp("data"), workers=1, threads=1)
    async with Engines.running(settings) as engines:
        yield engines


async def ignore(step: str) -> None:
    pass


async def pid_of(engines: Engines) -> int:
    async with engines.take() as engine:
        return engine.process.pid


async def test_a_swap_tells_its_steps_and_gives_a_picture(engines: Engines) -> None:
    steps = []

    async def note(step: str) -> None:
        steps.append(step)

    async with engines.take() as engine:
        swapped = await engine.swap(REQUEST, LIMIT, note)
    assert steps[0] == "detecting"
    assert len(steps) > 2
    target, picture = decode(TARGET).rgb, decode(swapped.picture)
    assert (picture.format, picture.rgb.shape) == ("png", target.shape)
    assert (picture.rgb != target).any()
    height, width = target.shape[:2]
    assert swapped.result == {
        "format": "png",
        "width": width,
        "height": height,
        "bytes": len(swapped.picture),
        "sha256": hashlib.sha256(swapped.picture).hexdigest(),
    }
    assert swapped.report["faces"] >= 1


@pytest.mark.parametrize(("format", "decoded"), [("jpg", "jpeg"), ("webp", "webp")])
async def test_the_result_has_the_wanted_format(engines: Engines, format: str, decoded: str) -> None:
    async with engines.take() as engine:
        swapped = await engine.swap(replace(REQUEST, format=format), LIMIT, ignore)
    assert swapped.result["format"] == format
    assert decode(swapped.picture).format == decoded


@pytest.mark.parametrize(
    ("change", "type", "param"),
    [
        ({"target": b"no picture"}, "image_invalid", "image"),
        ({"source": b"no picture"}, "image_invalid", "face_image"),
        ({"target": bytes(20_000_001)}, "image_too_large", "image"),
        ({"target_index": 9}, "target_index_out_of_range", "image"),
    ],
)
async def test_what_is_wrong_with_a_picture_is_said_and_the_process_stays(
    engines: Engines, change: dict[str, object], type: str, param: str
) -> None:
    before = await pid_of(engines)
    request = SwapRequest(**{**REQUEST.__dict__, **change})
    async with engines.take() as engine:
        with pytest.raises(SwapRefused) as refused:
            await engine.swap(request, LIMIT, ignore)
    assert (refused.value.type, refused.value.param) == (type, param)
    assert refused.value.message
    assert await pid_of(engines) == before


async def test_a_killed_process_costs_its_swap_and_is_replaced(engines: Engines) -> None:
    async def kill(step: str) -> None:
        os.kill(engine.process.pid, signal.SIGKILL)

    async with engines.take() as engine:
        with pytest.raises(EngineDied):
            await engine.swap(REQUEST, LIMIT, kill)
    assert await pid_of(engines) != engine.process.pid


async def test_a_process_that_died_while_nobody_looked_is_replaced(engines: Engines) -> None:
    before = await pid_of(engines)
    os.kill(before, signal.SIGKILL)
    await asyncio.sleep(0.3)
    assert await pid_of(engines) != before


async def test_a_swap_over_its_time_is_stopped(engines: Engines) -> None:
    async with engines.take() as engine:
        with pytest.raises(Timeout):
            await engine.swap(REQUEST, timedelta(milliseconds=50), ignore)
    assert not engine.alive
    assert await pid_of(engines) != engine.process.pid


async def test_giving_up_at_a_step_stops_the_process(engines: Engines) -> None:
    class GivenUp(Exception):
        pass

    async def give_up(step: str) -> None:
        raise GivenUp

    async with engines.take() as engine:
        with pytest.raises(GivenUp):
            await engine.swap(REQUEST, LIMIT, give_up)
    assert not engine.alive


async def test_a_process_that_cannot_start_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start() -> None:
        async with Engines.running(load_settings(data_dir=tmp_path, workers=1, threads=1)) as engines:
            await pid_of(engines)

    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", str(tmp_path / "missing"))
        starting = asyncio.create_task(start())
        await asyncio.sleep(0.1)
        assert not starting.done()
    await asyncio.wait_for(starting, 60)


async def test_processes_ignore_the_signals_that_end_their_worker(engines: Engines) -> None:
    async with engines.take() as engine:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(engine.process.pid, number)
        assert (await engine.swap(REQUEST, LIMIT, ignore)).picture


async def test_a_process_ends_with_whoever_started_it(engines: Engines) -> None:
    engine: Engine
    async with engines.take() as engine:
        assert engine.process.stdin
        engine.process.stdin.close()  # as it is when the worker is gone
        assert await asyncio.wait_for(engine.process.wait(), 5) == 0
        engine.killed = True

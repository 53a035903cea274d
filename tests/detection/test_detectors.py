"""Real detector processes, with the sample pictures."""

import asyncio
import os
import signal
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

import mien
from mien import FaceSwapper
from mien.detection.detectors import Detectors
from mien.errors import ImageInvalid, ImageTooLarge, InternalError, Unavailable
from mien.images.codec import decode, encode
from mien.settings import Settings, load_settings
from mien.tasks import inspectors

pytestmark = pytest.mark.slow

CAFE = (Path(mien.__file__).parent / "samples" / "cafe.jpg").read_bytes()
COUPLE = encode(np.hstack([decode(CAFE).rgb[::2, ::2], decode(CAFE).rgb[::2, ::2]]), "jpg")
BLANK = encode(np.zeros((64, 64, 3), np.uint8), "png")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data_dir=tmp_path, workers=1, threads=1)


@pytest.fixture
async def fresh(settings: Settings) -> AsyncIterator[Detectors]:
    """Detectors of the test's own."""
    detectors = Detectors(settings)
    yield detectors
    await detectors.close()


async def faces(detectors: Detectors, picture: bytes = CAFE) -> int:
    found = await detectors.detect(picture, annotate=False, log={})
    return len(found.picture["faces"])


def processes() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE and "mien.detection.process" in child.cmdline()
    ]


async def test_finds_the_engines_faces_in_its_order(detectors: Detectors) -> None:
    expected = FaceSwapper(threads=1).detect(decode(COUPLE).rgb)
    found = await detectors.detect(COUPLE, annotate=False, log={})
    assert found.annotated is None
    assert len(found.picture["faces"]) == len(expected) == 2
    for face, wanted in zip(found.picture["faces"], expected, strict=True):
        assert face["box"] == pytest.approx(wanted.box, abs=0.1)
        assert face["landmarks_count"] == 478
        assert (face["usable"], face["problem"]) == (wanted.usable, wanted.problem)


async def test_draws_numbered_boxes_on_a_copy(detectors: Detectors) -> None:
    found = await detectors.detect(CAFE, annotate=True, log={})
    assert found.annotated
    drawn, plain = decode(found.annotated).rgb.astype(int), decode(CAFE).rgb.astype(int)
    assert drawn.shape == plain.shape
    changed = np.abs(drawn - plain).max(axis=2) > 60
    x0, y0, x1, _ = (round(value) for value in found.picture["faces"][0]["box"])
    assert changed[y0, x0:x1].mean() > 0.5
    assert changed.mean() < 0.2


async def test_a_picture_without_faces_is_no_error(detectors: Detectors) -> None:
    assert await faces(detectors, BLANK) == 0


async def test_what_is_wrong_with_a_picture_is_said_and_the_process_stays(fresh: Detectors) -> None:
    await faces(fresh, BLANK)
    before = processes()
    for data, error in (
        (b"no picture", ImageInvalid),
        (CAFE[:5000], ImageInvalid),
        (bytes(20_000_001), ImageTooLarge),
    ):
        with pytest.raises(error) as refused:
            await faces(fresh, data)
        assert refused.value.param == "image"
    assert processes() == before


async def test_a_process_is_started_when_it_is_needed_and_ended_when_it_is_not(
    fresh: Detectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = processes()
    monkeypatch.setattr(inspectors, "_IDLE", 0.5)
    await faces(fresh, BLANK)
    await faces(fresh, BLANK)
    assert len(processes()) == len(before) + 1
    await asyncio.sleep(1)
    assert processes() == before
    await faces(fresh, BLANK)


async def test_one_that_takes_too_long_is_killed(settings: Settings) -> None:
    before = processes()
    impatient = Detectors(settings.model_copy(update={"detect_timeout": timedelta(milliseconds=1)}))
    with pytest.raises(Unavailable, match="too long"):
        await faces(impatient)
    await asyncio.sleep(0.2)
    assert processes() == before


async def test_one_that_dies_costs_its_own_picture_only(fresh: Detectors) -> None:
    before = processes()
    await faces(fresh, BLANK)
    (process,) = [each for each in processes() if each not in before]
    os.kill(process.pid, signal.SIGSTOP)
    looking = asyncio.create_task(faces(fresh, BLANK))
    await asyncio.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(InternalError, match="Save it again"):
        await looking
    assert await faces(fresh, BLANK) == 0


async def test_one_that_died_while_nobody_looked_is_replaced(fresh: Detectors) -> None:
    before = processes()
    await faces(fresh, BLANK)
    (process,) = [each for each in processes() if each not in before]
    process.kill()
    await asyncio.sleep(0.2)
    assert await faces(fresh, BLANK) == 0


async def test_a_long_queue_is_refused_and_places_are_given_back(fresh: Detectors) -> None:
    held = [fresh.place() for _ in range(16)]
    for place in held:
        await place.__aenter__()
    with pytest.raises(Unavailable, match="Try again"):
        async with fresh.place():
            pass
    for place in held:
        await place.__aexit__(None, None, None)
    async with fresh.place():
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="macOS keeps no such limit")
async def test_a_picture_that_is_larger_than_it_says_costs_bounded_memory(settings: Settings) -> None:
    data = BytesIO()
    Image.new("RGB", (6000, 6000)).save(data, "AVIF", speed=10)
    lie = data.getvalue().replace(struct.pack(">II", 6000, 6000), struct.pack(">II", 64, 64))
    assert lie != data.getvalue()
    narrow = Detectors(settings.model_copy(update={"max_pixels": 100_000}))
    before = processes()
    await faces(narrow, BLANK)
    (process,) = [each for each in processes() if each not in before]
    used = process.memory_info().vms
    assert process.rlimit(psutil.RLIMIT_AS)[0] < used + 400_000_000
    with suppress(ImageInvalid, ImageTooLarge, InternalError):
        await faces(narrow, lie)
    assert await faces(narrow, BLANK) == 0
    await narrow.close()


async def test_a_process_is_ready_before_the_first_picture(fresh: Detectors) -> None:
    others = len(processes())
    fresh.warm_up()
    await asyncio.sleep(0)
    fresh.warm_up()  # one is on its way
    assert await faces(fresh) == 1
    assert len(processes()) == others + 1


async def test_a_start_under_way_ends_with_the_service(settings: Settings) -> None:
    others = len(processes())
    detectors = Detectors(settings)
    detectors.warm_up()
    await asyncio.sleep(0.2)
    await detectors.close()
    for _ in range(50):
        if len(processes()) == others:
            break
        await asyncio.sleep(0.1)
    assert len(processes()) == others

"""Real engine processes, with the sample pictures."""

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.time_stamping import time_stamp_authority

import mien
from mien import FaceSwapper
from mien.errors import Timeout
from mien.images.codec import decode, encode
from mien.marks.certificates import Trust, make_development_identity, read_development_identity
from mien.marks.origin import check
from mien.marks.tags import tag_of
from mien.settings import load_settings
from mien.tasks.engine_child import EngineDied
from mien.tasks.engines import Engine, Engines, Marking, SwapRefused, SwapRequest

pytestmark = pytest.mark.slow

SAMPLES = Path(mien.__file__).parent / "samples"
TARGET, SOURCE = (SAMPLES / "cafe.jpg").read_bytes(), (SAMPLES / "woman.jpg").read_bytes()
PARAMETERS: dict[str, Any] = {
    "output_format": "png",
    "quality": None,
    "max_size": None,
    "label": None,
    "exif": "drop",
    "swaps": [{"target_index": 0, "face_index": 0, "pictures": ["face_image"]}],
}
PEOPLE = [decode((SAMPLES / f"{name}.jpg").read_bytes()).rgb for name in ("woman", "man")]
COUPLE = encode(np.hstack(PEOPLE), "png")
FACELESS = encode(np.full((100, 100, 3), 128, np.uint8), "png")
REQUEST = SwapRequest({"image": TARGET, "face_image": SOURCE}, PARAMETERS, log={})
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
    assert (steps[0], steps[-1]) == ("detecting", "marking")
    assert len(steps) > 3
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
    assert [report["faces"] >= 1 for report in swapped.reports] == [True]
    assert list(swapped.milliseconds)[:3] == ["decoding", "checking", "detecting"]
    assert list(swapped.milliseconds)[-1] == "marking"
    assert all(value > 0 for value in swapped.milliseconds.values())


async def test_a_result_is_marked_and_signed_without_the_engine_having_the_key(engines: Engines) -> None:
    identity = read_development_identity(make_development_identity())
    when = datetime(2026, 8, 2, 12, tzinfo=UTC)
    marking = Marking("0190_faceswap", when, watermark=True, identity=identity)
    async with engines.take() as engine:
        marked = await engine.swap(replace(REQUEST, marking=marking), LIMIT, ignore)
    origin = check(marked.picture, trust=Trust.of(identity))
    assert origin.signed_here
    assert (origin.task_id, origin.when) == ("0190_faceswap", when)
    assert [each.tag for each in origin.watermarks] == [tag_of("0190_faceswap")]


async def test_the_watermarks_key_reaches_the_picture_and_nothing_else(
    engines: Engines, capfd: pytest.CaptureFixture[str]
) -> None:
    key = b"a key that nobody else has, ever"
    marking = Marking("0190_faceswap", datetime.now(UTC), watermark=True, identity=None, watermark_key=key)
    async with engines.take() as engine:
        marked = await engine.swap(replace(REQUEST, marking=marking), LIMIT, ignore)
        environment = Path(f"/proc/{engine.process.pid}/environ")
        arguments = Path(f"/proc/{engine.process.pid}/cmdline")
        seen = [file.read_text() for file in (environment, arguments) if file.exists()]
    assert check(marked.picture).watermarks == ()
    (found,) = check(marked.picture, watermark_keys=[key]).watermarks
    assert found.tag == tag_of("0190_faceswap")
    for text in (*seen, repr(marking), *capfd.readouterr()):
        assert key.hex() not in text
        assert key.decode() not in text


async def test_a_result_is_labelled_away_from_faces_and_keeps_the_exif_that_is_asked_for(
    engines: Engines,
) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    exif.get_ifd(0x8825)[1] = "N"
    target = BytesIO()
    Image.open(BytesIO(TARGET)).save(target, "JPEG", exif=exif)
    pictures = {"image": target.getvalue(), "face_image": SOURCE}
    marking = Marking("0190_faceswap", datetime.now(UTC), watermark=False, identity=None)
    plain = SwapRequest(pictures, {**PARAMETERS, "max_size": 400}, log={}, marking=marking)
    labelled = replace(plain, parameters={**plain.parameters, "label": "es", "exif": "keep"})
    async with engines.take() as engine:
        before = (await engine.swap(plain, LIMIT, ignore)).picture
        after = (await engine.swap(labelled, LIMIT, ignore)).picture
    assert 0x010F not in Image.open(BytesIO(before)).getexif()
    kept = Image.open(BytesIO(after)).getexif()
    assert (kept[0x010F], dict(kept.get_ifd(0x8825))) == ("Camera", {})

    (face,) = FaceSwapper(threads=1).detect(decode(before).rgb)
    rows, columns = np.nonzero((decode(before).rgb != decode(after).rgb).any(axis=-1))
    x0, y0, x1, y1 = face.box
    assert rows.size > 500
    assert rows.max() < y0 or rows.min() > y1 or columns.max() < x0 or columns.min() > x1


async def test_a_result_is_signed_without_time_stamp_when_the_authority_does_not_answer(
    engines: Engines,
) -> None:
    identity = read_development_identity(
        make_development_identity(), time_stamp_authority="http://127.0.0.1:9"
    )
    marking = Marking("0190_faceswap", datetime.now(UTC), watermark=False, identity=identity)
    async with engines.take() as engine:
        marked = await engine.swap(replace(REQUEST, marking=marking), LIMIT, ignore)
    origin = check(marked.picture, trust=Trust.of(identity))
    assert (origin.signed_here, origin.watermarks) == (True, ())


async def test_a_result_is_time_stamped_when_the_authority_answers(engines: Engines) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5)
    with time_stamp_authority(at) as authority:
        identity = read_development_identity(
            make_development_identity(), time_stamp_authority=authority.address
        )
        marking = Marking("0190_faceswap", datetime.now(UTC), watermark=False, identity=identity)
        async with engines.take() as engine:
            marked = await engine.swap(replace(REQUEST, marking=marking), LIMIT, ignore)
    origin = check(marked.picture, trust=Trust.of(identity, authority.certificate))
    assert (origin.signed_here, origin.time_stamped, origin.when) == (True, True, at)


async def test_a_swap_that_is_given_up_while_it_is_marked_leaves_its_engine_usable(engines: Engines) -> None:
    async def give_up(step: str) -> None:
        if step == "marking":
            raise RuntimeError("not wanted any more")

    identity = read_development_identity(make_development_identity())
    marking = Marking("0190_faceswap", datetime.now(UTC), watermark=True, identity=identity)
    async with engines.take() as engine:
        pid = engine.process.pid
        with pytest.raises(RuntimeError, match="not wanted"):
            await engine.swap(replace(REQUEST, marking=marking), LIMIT, give_up)
    assert await pid_of(engines) == pid
    async with engines.take() as engine:
        assert (await engine.swap(REQUEST, LIMIT, ignore)).picture


def asking(**changes: Any) -> SwapRequest:
    """`REQUEST` with other parameters."""
    return replace(REQUEST, parameters={**PARAMETERS, **changes})


@pytest.mark.parametrize(("format", "decoded"), [("jpg", "jpeg"), ("webp", "webp")])
async def test_the_result_has_the_wanted_format_and_quality(
    engines: Engines, format: str, decoded: str
) -> None:
    async with engines.take() as engine:
        good = await engine.swap(asking(output_format=format, quality=95), LIMIT, ignore)
        poor = await engine.swap(asking(output_format=format, quality=5), LIMIT, ignore)
    assert good.result["format"] == format
    assert decode(good.picture).format == decoded
    assert len(poor.picture) < len(good.picture) / 3


async def test_the_result_is_at_most_as_large_as_wanted(engines: Engines) -> None:
    async with engines.take() as engine:
        swapped = await engine.swap(asking(max_size=300), LIMIT, ignore)
    height, width = decode(swapped.picture).rgb.shape[:2]
    assert max(height, width) == 300
    assert (swapped.result["width"], swapped.result["height"]) == (width, height)


async def test_several_faces_are_swapped_on_one_canvas(engines: Engines) -> None:
    man, woman = ((SAMPLES / f"{name}.jpg").read_bytes() for name in ("man", "woman"))
    swaps = [
        {"target_index": 0, "face_index": 0, "pictures": ["swaps[0].face_image"]},
        {"target_index": 1, "face_index": 0, "pictures": [f"swaps[1].face_images[{n}]" for n in (0, 1)]},
    ]
    pictures = {
        "image": COUPLE,
        "swaps[0].face_image": man,
        "swaps[1].face_images[0]": woman,
        "swaps[1].face_images[1]": woman,
    }
    request = SwapRequest(pictures, {**PARAMETERS, "swaps": swaps}, log={})
    async with engines.take() as engine:
        both = await engine.swap(request, LIMIT, ignore)
    changed = (decode(both.picture).rgb != decode(COUPLE).rgb).any(axis=(0, 2))
    assert [report["faces"] for report in both.reports] == [2, 2]
    assert changed[: changed.size // 2].any()
    assert changed[changed.size // 2 :].any()


FIRST = PARAMETERS["swaps"][0]


@pytest.mark.parametrize(
    ("pictures", "parameters", "type", "param"),
    [
        ({"image": b"no picture"}, {}, "image_invalid", "image"),
        ({"face_image": b"no picture"}, {}, "image_invalid", "face_image"),
        ({"image": bytes(20_000_001)}, {}, "image_too_large", "image"),
        ({}, {"swaps": [{**FIRST, "target_index": 9}]}, "target_index_out_of_range", "image"),
        ({}, {"swaps": [{**FIRST, "face_index": 9}]}, "target_index_out_of_range", "face_image"),
        ({"face_image": FACELESS}, {}, "no_face_found", "face_image"),
        (
            {"image": COUPLE, "swaps[1].face_image": FACELESS},
            {"swaps": [FIRST, {"target_index": 1, "face_index": 0, "pictures": ["swaps[1].face_image"]}]},
            "no_face_found",
            "swaps[1].face_image",
        ),
        (
            {"face_images[0]": SOURCE, "face_images[1]": b"no picture"},
            {"swaps": [{**FIRST, "pictures": ["face_images[0]", "face_images[1]"]}]},
            "image_invalid",
            "face_images[1]",
        ),
    ],
)
async def test_what_is_wrong_with_a_picture_is_said_and_the_process_stays(
    engines: Engines, pictures: dict[str, bytes], parameters: dict[str, Any], type: str, param: str
) -> None:
    before = await pid_of(engines)
    request = SwapRequest({**REQUEST.pictures, **pictures}, {**PARAMETERS, **parameters}, log={})
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


class GivenUp(Exception):
    pass


@pytest.mark.parametrize("last", ["detecting", "lighting", "marking"])
async def test_giving_up_at_a_step_stops_the_swap_and_the_process_stays(engines: Engines, last: str) -> None:
    heard = []

    async def give_up(step: str) -> None:
        heard.append(step)
        if step == last:
            raise GivenUp

    async with engines.take() as engine:
        with pytest.raises(GivenUp):
            await engine.swap(REQUEST, LIMIT, give_up)
        assert heard[-1] == last
        assert engine.alive
        swapped = await engine.swap(REQUEST, LIMIT, ignore)
    assert len(swapped.reports) == 1


async def test_a_process_that_does_not_stop_is_killed(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def give_up(step: str) -> None:
        os.kill(engine.process.pid, signal.SIGSTOP)
        raise GivenUp

    monkeypatch.setattr("mien.tasks.engines._STOP_TIMEOUT", 0.1)
    async with engines.take() as engine:
        with pytest.raises(GivenUp):
            await engine.swap(REQUEST, LIMIT, give_up)
    assert not engine.alive
    assert await pid_of(engines) != engine.process.pid


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

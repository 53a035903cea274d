"""Checking where pictures come from, as callers see it."""

import base64
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select, update

import mien
from mien.accounts.models import Account
from mien.accounts.service import create_account, issue_key
from mien.images.codec import decode, encode
from mien.marks.certificates import make_development_identity, read_development_identity
from mien.marks.marking import Making, Marks, mark
from mien.marks.provenance import Signer
from mien.marks.tags import tag_of
from mien.origin.checkers import OriginCheckers
from mien.resources import Resources
from mien.tasks.models import Task

pytestmark = pytest.mark.slow

CHECK_ORIGIN = "/api/v1/images/tools/check-origin"
CAFE = (Path(mien.__file__).parent / "samples" / "cafe.jpg").read_bytes()
TASK = "0190a0_faceswap"
WHEN = datetime(2026, 8, 2, 12, 30, tzinfo=UTC)
MAKING = Making(TASK, WHEN, "1.2.3", CAFE, [CAFE])
NO_SIGNATURE = {"state": "absent", "own": False, "names_mien": False, "time_stamped": False}


def made_by(resources: Resources, **changes: Any) -> bytes:
    """A picture as `resources`' service marks its results."""
    assert resources.identity
    marks = Marks(watermark_key=resources.watermark_key, signing=Signer.of(resources.identity))
    return mark(decode(CAFE).rgb, "jpg", MAKING, replace(marks, **changes))


def saved_again(file: bytes) -> bytes:
    """As a program saves it that drops what it doesn't know."""
    image, data = Image.open(io.BytesIO(file)).convert("RGB"), io.BytesIO()
    image.resize((image.width * 2 // 3, image.height * 2 // 3)).save(data, "WEBP", quality=80)
    return data.getvalue()


async def check(api: httpx.AsyncClient, file: bytes, **headers: str) -> dict[str, Any]:
    response = await api.post(CHECK_ORIGIN, files={"image": file}, headers=headers)
    assert response.status_code == 200, response.text
    assert (response.json()["code"], response.json()["message"]) == (200, "success")
    return dict(response.json()["data"])


async def completed_task(resources: Resources, task_id: str = TASK) -> datetime:
    """Write down that the only account had a task done just now; when that was."""
    done = datetime.now(UTC).replace(microsecond=0)
    async with resources.sessions.begin() as session:
        account_id: UUID = (await session.scalars(select(Account.id))).one()
        session.add(
            Task(
                id=task_id,
                account_id=account_id,
                request_id="request-1",
                state="completed",
                stage="completed",
                parameters={},
                inputs={},
                tag=tag_of(task_id),
                deadline_at=done + timedelta(hours=1),
                completed_at=done,
            )
        )
    return done


async def test_a_result_is_known_by_all_its_marks(
    api_with_checker: httpx.AsyncClient, resources: Resources
) -> None:
    found = await check(api_with_checker, made_by(resources))
    assert (found["verdict"], found["metadata"]) == ("this_service", True)
    # The chain is one that nobody else trusts.
    assert found["signature"] == {
        "state": "untrusted",
        "own": True,
        "names_mien": True,
        "time_stamped": False,
    }
    assert [(each["own"], each["task_found"]) for each in found["watermarks"]] == [(True, False)]
    assert 0 < found["watermarks"][0]["chance"] <= 1e-7
    assert datetime.fromisoformat(found["made_at"]) == WHEN
    assert found["task_id"] is None


async def test_a_watermark_leads_to_its_task_and_to_nobody(
    api_with_checker: httpx.AsyncClient, resources: Resources
) -> None:
    done = await completed_task(resources)
    file = saved_again(made_by(resources))
    found = await check(api_with_checker, file)
    assert (found["verdict"], found["metadata"], found["signature"]) == ("this_service", False, NO_SIGNATURE)
    assert [(each["own"], each["task_found"]) for each in found["watermarks"]] == [(True, True)]
    assert datetime.fromisoformat(found["made_at"]) == done
    assert found["task_id"] == TASK  # one's own

    async with resources.sessions.begin() as session:
        stranger = await issue_key(session, (await create_account(session, "Other")).id, "Other")
    assert await check(api_with_checker, file, Authorization=f"Bearer {stranger}") == found | {
        "task_id": None
    }

    async with resources.sessions.begin() as session:
        is_other = Account.name == "Other"
        await session.execute(update(Account).where(is_other).values(is_administrator=True))
    assert await check(api_with_checker, file, Authorization=f"Bearer {stranger}") == found


async def test_a_watermark_without_a_key_leads_to_no_task(
    api_with_checker: httpx.AsyncClient, resources: Resources
) -> None:
    """Who has read a task's id could put it into any picture."""
    await completed_task(resources)
    found = await check(api_with_checker, saved_again(made_by(resources, watermark_key=b"")))
    assert (found["verdict"], found["made_at"], found["task_id"]) == ("mien", None, None)
    assert [(each["own"], each["task_found"]) for each in found["watermarks"]] == [(False, False)]


async def test_what_anybody_can_write_is_called_a_claim(
    api_with_checker: httpx.AsyncClient, resources: Resources
) -> None:
    other = read_development_identity(make_development_identity())
    theirs = made_by(resources, watermark=False, signing=Signer.of(other))
    found = await check(api_with_checker, theirs)
    assert (found["verdict"], found["watermarks"]) == ("claimed", [])
    assert (found["signature"]["state"], found["signature"]["own"]) == ("untrusted", False)

    changed = bytearray(made_by(resources, watermark=False))
    changed[-2000] ^= 1
    found = await check(api_with_checker, bytes(changed))
    assert (found["verdict"], found["signature"]["state"]) == ("claimed", "invalid")

    found = await check(api_with_checker, made_by(resources, watermark=False, signing=None))
    assert (found["verdict"], found["signature"], found["metadata"]) == ("claimed", NO_SIGNATURE, True)


async def test_a_picture_of_others_shows_nothing(api_with_checker: httpx.AsyncClient) -> None:
    assert await check(api_with_checker, CAFE) == {
        "verdict": "no_evidence",
        "made_at": None,
        "signature": NO_SIGNATURE,
        "metadata": False,
        "watermarks": [],
        "task_id": None,
    }


async def test_a_picture_may_come_in_every_way(
    api_with_checker: httpx.AsyncClient, resources: Resources
) -> None:
    api, file = api_with_checker, made_by(resources)
    wanted = await check(api, file)
    upload = await api.post("/api/v1/uploads", files={"file": file})
    data_uri = f"data:image/jpeg;base64,{base64.b64encode(file).decode()}"
    for response in (
        await api.post(CHECK_ORIGIN, json={"image": upload.json()["data"]["image_url"]}),
        await api.post(CHECK_ORIGIN, json={"image": data_uri}),
        await api.post(CHECK_ORIGIN, content=file, headers={"Content-Type": "image/jpeg"}),
        await api.post(CHECK_ORIGIN, content=file, headers={"Content-Type": "application/octet-stream"}),
    ):
        assert response.status_code == 200, response.text
        assert response.json()["data"] == wanted


@pytest.mark.parametrize(
    ("picture", "status", "type"),
    [
        (b"no picture", 400, "invalid_request"),
        (CAFE[:5000], 400, "invalid_request"),
        (encode(np.zeros((20, 20, 3), np.uint8), "png"), 400, "invalid_request"),
        (bytes(20_000_001), 413, "payload_too_large"),
    ],
)
async def test_a_picture_that_cannot_be_used_is_refused(
    api_with_checker: httpx.AsyncClient, picture: bytes, status: int, type: str
) -> None:
    for sent in (
        {"files": {"image": picture}},
        {"content": picture, "headers": {"Content-Type": "image/png"}},
    ):
        response = await api_with_checker.post(CHECK_ORIGIN, **sent)
        error = response.json()["error"]
        assert (response.status_code, error["type"], error["param"]) == (status, type, "image")


async def test_an_empty_body_and_other_types_are_explained(api: httpx.AsyncClient) -> None:
    empty = await api.post(CHECK_ORIGIN, content=b"", headers={"Content-Type": "image/png"})
    assert (empty.status_code, empty.json()["error"]["param"]) == (400, "image")
    text = await api.post(CHECK_ORIGIN, content=b"a", headers={"Content-Type": "text/plain"})
    assert (text.status_code, text.json()["error"]["type"]) == (415, "unsupported_media_type")


async def test_a_key_is_needed(api: httpx.AsyncClient) -> None:
    response = await api.post(CHECK_ORIGIN, files={"image": CAFE}, headers={"Authorization": ""})
    assert response.status_code == 401


async def test_when_too_many_wait_the_next_is_asked_to_come_back(api: httpx.AsyncClient) -> None:
    transport = api._transport
    assert isinstance(transport, httpx.ASGITransport)
    checkers: OriginCheckers = transport.app.state.origin_checkers  # type: ignore[attr-defined]
    held = [checkers.place() for _ in range(16)]
    for place in held:
        await place.__aenter__()
    response = await api.post(CHECK_ORIGIN, files={"image": CAFE})
    assert (response.status_code, response.json()["error"]["type"]) == (503, "unavailable")
    assert response.headers["retry-after"]

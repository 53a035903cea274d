"""Every task that ends is in the trail, however it ends."""

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from mien.errors import NoFaceFound
from mien.http.principal import Limits, Principal
from mien.resources import Resources
from mien.safety import trail
from mien.safety.models import TrailEntry
from mien.safety.trail import TrailFilter
from mien.tasks import creation, endings, queries, service
from mien.tasks.endings import Result
from mien.tasks.models import Task
from mien.tasks.requests import FaceSwapRequest

CLIENT = "203.0.113.7"
WANTED = FaceSwapRequest(model="face-swap", image=b"target", face_image=b"source", consent="Signed release 7")


@pytest.fixture
async def caller(resources: Resources, api: httpx.AsyncClient) -> Principal:
    """The account of `api`, which has credits."""
    account_id = (await api.get("/api/v1/account")).json()["data"]["account_id"]
    limits = Limits(requests_per_minute=1000, tasks_in_flight=100, tasks_per_day=1000)
    return Principal(account_id, uuid4(), is_administrator=False, limits=limits, key_limits=None)


async def create(resources: Resources, caller: Principal) -> Task:
    return (await creation.create(resources, caller, "request-1", WANTED, client=CLIENT)).task


async def started(resources: Resources, caller: Principal) -> Task:
    """A task whose pictures a worker has fetched."""
    task = await create(resources, caller)
    async with resources.sessions.begin() as session:
        running = await queries.start(session, task.id, uuid4())
    assert running
    running.pictures = trail.hashes_of({"image": b"target", "face_image": b"source"})
    async with resources.sessions.begin() as session:
        assert await queries.set_stage(session, running, "detecting")
    return running


async def entries(resources: Resources, **wanted: object) -> list[TrailEntry]:
    async with resources.sessions() as session:
        page = await trail.newest(session, TrailFilter(**wanted), limit=100, cursor=None)  # type: ignore[arg-type]
    return list(page.rows)


async def test_a_completed_task_is_told_with_all_that_leads_to_who_made_it(
    resources: Resources, caller: Principal
) -> None:
    task = await started(resources, caller)
    described = {"sha256": "ab" * 32, "format": "png", "width": 8, "height": 8, "bytes": 99}
    result = Result("results/1", described, [], {})
    async with resources.sessions.begin() as session:
        assert await endings.complete(resources, session, task, result)
    (entry,) = await entries(resources, task_id=task.id)
    assert (entry.outcome, entry.error, entry.result_sha256) == ("completed", None, "ab" * 32)
    assert (str(entry.account_id), entry.key_id) == (str(caller.account_id), caller.key_id)
    assert (entry.request_id, entry.consent) == ("request-1", "Signed release 7")
    assert entry.pictures == [
        {"field": "image", "sha256": hashlib.sha256(b"target").hexdigest()},
        {"field": "face_image", "sha256": hashlib.sha256(b"source").hexdigest()},
    ]
    assert entry.client == trail.client_digest(resources, CLIENT)
    assert CLIENT.encode() not in entry.client


async def test_a_failed_task_says_why_even_if_its_worker_died(
    resources: Resources, caller: Principal
) -> None:
    task_id = (await started(resources, caller)).id
    async with resources.sessions.begin() as session:
        task = await queries.find(session, caller.account_id, task_id)
        assert task
        assert await endings.fail(resources, session, task, NoFaceFound("None.", param="image"))
    (entry,) = await entries(resources, task_id=task_id)
    assert (entry.outcome, entry.error, len(entry.pictures)) == ("failed", "no_face_found", 2)


async def test_a_canceled_task_is_in_the_trail_without_pictures_that_nobody_fetched(
    resources: Resources, caller: Principal
) -> None:
    task = await create(resources, caller)
    await service.cancel(resources, caller.account_id, task.id)
    (entry,) = await entries(resources, task_id=task.id)
    assert (entry.outcome, entry.error, entry.pictures) == ("canceled", "canceled", [])
    assert entry.client == trail.client_digest(resources, CLIENT)


async def test_a_tasks_row_keeps_neither_address_nor_hashes(resources: Resources, caller: Principal) -> None:
    task = await started(resources, caller)
    await service.cancel(resources, caller.account_id, task.id)
    async with resources.sessions() as session:
        kept = await session.execute(text("SELECT client, pictures FROM tasks"))
    assert kept.all() == [(None, None)]


async def test_entries_are_found_by_what_somebody_has_in_hand(
    resources: Resources, caller: Principal
) -> None:
    task = await started(resources, caller)
    await service.cancel(resources, caller.account_id, task.id)
    now = datetime.now(UTC)
    source = hashlib.sha256(b"source").hexdigest()
    for found, wanted in (
        (True, {"sha256": source}),
        (False, {"sha256": "00" * 32}),
        (True, {"client": trail.client_digest(resources, CLIENT)}),
        (False, {"client": trail.client_digest(resources, "203.0.113.8")}),
        (True, {"account_id": caller.account_id}),
        (False, {"account_id": uuid4()}),
        (True, {"since": now - timedelta(minutes=1)}),
        (False, {"until": now - timedelta(minutes=1)}),
    ):
        assert [entry.task_id for entry in await entries(resources, **wanted)] == [task.id] * found, wanted


async def test_an_entry_is_kept_for_its_retention_and_no_longer(
    resources: Resources, caller: Principal
) -> None:
    task = await create(resources, caller)
    await service.cancel(resources, caller.account_id, task.id)
    async with resources.sessions.begin() as session:
        await session.execute(text("UPDATE trail SET ended_at = now() - interval '364 days'"))
    await trail.forget_old(resources)
    assert len(await entries(resources)) == 1
    async with resources.sessions.begin() as session:
        await session.execute(text("UPDATE trail SET ended_at = now() - interval '366 days'"))
    await trail.forget_old(resources)
    assert await entries(resources) == []

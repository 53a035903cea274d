from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text

from mien.accounts.service import create_account
from mien.errors import InvalidRequest, NoFaceFound, NotFound
from mien.resources import Resources
from mien.storage import objects
from mien.storage.addresses import signed_path
from mien.tasks import inputs, jobs, queries, service
from mien.tasks.models import State, Task
from mien.tasks.schemas import FaceSwapRequest, TaskData, task_answer

Queue = Callable[[], Awaitable[Task]]
ByTask = Callable[[Task], Awaitable[Task]]

RESULT = {"format": "png", "width": 2, "height": 3, "bytes": 4, "sha256": "00"}


async def complete(resources: Resources, task: Task, key: str = "results/key.png") -> bool:
    async with resources.sessions.begin() as session:
        return await service.complete(session, task, key, RESULT, {"faces": 1}, timedelta(days=1))


async def fail(resources: Resources, task: Task) -> bool:
    async with resources.sessions.begin() as session:
        return await service.fail(session, task, NoFaceFound("No face.", param="image"))


async def give_back(resources: Resources, task: Task) -> bool:
    async with resources.sessions.begin() as session:
        return await service.give_back(session, task)


async def jobs_of(resources: Resources, task: Task) -> int:
    counted = text("SELECT count(*) FROM procrastinate_jobs WHERE args->>'row_id' = :id")
    async with resources.sessions() as session:
        return int(await session.scalar(counted, {"id": task.id}) or 0)


def shown(resources: Resources, task: Task) -> TaskData:
    return task_answer(resources, task).data


class TestCreate:
    async def test_makes_a_queued_task_and_a_job_and_keeps_the_pictures(
        self, resources: Resources, account_id: UUID, queue: Queue, reread: ByTask
    ) -> None:
        task = await reread(await queue())
        assert (task.state, task.stage, task.attempt, task.account_id) == ("queued", "queued", 0, account_id)
        assert task.parameters == {"model": "face-swap", "target_index": 0, "output_format": "png"}
        assert task.deadline_at - task.created_at == resources.settings.task_deadline
        assert task.request_id == "request-1"
        assert await inputs.load(resources, task.inputs) == [b"target", b"source"]
        assert await jobs_of(resources, task) == 1

    async def test_leaves_neither_task_nor_job_when_the_transaction_fails(
        self, resources: Resources, account_id: UUID, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wake = jobs.wake

        async def wake_and_fail(*given: Any) -> None:
            await wake(*given)
            raise RuntimeError

        monkeypatch.setattr(jobs, "wake", wake_and_fail)
        wanted = FaceSwapRequest(model="face-swap", image=b"target", face_image=b"source")
        with pytest.raises(RuntimeError):
            await service.create(resources, account_id, "request-1", wanted)
        async with resources.sessions() as session:
            assert await session.scalar(select(func.count()).select_from(Task)) == 0
            assert await session.scalar(text("SELECT count(*) FROM procrastinate_jobs")) == 0

    async def test_a_result_of_ones_own_is_read_from_the_store(
        self, resources: Resources, account_id: UUID, queue: Queue, start: ByTask, reread: ByTask
    ) -> None:
        done = await start(await queue())
        await objects.put(resources.store, "results/key.png", b"result")
        assert await complete(resources, done)
        address = shown(resources, await reread(done)).image_url
        assert address
        wanted = FaceSwapRequest(model="face-swap", image=address, face_image=b"source")
        task = await service.create(resources, account_id, "request-2", wanted)
        assert task.inputs["image"] == {"kind": "object", "value": "results/key.png"}
        assert await inputs.load(resources, task.inputs) == [b"result", b"source"]

    async def test_a_result_of_somebody_else_is_refused_even_by_its_true_address(
        self, resources: Resources, queue: Queue, start: ByTask
    ) -> None:
        await complete(resources, await start(await queue()))
        path = signed_path("results/key.png", datetime.now(UTC) + timedelta(days=1), resources.secret)
        async with resources.sessions.begin() as session:
            other = await create_account(session, "Other")
        wanted = FaceSwapRequest(
            model="face-swap", image=b"target", face_image=resources.settings.public_url + path
        )
        with pytest.raises(InvalidRequest) as refused:
            await service.create(resources, other.id, "request-2", wanted)
        assert refused.value.param == "face_image"


class TestFind:
    async def test_finds_an_accounts_own_task_only(
        self, resources: Resources, account_id: UUID, queue: Queue
    ) -> None:
        task = await queue()
        assert (await service.find(resources, account_id, task.id)).id == task.id
        for owner, task_id in (
            (uuid4(), task.id),
            (account_id, "unknown"),
            (account_id, "0" * 32 + "_faceswap"),
        ):
            with pytest.raises(NotFound):
                await service.find(resources, owner, task_id)


class TestAttempts:
    async def test_a_queued_task_is_started_by_one_worker_only(
        self, resources: Resources, queue: Queue, start: ByTask
    ) -> None:
        task = await start(await queue())
        assert (task.state, task.stage, task.attempt) == ("running", "fetching", 1)
        async with resources.sessions.begin() as session:
            assert await queries.start(session, task.id, uuid4()) is None

    async def test_a_task_past_its_deadline_is_not_started(
        self, resources: Resources, queue: Queue, make_overdue: Callable[[Task], Awaitable[None]]
    ) -> None:
        task = await queue()
        await make_overdue(task)
        async with resources.sessions.begin() as session:
            assert await queries.start(session, task.id, uuid4()) is None

    async def test_given_back_it_is_queued_with_a_job_and_keeps_when_it_first_started(
        self, resources: Resources, queue: Queue, start: ByTask, reread: ByTask
    ) -> None:
        first = await start(await queue())
        assert not await give_back(resources, first)
        assert (await reread(first)).state == "queued"
        assert await jobs_of(resources, first) == 2  # the first one is the dead worker's
        second = await start(first)
        assert (second.attempt, second.started_at) == (2, first.started_at)

    async def test_the_third_attempt_is_the_last(
        self, resources: Resources, queue: Queue, start: ByTask, reread: ByTask
    ) -> None:
        task = await queue()
        for ended in (False, False, True):
            assert await give_back(resources, await start(task)) is ended
        task = await reread(task)
        assert task.state == "failed"
        assert task.error and task.error["type"] == "internal_error"

    async def test_a_worker_that_wakes_up_late_changes_nothing(
        self, resources: Resources, queue: Queue, start: ByTask, reread: ByTask
    ) -> None:
        late = await start(await queue())
        await give_back(resources, late)
        for now in (await reread(late), await start(late)):
            before = (await reread(now)).__dict__
            async with resources.sessions.begin() as session:
                assert not await queries.set_stage(session, late, "storing")
            assert not await complete(resources, late)
            assert not await fail(resources, late)
            assert not await give_back(resources, late)
            after = (await reread(now)).__dict__
            assert {**after, "_sa_instance_state": 0} == {**before, "_sa_instance_state": 0}

    async def test_an_ended_task_stays_as_it_ended(
        self, resources: Resources, queue: Queue, start: ByTask, reread: ByTask
    ) -> None:
        task = await start(await queue())
        assert await complete(resources, task)
        assert not await fail(resources, task)
        assert not await complete(resources, task, "results/other.png")
        assert not await give_back(resources, task)
        assert (await reread(task)).result_key == "results/key.png"


class TestAnswers:
    async def test_a_completed_task_gives_one_address_in_three_places(
        self, resources: Resources, queue: Queue, start: ByTask, reread: ByTask
    ) -> None:
        task = await start(await queue())
        await complete(resources, task)
        task = await reread(task)
        data = shown(resources, task)
        assert (data.status, data.stage, data.error) == ("completed", "completed", None)
        assert data.output
        assert data.output.image_url == data.image_url == data.outputs[0]
        assert data.output.image_url.startswith("http://mien.test/files/")
        assert data.output.model_dump(exclude={"image_url", "expires_at"}) == RESULT
        assert task.completed_at
        assert data.output.expires_at == task.completed_at + timedelta(days=1)
        assert data.report == {"faces": 1}
        assert task.inputs == {}

    async def test_a_failed_task_says_which_picture_and_why(
        self, resources: Resources, queue: Queue, start: ByTask, reread: ByTask
    ) -> None:
        task = await start(await queue())
        await fail(resources, task)
        data = shown(resources, await reread(task))
        assert (data.status, data.stage, data.output, data.outputs) == ("failed", "failed", None, [])
        assert data.error
        assert data.error.model_dump() == {"type": "no_face_found", "message": "No face.", "param": "image"}
        assert data.completed_at

    async def test_a_canceled_task_is_shown_as_failed(self, resources: Resources, queue: Queue) -> None:
        task = await queue()
        task.state = State.CANCELED
        task.error = {"type": "canceled", "message": "You canceled it.", "param": None}
        data = shown(resources, task)
        assert data.status == "failed"
        assert data.error and data.error.type == "canceled"

    async def test_an_expired_result_is_shown_no_more(
        self, resources: Resources, queue: Queue, start: ByTask, reread: ByTask
    ) -> None:
        task = await start(await queue())
        await complete(resources, task)
        task = await reread(task)
        task.expires_at = datetime.now(UTC)
        data = shown(resources, task)
        assert (data.status, data.output, data.image_url, data.outputs) == ("completed", None, None, [])

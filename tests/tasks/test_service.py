from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, text, update

from mien.accounts.models import Account
from mien.billing.models import LedgerEntry
from mien.errors import Conflict, NoFaceFound, NotFound
from mien.http.principal import Principal
from mien.resources import Resources
from mien.storage import objects
from mien.tasks import endings, queries, service
from mien.tasks.endings import Result
from mien.tasks.models import State, Task
from mien.tasks.schemas import TaskData, task_answer

Queue = Callable[[], Awaitable[Task]]
ByTask = Callable[[Task], Awaitable[Task]]

DESCRIBED = {"format": "png", "width": 2, "height": 3, "bytes": 4, "sha256": "00"}


async def complete(resources: Resources, task: Task, key: str = "results/key.png") -> bool:
    result = Result(key, DESCRIBED, [{"faces": 1}, {"faces": 2}], {"queued": 1.5, "fetching": 2.5})
    async with resources.sessions.begin() as session:
        return await endings.complete(resources, session, task, result)


async def fail(resources: Resources, task: Task) -> bool:
    async with resources.sessions.begin() as session:
        return await endings.fail(resources, session, task, NoFaceFound("No face.", param="image"))


async def give_back(resources: Resources, task: Task) -> bool:
    async with resources.sessions.begin() as session:
        return await endings.give_back(resources, session, task)


async def jobs_of(resources: Resources, task: Task) -> int:
    counted = text("SELECT count(*) FROM procrastinate_jobs WHERE args->>'row_id' = :id")
    async with resources.sessions() as session:
        return int(await session.scalar(counted, {"id": task.id}) or 0)


async def ledger_of(resources: Resources, task: Task) -> list[tuple[str, int]]:
    """Kind and credits of the entries about a task."""
    async with resources.sessions() as session:
        rows = await session.execute(
            select(LedgerEntry.kind, LedgerEntry.credits)
            .where(LedgerEntry.task_id == task.id)
            .order_by(LedgerEntry.id)
        )
        return [(kind.value, credits) for kind, credits in rows]


def shown(resources: Resources, task: Task) -> TaskData:
    return task_answer(resources, task).data


class TestFind:
    async def test_finds_an_accounts_own_task_only(
        self, resources: Resources, caller: Principal, queue: Queue
    ) -> None:
        task = await queue()
        assert (await service.find(resources, caller.account_id, task.id)).id == task.id
        for owner, task_id in (
            (uuid4(), task.id),
            (caller.account_id, "unknown"),
            (caller.account_id, "0" * 32 + "_faceswap"),
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


class TestCredits:
    async def test_a_completed_task_is_charged_what_was_held(
        self, resources: Resources, queue: Queue, start: ByTask, reread: ByTask
    ) -> None:
        task = await queue()
        assert await ledger_of(resources, task) == [("hold", -3)]
        assert shown(resources, task).credits.model_dump() == {"held": 3, "charged": 0}
        await complete(resources, await start(task))
        assert await ledger_of(resources, task) == [("hold", -3), ("settle", 0)]
        assert shown(resources, await reread(task)).credits.model_dump() == {"held": 0, "charged": 3}

    @pytest.mark.parametrize("end", [fail, "cancel", "expire"])
    async def test_every_other_ending_gives_back_what_was_held_once(
        self, resources: Resources, queue: Queue, reread: ByTask, end: object
    ) -> None:
        task = await queue()
        for _ in range(2):
            async with resources.sessions.begin() as session:
                if end == "cancel":
                    await endings.cancel(resources, session, task)
                elif end == "expire":
                    await endings.expire(resources, session, task)
            if end is fail:
                await fail(resources, task)
        assert await ledger_of(resources, task) == [("hold", -3), ("release", 3)]
        assert shown(resources, await reread(task)).credits.model_dump() == {"held": 0, "charged": 0}
        async with resources.sessions() as session:
            account = await session.get_one(Account, task.account_id)
        assert account.balance == 100


class TestCancel:
    async def test_a_queued_task_never_runs_and_leaves_nothing(
        self, resources: Resources, caller: Principal, queue: Queue
    ) -> None:
        task = await service.cancel(resources, caller.account_id, (await queue()).id)
        assert (task.state, task.stage, task.inputs) == ("canceled", "canceled", {})
        assert task.error and task.error["type"] == "canceled"
        assert [info async for batch in objects.list_objects(resources.store, "") for info in batch] == []
        async with resources.sessions.begin() as session:
            assert await queries.start(session, task.id, uuid4()) is None

    async def test_a_running_task_changes_no_more(
        self, resources: Resources, caller: Principal, queue: Queue, start: ByTask
    ) -> None:
        running = await start(await queue())
        await service.cancel(resources, caller.account_id, running.id)
        async with resources.sessions.begin() as session:
            assert not await queries.is_held(session, running)
            assert not await queries.set_stage(session, running, "storing")
        assert not await complete(resources, running)
        assert not await give_back(resources, running)

    async def test_a_task_that_has_ended_is_a_conflict(
        self, resources: Resources, caller: Principal, queue: Queue, start: ByTask, reread: ByTask
    ) -> None:
        task = await start(await queue())
        await complete(resources, task)
        with pytest.raises(Conflict, match="completed"):
            await service.cancel(resources, caller.account_id, task.id)
        assert (await reread(task)).state == "completed"

    async def test_somebody_elses_task_does_not_exist(self, resources: Resources, queue: Queue) -> None:
        task = await queue()
        for act in (service.cancel, service.delete_pictures):
            with pytest.raises(NotFound):
                await act(resources, uuid4(), task.id)


class TestDeletePictures:
    async def test_the_result_is_gone_at_once_and_the_task_stays(
        self, resources: Resources, caller: Principal, queue: Queue, start: ByTask
    ) -> None:
        task = await start(await queue())
        await objects.put(resources.store, "results/key.png", b"result")
        await complete(resources, task)
        for _ in range(2):  # a second time is no error
            task = await service.delete_pictures(resources, caller.account_id, task.id)
            assert shown(resources, task).status == "completed"
            assert shown(resources, task).output is None
            with pytest.raises(FileNotFoundError):
                await objects.read(resources.store, "results/key.png")

    async def test_a_task_in_progress_is_a_conflict(
        self, resources: Resources, caller: Principal, queue: Queue
    ) -> None:
        task = await queue()
        with pytest.raises(Conflict, match="Cancel it first"):
            await service.delete_pictures(resources, caller.account_id, task.id)


class TestRetention:
    async def test_an_account_may_keep_its_results_for_a_shorter_time(
        self, resources: Resources, queue: Queue, start: ByTask, reread: ByTask
    ) -> None:
        task = await start(await queue())
        async with resources.sessions.begin() as session:
            await session.execute(
                update(Account).where(Account.id == task.account_id).values(retention=timedelta(hours=1))
            )
        await complete(resources, task)
        task = await reread(task)
        assert task.completed_at and task.expires_at == task.completed_at + timedelta(hours=1)


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
        assert data.output.model_dump(exclude={"image_url", "expires_at"}) == DESCRIBED
        assert task.completed_at
        assert data.output.expires_at == task.completed_at + timedelta(days=7)
        assert data.report == {"faces": 1}
        assert data.reports == [{"faces": 1}, {"faces": 2}]
        assert list((data.timings or {}).items()) == [("queued", 1.5), ("fetching", 2.5)]
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

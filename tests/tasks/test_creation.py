import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text, update

from mien.accounts.models import Account
from mien.accounts.service import create_account
from mien.billing import ledger
from mien.errors import IdempotencyMismatch, InsufficientCredits, InvalidRequest, RateLimited
from mien.http.principal import Limits, Principal
from mien.marks.tags import tag_of
from mien.resources import Resources
from mien.storage import objects
from mien.storage.addresses import signed_path
from mien.tasks import creation, endings, idempotency, inputs, queries
from mien.tasks.endings import Result
from mien.tasks.models import IdempotencyKey, Task, TaskCount
from mien.tasks.requests import FaceSwapRequest
from mien.uploads.models import Upload

Queue = Callable[[], Awaitable[Task]]
ByTask = Callable[[Task], Awaitable[Task]]

WANTED = FaceSwapRequest(model="face-swap", image=b"target", face_image=b"source")
RESULT = {"format": "png", "width": 2, "height": 3, "bytes": 4, "sha256": "00"}
MANY = Limits(requests_per_minute=1000, tasks_in_flight=100, tasks_per_day=1000)


async def create(resources: Resources, caller: Principal, **changes: Any) -> Task:
    wanted = FaceSwapRequest(**{"model": "face-swap", "image": b"target", "face_image": b"source", **changes})
    return (await creation.create(resources, caller, "request-1", wanted)).task


async def stored(resources: Resources) -> list[str]:
    return [info.key async for batch in objects.list_objects(resources.store, "") for info in batch]


async def counted(resources: Resources) -> int:
    """How many tasks there are."""
    async with resources.sessions() as session:
        return await session.scalar(select(func.count()).select_from(Task)) or 0


async def balance(resources: Resources, caller: Principal) -> int:
    async with resources.sessions() as session:
        return (await session.get_one(Account, caller.account_id)).balance


class TestCreate:
    async def test_makes_a_queued_task_and_a_job_and_keeps_the_pictures(
        self, resources: Resources, caller: Principal, reread: ByTask
    ) -> None:
        task = await reread(await create(resources, caller))
        assert (task.state, task.stage, task.attempt) == ("queued", "queued", 0)
        assert (task.account_id, task.key_id) == (caller.account_id, caller.key_id)
        assert task.parameters == {
            "model": "face-swap",
            "output_format": "png",
            "quality": None,
            "max_size": None,
            "label": None,
            "exif": "drop",
            "swaps": [{"target_index": 0, "face_index": 0, "pictures": ["face_image"]}],
        }
        assert task.deadline_at - task.created_at == resources.settings.task_deadline
        assert (task.request_id, task.consent) == ("request-1", None)
        assert task.tag == tag_of(task.id)
        assert await inputs.load(resources, task.inputs) == {"image": b"target", "face_image": b"source"}
        woken = text("SELECT count(*) FROM procrastinate_jobs WHERE args->>'row_id' = :id")
        async with resources.sessions() as session:
            assert await session.scalar(woken, {"id": task.id}) == 1

    async def test_consent_is_required_where_the_operator_says_so(
        self, resources: Resources, caller: Principal, reread: ByTask
    ) -> None:
        strict = replace(resources, settings=resources.settings.model_copy(update={"require_consent": True}))
        with pytest.raises(InvalidRequest, match="operator") as refused:
            await create(strict, caller)
        assert refused.value.param == "consent"
        assert (await reread(await create(strict, caller, consent="Both are me."))).consent == "Both are me."

    async def test_each_face_is_paid_for(self, resources: Resources, caller: Principal) -> None:
        swaps = [{"target_index": index, "face_image": b"source"} for index in range(3)]
        wanted = FaceSwapRequest.model_validate({"model": "face-swap", "image": b"target", "swaps": swaps})
        task = (await creation.create(resources, caller, "request-1", wanted)).task
        assert task.credits == 9
        assert await balance(resources, caller) == 91
        assert set(task.inputs) == {"image", *(f"swaps[{n}].face_image" for n in range(3))}

    @pytest.mark.parametrize("broken", [queries.add, ledger.hold])
    async def test_leaves_nothing_when_the_transaction_fails(
        self, resources: Resources, caller: Principal, monkeypatch: pytest.MonkeyPatch, broken: Any
    ) -> None:
        async def act_and_fail(*given: Any, **named: Any) -> None:
            await broken(*given, **named)
            raise RuntimeError

        monkeypatch.setattr(f"{broken.__module__}.{broken.__name__}", act_and_fail)
        with pytest.raises(RuntimeError):
            await create(resources, caller)
        async with resources.sessions() as session:
            assert await session.scalar(text("SELECT count(*) FROM procrastinate_jobs")) == 0
            assert await session.scalar(select(func.count()).select_from(TaskCount)) == 0
        assert await counted(resources) == 0
        assert await stored(resources) == []
        assert await balance(resources, caller) == 100

    async def test_without_credits_there_is_no_task(self, resources: Resources, caller: Principal) -> None:
        async with resources.sessions.begin() as session:
            await session.execute(update(Account).values(balance=2))
        with pytest.raises(InsufficientCredits, match="costs 3 credits"):
            await create(resources, caller)
        assert await counted(resources) == 0
        assert await stored(resources) == []


class TestPicturesOfOnesOwn:
    async def test_a_result_is_read_from_the_store(
        self, resources: Resources, caller: Principal, start: ByTask, reread: ByTask
    ) -> None:
        done = await start(await create(resources, caller))
        await objects.put(resources.store, "results/key.png", b"result")
        async with resources.sessions.begin() as session:
            assert await endings.complete(resources, session, done, Result("results/key.png", RESULT, [], {}))
        path = signed_path("results/key.png", datetime.now(UTC) + timedelta(days=1), resources.secret)
        task = await create(resources, caller, image=resources.settings.public_url + path)
        assert task.inputs["image"] == {"kind": "object", "value": "results/key.png"}
        assert (await inputs.load(resources, task.inputs))["image"] == b"result"

        async with resources.sessions.begin() as session:
            other = await create_account(session, "Other")
        with pytest.raises(InvalidRequest) as refused:
            await create(
                resources,
                replace(caller, account_id=other.id),
                face_image=resources.settings.public_url + path,
            )
        assert refused.value.param == "face_image"

    async def test_an_upload_is_copied_so_that_it_may_be_deleted(
        self, resources: Resources, caller: Principal
    ) -> None:
        upload_id = uuid4().hex + "_upload"
        key = f"uploads/{upload_id}/picture.png"
        await objects.put(resources.store, key, b"upload")
        async with resources.sessions.begin() as session:
            session.add(
                Upload(
                    id=upload_id,
                    account_id=caller.account_id,
                    key=key,
                    expires_at=datetime.now(UTC) + timedelta(days=1),
                    **RESULT,
                )
            )
        path = signed_path(key, datetime.now(UTC) + timedelta(days=1), resources.secret)
        address = resources.settings.public_url + path
        task = await create(resources, caller, image=address)
        await objects.delete(resources.store, [key])
        assert (await inputs.load(resources, task.inputs))["image"] == b"upload"
        with pytest.raises(InvalidRequest, match="no picture of yours"):
            await create(resources, caller, image=address)

    async def test_a_picture_that_comes_twice_is_loaded_once(
        self, resources: Resources, caller: Principal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read, reads = objects.read, []

        async def count(store: Any, key: str) -> bytes:
            reads.append(key)
            return await read(store, key)

        task = await create(resources, caller)
        monkeypatch.setattr(objects, "read", count)
        twice = {**task.inputs, "face_images[1]": task.inputs["face_image"]}
        loaded = await inputs.load(resources, twice)
        assert loaded["face_images[1]"] == loaded["face_image"] == b"source"
        assert len(reads) == 2


class TestLimits:
    @pytest.fixture(params=["account", "key"])
    def limited(self, caller: Principal, request: pytest.FixtureRequest) -> Callable[..., Principal]:
        """The caller, with limits of the account or of the key."""

        def limited(**limits: int) -> Principal:
            tight = replace(MANY, **limits)
            if request.param == "account":
                return replace(caller, limits=tight)
            return replace(caller, key_limits=tight)

        return limited

    async def test_tasks_in_flight_are_counted_exactly_however_many_come_at_once(
        self, resources: Resources, limited: Callable[..., Principal]
    ) -> None:
        caller = limited(tasks_in_flight=5)
        tries = await asyncio.gather(*(create(resources, caller) for _ in range(12)), return_exceptions=True)
        refused = [error for error in tries if isinstance(error, RateLimited)]
        assert len(refused) == 7
        assert {error.retry_after for error in refused} == {2}
        assert await counted(resources) == 5
        assert await balance(resources, caller) == 100 - 5 * 3

    async def test_a_task_that_ends_makes_room(
        self, resources: Resources, limited: Callable[..., Principal]
    ) -> None:
        caller = limited(tasks_in_flight=1)
        task = await create(resources, caller)
        with pytest.raises(RateLimited, match="1 tasks in progress at once"):
            await create(resources, caller)
        async with resources.sessions.begin() as session:
            assert await endings.cancel(resources, session, task)
        await create(resources, caller)

    async def test_tasks_of_a_day_are_counted_exactly_and_begin_anew_the_next(
        self, resources: Resources, limited: Callable[..., Principal]
    ) -> None:
        caller = limited(tasks_per_day=3)
        tries = await asyncio.gather(*(create(resources, caller) for _ in range(8)), return_exceptions=True)
        refused = [error for error in tries if isinstance(error, RateLimited)]
        assert len(refused) == 5
        assert all(0 < error.retry_after <= 24 * 3600 for error in refused)
        async with resources.sessions.begin() as session:
            await session.execute(update(TaskCount).values(day=TaskCount.day - 1))
        await create(resources, caller)
        assert await counted(resources) == 4

    async def test_another_key_of_the_account_has_its_own(
        self, resources: Resources, caller: Principal
    ) -> None:
        one = replace(caller, key_limits=replace(MANY, tasks_in_flight=1, tasks_per_day=1))
        await create(resources, one)
        with pytest.raises(RateLimited, match="This key"):
            await create(resources, one)
        await create(resources, replace(one, key_id=uuid4()))
        await create(resources, replace(one, key_id=None, key_limits=None))


class TestIdempotency:
    async def test_the_same_key_gives_the_same_task(self, resources: Resources, caller: Principal) -> None:
        first = await creation.create(resources, caller, "1", WANTED, "key")
        again = await creation.create(resources, caller, "2", WANTED, "key")
        assert (first.replayed, again.replayed) == (False, True)
        assert first.task.id == again.task.id
        assert await counted(resources) == 1
        assert len(await stored(resources)) == 2

    async def test_it_does_not_matter_how_the_same_was_sent(
        self, resources: Resources, caller: Principal
    ) -> None:
        spelled_out = FaceSwapRequest(
            model="face-swap",
            image="data:,target",
            face_image="data:;base64,c291cmNl",
            target_index=0,
            output_format="png",
            metadata={},
        )
        first = await creation.create(resources, caller, "1", WANTED, "key")
        again = await creation.create(resources, caller, "2", spelled_out, "key")
        assert first.task.id == again.task.id

    @pytest.mark.parametrize(
        "change",
        [
            {"target_index": 1},
            {"image": b"another"},
            {"output_format": "jpg"},
            {"metadata": {"a": "b"}},
            {"callback_url": "https://example.com/"},
            {"face_image": "https://example.com/"},
        ],
    )
    async def test_another_request_with_the_same_key_is_refused(
        self, resources: Resources, caller: Principal, change: dict[str, Any]
    ) -> None:
        await creation.create(resources, caller, "1", WANTED, "key")
        other = WANTED.model_copy(update=change)
        with pytest.raises(IdempotencyMismatch):
            await creation.create(resources, caller, "2", other, "key")
        assert await counted(resources) == 1

    async def test_many_at_the_same_time_create_one_task_and_pay_once(
        self, resources: Resources, caller: Principal
    ) -> None:
        created = await asyncio.gather(
            *(creation.create(resources, caller, "1", WANTED, "key") for _ in range(10))
        )
        assert len({one.task.id for one in created}) == 1
        assert [one.replayed for one in created].count(False) == 1
        assert await counted(resources) == 1
        assert len(await stored(resources)) == 2
        assert await balance(resources, caller) == 97

    async def test_a_refused_request_binds_nothing(self, resources: Resources, caller: Principal) -> None:
        broke = replace(caller, limits=replace(MANY, tasks_in_flight=0))
        with pytest.raises(RateLimited):
            await creation.create(resources, broke, "1", WANTED, "key")
        other = WANTED.model_copy(update={"target_index": 1})
        assert not (await creation.create(resources, caller, "1", other, "key")).replayed

    async def test_keys_of_two_accounts_have_nothing_to_do_with_each_other(
        self, resources: Resources, caller: Principal
    ) -> None:
        async with resources.sessions.begin() as session:
            account = await create_account(session, "Other")
            await ledger.grant(session, account.id, 100, reason="Test", by=None)
        other = replace(caller, account_id=account.id)
        await creation.create(resources, caller, "1", WANTED, "key")
        assert not (await creation.create(resources, other, "1", WANTED, "key")).replayed

    async def test_a_key_is_free_again_after_a_day(self, resources: Resources, caller: Principal) -> None:
        first = await creation.create(resources, caller, "1", WANTED, "key")
        async with resources.sessions.begin() as session:
            long_ago = IdempotencyKey.created_at - idempotency.KEPT
            await session.execute(update(IdempotencyKey).values(created_at=long_ago))
        again = await creation.create(resources, caller, "1", WANTED, "key")
        assert not again.replayed
        assert first.task.id != again.task.id
        assert (await creation.create(resources, caller, "1", WANTED, "key")).task.id == again.task.id

"""The client against the real service."""

import asyncio
import io
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import func, select

from mien.client import AsyncClient, AsyncTask, Client, Swap, TaskInfo, Unreachable, WaitedTooLong
from mien.client.answers import data_of
from mien.errors import (
    AuthenticationError,
    Canceled,
    Conflict,
    IdempotencyMismatch,
    InsufficientCredits,
    InvalidRequest,
    MienError,
    NoFaceFound,
    NotFound,
    TargetIndexOutOfRange,
    TaskError,
)
from mien.resources import Resources
from mien.tasks.models import Task
from mien.uploads.models import Upload

TARGET, FACE = "https://example.com/target.jpg", "https://example.com/face.jpg"

Complete = Callable[..., Awaitable[Task]]
Fail = Callable[[TaskError], Awaitable[None]]


@pytest.fixture
async def client(service: str, key: str) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(key, base_url=service) as client:
        yield client


async def count(resources: Resources, table: type[Task | Upload]) -> int:
    async with resources.sessions() as session:
        return await session.scalar(select(func.count()).select_from(table)) or 0


class TestASwap:
    async def test_is_created_waited_for_and_saved(
        self, client: AsyncClient, complete: Complete, picture: bytes, tmp_path: Path
    ) -> None:
        task = await client.face_swap(TARGET, FACE, metadata={"order": "7"})
        assert (task.has_ended, task.stage) == (False, "queued")
        waiting = asyncio.create_task(task.wait(timeout=20))
        await complete()
        assert await waiting is task
        assert task.has_ended
        assert task.info.metadata == {"order": "7"}
        assert task.info.credits_charged == 3
        assert task.output
        assert (task.output.width, task.output.height, task.output.format) == (64, 48, "png")
        saved = await task.save(tmp_path / "out.png")
        assert saved.read_bytes() == picture
        assert [path.name for path in saved.parent.glob("*out*")] == ["out.png"]

    async def test_the_sync_client_does_the_same(
        self, service: str, key: str, complete: Complete, picture: bytes, tmp_path: Path
    ) -> None:
        created = asyncio.Event()
        loop = asyncio.get_running_loop()
        stages: list[str] = []

        def swap() -> bytes:
            with Client(key, base_url=service) as client:
                task = client.face_swap(TARGET, FACE)
                loop.call_soon_threadsafe(created.set)
                task.wait(timeout=20, on_stage=stages.append).save(tmp_path / "out.png")
                assert client.task(task.id).refresh().info == task.info
                assert client.tasks().tasks == [task.info]
                assert client.account().balance == 27
                with pytest.raises(Conflict):
                    task.cancel()
                assert repr(task) == f"<Task {task.id} completed>"
            return (tmp_path / "out.png").read_bytes()

        swapping = asyncio.create_task(asyncio.to_thread(swap))
        await created.wait()
        await complete("detecting", "swapping", "marking", "storing")
        assert await swapping == picture
        assert stages[0] in ("queued", "fetching")
        assert stages[-4:] == ["swapping", "marking", "storing", "completed"]

    @pytest.mark.parametrize("kind", ["path", "text", "bytes", "file"])
    async def test_local_files_are_uploaded(
        self, client: AsyncClient, resources: Resources, picture: bytes, tmp_path: Path, kind: str
    ) -> None:
        path = tmp_path / "picture"
        path.write_bytes(picture)
        image: Any = {"path": path, "text": str(path), "bytes": picture, "file": io.BytesIO(picture)}[kind]
        before = await count(resources, Upload)
        task = await client.face_swap(image, FACE)
        assert await count(resources, Upload) == before + 1
        assert (await task.cancel()).info.stage == "canceled"

    async def test_several_pictures_of_a_face_and_several_faces_can_be_given(
        self, client: AsyncClient, resources: Resources
    ) -> None:
        one = await client.face_swap(TARGET, [FACE, FACE], face_index=1, target_index=2)
        several = await client.face_swap(TARGET, swaps=[Swap(1, FACE), Swap(0, (FACE, FACE), face_index=1)])
        async with resources.sessions() as session:
            asked = [(await session.get_one(Task, task.id)).parameters["swaps"] for task in (one, several)]
        assert asked[0] == [
            {"target_index": 2, "face_index": 1, "pictures": ["face_images[0]", "face_images[1]"]}
        ]
        assert [(swap["target_index"], swap["face_index"]) for swap in asked[1]] == [(1, 0), (0, 1)]

    async def test_twice_with_one_idempotency_key_is_one_task(self, client: AsyncClient) -> None:
        mine = str(uuid4())
        first = await client.face_swap(TARGET, FACE, idempotency_key=mine)
        second = await client.face_swap(TARGET, FACE, idempotency_key=mine)
        assert first.id == second.id
        with pytest.raises(IdempotencyMismatch):
            await client.face_swap(TARGET, FACE, idempotency_key=mine, target_index=1)

    async def test_twice_without_one_is_two_tasks(self, client: AsyncClient) -> None:
        tasks = [await client.face_swap(TARGET, FACE) for _ in range(2)]
        assert tasks[0].id != tasks[1].id


class TestWaiting:
    async def test_shows_the_stages_as_they_happen(self, client: AsyncClient, complete: Complete) -> None:
        stages: list[str] = []
        task = await client.face_swap(TARGET, FACE)
        waiting = asyncio.create_task(task.wait(timeout=20, on_stage=stages.append))
        while not stages:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await complete("detecting", "swapping", "marking", "storing")
        await waiting
        assert stages == ["queued", "fetching", "detecting", "swapping", "marking", "storing", "completed"]

    async def test_goes_on_by_the_task_s_id(
        self, client: AsyncClient, complete: Complete, picture: bytes
    ) -> None:
        task_id = (await client.face_swap(TARGET, FACE)).id
        await complete()
        assert await (await (await client.task(task_id)).wait()).download() == picture

    @pytest.mark.parametrize(
        "error",
        [
            NoFaceFound("No face.", param="face_image"),
            TargetIndexOutOfRange("There are 2 faces.", count=2, param="image"),
        ],
    )
    @pytest.mark.parametrize("by_events", [True, False])
    async def test_raises_what_the_task_failed_with(
        self, client: AsyncClient, fail: Fail, error: TaskError, by_events: bool
    ) -> None:
        task = await client.face_swap(TARGET, FACE)
        await fail(error)
        with pytest.raises(type(error)) as caught:
            await task.wait(on_stage=(lambda stage: None) if by_events else None)
        assert (caught.value.message, caught.value.param) == (error.message, error.param)
        await task.refresh()
        with pytest.raises(type(error)):
            await task.download()

    @pytest.mark.parametrize("by_events", [True, False])
    async def test_ends_in_time(self, client: AsyncClient, by_events: bool) -> None:
        task = await client.face_swap(TARGET, FACE)
        with pytest.raises(WaitedTooLong, match="still under way"):
            await task.wait(timeout=0.3, on_stage=(lambda stage: None) if by_events else None)
        with pytest.raises(WaitedTooLong):
            await task.download()

    async def test_a_canceled_task_raises(self, client: AsyncClient) -> None:
        task = await (await client.face_swap(TARGET, FACE)).cancel()
        assert isinstance(task.error, Canceled)
        with pytest.raises(Canceled):
            await task.wait()


class TestOtherCalls:
    async def test_tasks_come_in_pages(self, client: AsyncClient) -> None:
        made = [(await client.face_swap(TARGET, FACE)).id for _ in range(3)]
        first = await client.tasks(limit=2, status="IN_PROGRESS")
        second = await client.tasks(limit=2, status="IN_PROGRESS", cursor=first.next_cursor)
        assert [task.task_id for page in (first, second) for task in page.tasks] == made[::-1]
        assert second.next_cursor is None

    async def test_the_account_says_what_is_left(self, client: AsyncClient) -> None:
        await client.face_swap(TARGET, FACE)
        account = await client.account()
        assert (account.balance, account.held, account.price_per_face) == (27, 3, 3)
        assert account.raw["limits"]

    async def test_an_upload_can_be_used_again(self, client: AsyncClient, picture: bytes) -> None:
        upload = await client.upload(picture)
        assert upload.raw["width"] == 64
        await client.face_swap(upload.image_url, upload.image_url)


class TestRefusals:
    async def test_are_raised_as_what_they_are(self, client: AsyncClient, service: str) -> None:
        with pytest.raises(InvalidRequest) as caught:
            await client.face_swap(TARGET, FACE, target_index=11)
        assert caught.value.param == "target_index"
        assert caught.value.__notes__[0].startswith("request id: ")
        with pytest.raises(NotFound):
            await client.task(f"{uuid4().hex}_faceswap")
        async with AsyncClient("aio_wrong", base_url=service) as stranger:
            with pytest.raises(AuthenticationError):
                await stranger.account()

    async def test_an_empty_balance_is_told(self, client: AsyncClient) -> None:
        for _ in range(10):
            await client.face_swap(TARGET, FACE)
        with pytest.raises(InsufficientCredits):
            await client.face_swap(TARGET, FACE)

    async def test_a_file_that_is_missing_is_told_before_anything_is_sent(self, client: AsyncClient) -> None:
        with pytest.raises(FileNotFoundError):
            await client.face_swap(Path("missing.jpg"), FACE)

    @pytest.mark.parametrize(
        "response",
        [
            httpx.Response(200, text="<html>"),
            httpx.Response(404, json={"detail": "Not Found"}),
            httpx.Response(200, json=[]),
            httpx.Response(301),
        ],
    )
    async def test_answers_of_somebody_else_are_told(self, response: httpx.Response) -> None:
        transport = httpx.MockTransport(lambda request: response)
        async with AsyncClient("key", transport=transport) as client:
            with pytest.raises(Unreachable, match="isn't Mien's"):
                await client.account()

    async def test_an_address_that_is_none_is_told_at_once(self) -> None:
        async with AsyncClient("key", base_url="swap.example.com") as client:
            with pytest.raises(Unreachable, match="http://"):
                await client.account()

    async def test_types_that_are_not_known_yet_are_errors_all_the_same(self) -> None:
        refusal = {"error": {"type": "teapot", "message": "Short and stout.", "param": None}}
        response = httpx.Response(418, json=refusal, request=httpx.Request("GET", TARGET))
        with pytest.raises(MienError, match="Short and stout"):
            data_of(response)

    async def test_a_result_that_has_expired_is_not_found(self) -> None:
        async with AsyncClient("key") as client:
            expired = TaskInfo("id", "completed", stage="completed")
            with pytest.raises(NotFound, match="expired"):
                await AsyncTask(client, expired).download()


def test_the_client_needs_none_of_the_service_s_or_the_engine_s_packages() -> None:
    code = (
        "import sys, mien.client; print(*{name.partition('.')[0] for name in sys.modules} & "
        "{'fastapi', 'sqlalchemy', 'pydantic', 'numpy', 'cv2', 'PIL', 'onnxruntime', 'structlog'})"
    )
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert imported.stdout.split() == []

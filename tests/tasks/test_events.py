import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from mien.resources import Resources
from mien.tasks import endings, queries
from mien.tasks.endings import Result
from mien.tasks.events import event_id, events_until, is_last, stream
from mien.tasks.models import State, Task
from mien.tasks.watch import Watch

Queue = Callable[[], Awaitable[Task]]
ByTask = Callable[[Task], Awaitable[Task]]

RESULT = Result(
    "results/key.png", {"format": "png", "width": 2, "height": 3, "bytes": 4, "sha256": "00"}, [], {}
)
ALL = ["fetching", "detecting", "swapping", "marking", "storing"]


@pytest.mark.parametrize(
    ("attempt", "stage", "ids"),
    [
        (0, "queued", ["0.queued"]),
        (0, "canceled", ["0.queued", "0.canceled"]),
        (1, "fetching", ["0.queued", "1.fetching"]),
        (1, "swapping", ["0.queued", "1.fetching", "1.detecting", "1.swapping"]),
        (1, "completed", ["0.queued", *(f"1.{stage}" for stage in ALL), "1.completed"]),
        (1, "failed", ["0.queued", "1.failed"]),
        (1, "queued", ["0.queued", "1.queued"]),
        (2, "detecting", ["0.queued", "1.queued", "2.fetching", "2.detecting"]),
    ],
)
def test_the_stages_that_a_task_has_gone_through_follow_from_where_it_is(
    attempt: int, stage: str, ids: list[str]
) -> None:
    task = Task(attempt=attempt, stage=stage)
    assert [event_id(event) for event in events_until(task)] == ids


def test_a_client_that_has_the_last_event_needs_no_more() -> None:
    task = Task(attempt=2, stage="completed", state=State.COMPLETED)
    assert is_last(task, "2.completed")
    for other in ("2.storing", "1.completed", None, ""):
        assert not is_last(task, other)
    assert not is_last(Task(attempt=2, stage="storing", state=State.RUNNING), "2.storing")


class TestStream:
    async def read(self, chunks: AsyncIterator[bytes]) -> list[tuple[str, dict[str, Any]]]:
        """Id and data of the events until the stream ends."""
        found = []
        async for chunk in chunks:
            fields = dict(line.split(": ", 1) for line in chunk.decode().splitlines() if line)
            data = json.loads(fields["data"])
            assert fields["event"] == data["stage"]
            found.append((fields["id"], data))
        return found

    @pytest.mark.parametrize(
        ("last", "ids"),
        [
            (None, ["0.queued", "1.queued", *(f"2.{stage}" for stage in ALL), "2.completed"]),
            ("1.queued", [*(f"2.{stage}" for stage in ALL), "2.completed"]),
            ("2.marking", ["2.storing", "2.completed"]),
            # how far the first attempt came isn't known any more
            ("1.detecting", ["1.queued", *(f"2.{stage}" for stage in ALL), "2.completed"]),
            ("nonsense", ["0.queued", "1.queued", *(f"2.{stage}" for stage in ALL), "2.completed"]),
        ],
    )
    async def test_of_an_ended_task_has_what_comes_after_the_last_event_id(
        self,
        resources: Resources,
        queue: Queue,
        start: ByTask,
        reread: ByTask,
        last: str | None,
        ids: list[str],
    ) -> None:
        task = await start(await queue())
        async with resources.sessions.begin() as session:
            await queries.queue_again(session, task)
        task = await start(task)
        async with resources.sessions.begin() as session:
            assert await endings.complete(resources, session, task, RESULT)
        events = await self.read(stream(resources, Watch(resources), await reread(task), last))
        assert [id for id, _ in events] == ids
        assert {data["status"] for _, data in events[:-1]} == {"IN_PROGRESS"}
        assert {data["task"] for _, data in events[:-1]} == {None}
        assert events[-1][1]["status"] == "completed"
        assert events[-1][1]["task"]["image_url"].endswith("results/key.png")

    async def test_a_quiet_task_is_kept_open_by_comments(
        self, resources: Resources, queue: Queue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("mien.tasks.events._ALIVE", 0.01)
        chunks = stream(resources, Watch(resources), await queue(), None)
        assert (await anext(chunks)).startswith(b"event: queued\n")
        assert await anext(chunks) == b": ping\n\n"
        assert await anext(chunks) == b": ping\n\n"
        await chunks.aclose()

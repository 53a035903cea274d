"""When things go wrong on the way: a real service behind a network that fails as it's told to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from sqlalchemy import func, select

from mien.client import AsyncClient, Client, Unreachable, flows
from mien.client.flows import RETRIES
from mien.errors import RateLimited, Unavailable
from mien.resources import Resources
from mien.tasks.models import Task

TARGET, FACE = "https://example.com/target.jpg", "https://example.com/face.jpg"

Complete = Callable[..., Awaitable[Task]]
Fault = httpx.Response | Exception | str


def refused(status: int, type: str, **headers: str) -> httpx.Response:
    error = {"code": status, "type": type, "message": "Later.", "param": None, "request_id": "x"}
    return httpx.Response(status, json={"error": error}, headers=headers)


@dataclass
class Network(httpx.AsyncBaseTransport):
    """Meets each request with the next of its faults; without one, it goes through.

    `lost` lets the request through and loses its answer; `cut` loses it after its first 300 bytes.
    """

    faults: list[Fault | None] = field(default_factory=list)
    sent: list[httpx.Request] = field(default_factory=list)
    real: httpx.AsyncHTTPTransport = field(default_factory=httpx.AsyncHTTPTransport)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, httpx.Response):
            return fault
        if isinstance(fault, Exception):
            raise fault
        response = await self.real.handle_async_request(request)
        if fault == "lost":
            await response.aread()
            raise httpx.ReadError("connection reset")
        if fault == "cut":
            assert isinstance(response.stream, httpx.AsyncByteStream)
            response.stream = Cut(response.stream)
        return response

    async def aclose(self) -> None:
        await self.real.aclose()

    def paths(self) -> list[str]:
        return [request.url.path.rpartition("/")[2] for request in self.sent]


@dataclass
class Cut(httpx.AsyncByteStream):
    """Breaks off once something has come."""

    whole: httpx.AsyncByteStream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self.whole:
            yield chunk
            raise httpx.ReadError("connection reset")

    async def aclose(self) -> None:
        await self.whole.aclose()


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
async def client(service: str, key: str, network: Network) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(key, base_url=service, transport=network) as client:
        yield client


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """How long the client has waited between tries; it doesn't really."""
    waited: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        waited.append(seconds)
        await sleep(0)

    monkeypatch.setattr("mien.client.clients.asyncio", type("Asyncio", (), {"sleep": staticmethod(note)}))
    yield waited


async def tasks_in(resources: Resources) -> int:
    async with resources.sessions() as session:
        return await session.scalar(select(func.count()).select_from(Task)) or 0


class TestTryingAgain:
    async def test_waits_as_long_as_the_service_asks(
        self, client: AsyncClient, network: Network, pauses: list[float]
    ) -> None:
        limited = {"Retry-After": "7"}
        network.faults = [
            refused(429, "rate_limited", **limited),
            refused(503, "unavailable", **{"Retry-After": "1"}),
        ]
        assert (await client.account()).balance == 30
        assert pauses == [7.0, 1.0]

    async def test_backs_off_when_it_does_not_say(
        self, client: AsyncClient, network: Network, pauses: list[float]
    ) -> None:
        network.faults = [
            httpx.ConnectError("refused"),
            refused(500, "internal_error"),
            httpx.ReadTimeout("slow"),
        ]
        await client.account()
        assert [round(seconds / base, 1) for seconds, base in zip(pauses, (0.5, 1, 2), strict=True)] == [
            pytest.approx(1, abs=0.3)
        ] * 3

    async def test_gives_up_in_the_end(
        self, client: AsyncClient, network: Network, pauses: list[float]
    ) -> None:
        network.faults = [httpx.ConnectError("refused")] * (RETRIES + 1)
        with pytest.raises(Unreachable, match="refused"):
            await client.account()
        network.faults = [refused(503, "unavailable")] * (RETRIES + 1)
        with pytest.raises(Unavailable):
            await client.account()
        assert len(pauses) == 2 * RETRIES

    async def test_does_not_wait_for_hours(
        self, client: AsyncClient, network: Network, pauses: list[float]
    ) -> None:
        network.faults = [refused(429, "rate_limited", **{"Retry-After": "3600"})]
        with pytest.raises(RateLimited) as caught:
            await client.account()
        assert caught.value.retry_after == 3600
        assert pauses == []

    async def test_a_creation_whose_answer_was_lost_makes_one_task(
        self, client: AsyncClient, network: Network, resources: Resources, pauses: list[float]
    ) -> None:
        before = await tasks_in(resources)
        network.faults = ["lost", "lost"]
        await client.face_swap(TARGET, FACE)
        assert await tasks_in(resources) == before + 1
        keys = {request.headers["idempotency-key"] for request in network.sent}
        assert (len(network.sent), len(keys)) == (3, 1)

    async def test_an_upload_that_broke_off_is_sent_again_whole_and_alone(
        self, client: AsyncClient, network: Network, picture: bytes, pauses: list[float]
    ) -> None:
        network.faults = [None, httpx.WriteError("broken pipe"), None]
        task = await client.face_swap(picture, picture)
        assert network.paths() == ["uploads", "uploads", "uploads", "face-swap"]
        assert task.stage == "queued"

    async def test_the_sync_client_tries_again_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        waited: list[float] = []
        monkeypatch.setattr("mien.client.clients.time.sleep", waited.append)
        answers = [
            refused(429, "rate_limited", **{"Retry-After": "3"}),
            httpx.Response(200, json={"data": {}}),
        ]
        with Client("key", transport=httpx.MockTransport(lambda request: answers.pop(0))) as client:
            assert client.run(flows.send(flows.Call("GET", "/"))).json() == {"data": {}}
        assert waited == [3.0]


class TestDownloads:
    async def test_one_that_broke_off_is_fetched_again(
        self, client: AsyncClient, network: Network, complete: Complete, picture: bytes, pauses: list[float]
    ) -> None:
        task = await client.face_swap(TARGET, FACE)
        await complete()
        await task.refresh()
        network.faults = ["lost", httpx.Response(200, content=b"damaged")]
        assert await task.download() == picture

    async def test_the_key_is_not_sent_with_it(
        self, client: AsyncClient, network: Network, complete: Complete
    ) -> None:
        task = await client.face_swap(TARGET, FACE)
        await complete()
        await (await task.refresh()).download()
        assert "authorization" in network.sent[0].headers
        assert "authorization" not in network.sent[-1].headers


class TestFollowing:
    async def follow(self, client: AsyncClient, complete: Complete) -> list[str]:
        stages: list[str] = []
        task = await client.face_swap(TARGET, FACE)
        waiting = asyncio.create_task(task.wait(timeout=30, on_stage=stages.append))
        while not stages:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await complete("detecting", "swapping")
        await waiting
        return stages

    async def test_goes_on_after_the_last_event_when_it_broke_off(
        self, client: AsyncClient, network: Network, complete: Complete
    ) -> None:
        network.faults = [None, "cut"]
        stages = await self.follow(client, complete)
        assert len(stages) == len(set(stages))  # none is shown twice
        assert stages[0] == "queued"
        assert stages[-1] == "completed"
        again = [request for request in network.sent if request.url.path.endswith("/events")][1]
        assert again.headers["last-event-id"] == "0.queued"

    @pytest.mark.parametrize("fault", [httpx.Response(502), httpx.Response(200, text="<html>\n\n"), "lost"])
    async def test_reads_the_task_where_events_do_not_get_through(
        self, client: AsyncClient, network: Network, complete: Complete, fault: Fault
    ) -> None:
        network.faults = [None, httpx.ConnectError("refused") if fault == "lost" else fault]
        stages = await self.follow(client, complete)
        assert stages[0] == "queued"
        assert stages[-1] == "completed"

"""What the service adds to the engine's own time, and how many callers it bears.

    python benchmarks/service.py [swaps] [creations] [events] [waiting] [--swaps 100] [--workers N]

Each part starts `mien serve` on a fresh data folder; without names all of them run.

swaps: beside the service runs the bare engine: as many processes with as many threads, that decode, swap and
encode the same pictures of one megapixel in a loop. The two take turns, so that whatever else the machine
does meets both.

- At saturation: all swaps are asked for at once. Bar: at most 15 % more time than the bare engine.
- Idle: one swap after the other. Bar: at most 40 ms from sending the request to the task's start.

creations: two API processes, the worker stopped, one account with one key; requests name samples, so that no
picture is sent. Bar: at least 200 tasks a second.

events: one swap after the other, followed as server-sent events. The time from the beginning of the worker's
transaction that starts or ends the task to the client's receipt. Bar: at most 50 ms (95th percentile).

waiting: 500 clients wait for a task each at one API process. Bar: its resident memory is below 150 MB. Then
all tasks are canceled, and every client must hear of it.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import httpx
import openpeople
import psutil

from mien import FaceSwapper
from mien.images.codec import decode, encode
from mien.settings import load_settings

FACE_SWAP = "/api/v1/images/tools/face-swap"
PIXELS = 1_000_000
ROUNDS = 5
SENDERS = 4
POLL_IDLE, POLL_BUSY = 0.05, 0.5  # seconds
SECONDS = 10.0  # of creating tasks
CREATORS = 16
EVENTS_OF = 40  # swaps
WAITING = 500

BARS = {"added": 15.0, "start": 40.0, "creations": 200.0, "event": 50.0, "memory": 150.0}
"""Percent, milliseconds, tasks a second, milliseconds, megabytes."""

PUBLIC_URL = "http://mien.test"
SAMPLES_SWAP = json.dumps(
    {
        "model": "face-swap",
        "image": f"{PUBLIC_URL}/samples/park.jpg",
        "face_image": f"{PUBLIC_URL}/samples/woman.jpg",
    }
).encode()

Pair = tuple[bytes, bytes]


def pairs(count: int) -> list[Pair]:
    """Target and source of each swap: JPEG files of about one megapixel."""
    people = sorted((Path(openpeople.__file__).parent / "data" / "curated").iterdir())
    targets = [_one_megapixel(person / "assets" / "studio_portrait.jpg") for person in people]
    sources = [_one_megapixel(person / "assets" / "amateur_selfie.jpg") for person in people]
    return [(targets[i % len(people)], sources[(i * 3 + 1) % len(people)]) for i in range(count)]


def _one_megapixel(path: Path) -> bytes:
    rgb = decode(path.read_bytes()).rgb
    scale = (PIXELS / (rgb.shape[0] * rgb.shape[1])) ** 0.5
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return encode(small.astype("uint8"), "jpg", quality=92)


# The bare engine ------------------------------------------------------------------------------------------

_swapper: FaceSwapper


def _warm_up(threads: int) -> None:
    global _swapper
    cv2.setNumThreads(threads)
    _swapper = FaceSwapper(threads=threads)


def _swap(pair: Pair) -> float:
    """Seconds that one swap took, from bytes to bytes."""
    started = time.perf_counter()
    target, source = decode(pair[0]), decode(pair[1])
    encode(_swapper.swap(target.rgb, source.rgb).image, "png")
    return time.perf_counter() - started


# The service ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Service:
    client: httpx.Client
    port: int
    key: str
    process: psutil.Process

    def create(self, pair: Pair) -> str:
        files = {"image": pair[0], "face_image": pair[1]}
        response = self.client.post(FACE_SWAP, data={"model": "face-swap"}, files=files)
        response.raise_for_status()
        return str(response.json()["data"]["task_id"])

    def wait(self, task_id: str, poll: float) -> dict[str, Any]:
        while True:
            task = self.client.get(f"/api/v1/tasks/{task_id}").json()["data"]
            if task["status"] == "failed":
                raise SystemExit(f"A swap failed: {task['error']}")
            if task["status"] == "completed":
                return dict(task)
            time.sleep(poll)

    def children(self, role: str) -> list[psutil.Process]:
        """The supervisor's children of that role."""
        return [child for child in self.process.children() if role in child.cmdline()]

    def cpu_seconds(self, role: str) -> float:
        """What they have used so far, which other load on the machine hardly changes."""
        times = [child.cpu_times() for child in self.children(role)]
        return sum(each.user + each.system for each in times)

    def stop_working(self) -> None:
        for worker in self.children("worker"):
            for process in (worker, *worker.children()):
                process.suspend()


@contextmanager
def service(workers: int, threads: int, apis: int = 1) -> Iterator[Service]:
    """A running service on a folder and a port of its own."""
    folder = Path(tempfile.mkdtemp(prefix="mien-benchmark-"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {
        "MIEN_DATA_DIR": str(folder),
        "MIEN_PORT": str(port),
        "MIEN_WORKERS": str(workers),
        "MIEN_THREADS": str(threads),
        "MIEN_API_PROCESSES": str(apis),
        "MIEN_PUBLIC_URL": PUBLIC_URL,
        "MIEN_LOG_LEVEL": "warning",
        "MIEN_REQUESTS_PER_MINUTE": "1000000",
        "MIEN_TASKS_IN_FLIGHT": "1000000",
        "MIEN_TASKS_PER_DAY": "1000000",
    }
    process = subprocess.Popen(
        [Path(sys.executable).parent / "mien", "serve"], env=os.environ | settings, stdout=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, process)
        key = (folder / "api-key").read_text().strip()
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            yield Service(client, port, key, psutil.Process(process.pid))
    finally:
        for stopped in psutil.Process(process.pid).children(recursive=True):
            stopped.resume()
        process.terminate()
        process.terminate()  # nobody waits for tasks that are left
        process.wait()
        shutil.rmtree(folder)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise SystemExit("The service did not start.")


# Measuring ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Idle:
    """Seconds of one swap on an idle service."""

    to_start: float
    to_end: float


def saturate_engine(engine: ProcessPoolExecutor, work: Sequence[Pair]) -> float:
    started = time.perf_counter()
    list(engine.map(_swap, work))
    return time.perf_counter() - started


def saturate_service(service: Service, work: Sequence[Pair]) -> float:
    """Until the last task has ended by its own account, since polling for that moment would be load."""
    started = time.time()
    with ThreadPoolExecutor(SENDERS) as senders:
        task_ids = list(senders.map(service.create, work))
    return max(_time(service.wait(task_id, POLL_BUSY), "completed_at") for task_id in task_ids) - started


def use_idle_service(service: Service, pair: Pair) -> Idle:
    sent = time.time()
    task = service.wait(service.create(pair), POLL_IDLE)
    return Idle(_time(task, "started_at") - sent, _time(task, "completed_at") - sent)


def _time(task: dict[str, Any], name: str) -> float:
    return datetime.fromisoformat(task[name]).timestamp()


def percentiles(seconds: Sequence[float]) -> str:
    cuts = statistics.quantiles(seconds, n=20, method="inclusive")
    return f"p50 {1000 * statistics.median(seconds):6.0f} ms   p95 {1000 * cuts[18]:6.0f} ms"


# Many callers ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Connection:
    """HTTP with as little work as it takes, since the clients share the machine with the service."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    key: str

    async def request(self, method: str, path: str, body: bytes = b"") -> dict[str, Any]:
        """The answer's JSON."""
        status, length = await self.begin(method, path, body)
        answer: dict[str, Any] = json.loads(await self.reader.readexactly(length))
        if status != 200:
            raise SystemExit(f"{method} {path} was refused: {answer}")
        return answer

    async def begin(self, method: str, path: str, body: bytes = b"") -> tuple[int, int]:
        """Send a request and read the head of its answer: the status and the length of what follows."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: mien\r\nAuthorization: Bearer {self.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.writer.write(head.encode() + body)
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        lengths = [int(line.partition(":")[2]) for line in lines if line.startswith("content-length:")]
        return int(lines[0].split()[1]), sum(lengths)

    async def create(self) -> str:
        return str((await self.request("POST", FACE_SWAP, SAMPLES_SWAP))["data"]["task_id"])


@asynccontextmanager
async def connect(service: Service) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    try:
        yield Connection(reader, writer, service.key)
    finally:
        writer.close()


async def create_for(service: Service, seconds: float) -> list[float]:
    """Seconds that each creation took, by `CREATORS` clients that send one after the other."""
    end = time.perf_counter() + seconds

    async def create() -> list[float]:
        took: list[float] = []
        async with connect(service) as connection:
            while (began := time.perf_counter()) < end:
                await connection.create()
                took.append(time.perf_counter() - began)
        return took

    return [each for some in await asyncio.gather(*(create() for _ in range(CREATORS))) for each in some]


async def follow(service: Service, task_id: str) -> dict[str, float]:
    """When each of a task's events came, by name."""
    came: dict[str, float] = {}
    async with connect(service) as connection:
        await connection.begin("GET", f"/api/v1/tasks/{task_id}/events")
        while not came.keys() & {"completed", "failed"}:
            line = (await connection.reader.readline()).decode().strip()
            if line.startswith("event:"):
                came[line.partition(":")[2].strip()] = time.time()
    return came


async def wait_all(service: Service, task_ids: Sequence[str]) -> tuple[float, float]:
    """Megabytes of the API process while a client waits for each task, and the seconds that canceling took
    until all had heard of it."""

    async def wait(task_id: str) -> str:
        async with connect(service) as connection:
            return str(
                (await connection.request("GET", f"/api/v1/tasks/{task_id}?wait=60"))["data"]["status"]
            )

    (api,) = service.children("api")
    waiting = [asyncio.create_task(wait(task_id)) for task_id in task_ids]
    await asyncio.sleep(10)
    if any(each.done() for each in waiting):
        raise SystemExit("A client didn't wait.")
    megabytes = api.memory_info().rss / 1e6
    began = time.perf_counter()
    async with connect(service) as connection:
        for task_id in task_ids:
            await connection.request("POST", f"/api/v1/tasks/{task_id}/cancel")
    if set(await asyncio.gather(*waiting)) != {"failed"}:
        raise SystemExit("A client didn't hear that its task was canceled.")
    return megabytes, time.perf_counter() - began


# The parts ------------------------------------------------------------------------------------------------


def measure_creations(workers: int, threads: int) -> bool:
    with service(workers, threads, apis=2) as running:
        running.stop_working()
        asyncio.run(create_for(running, 2))
        began, worked = time.perf_counter(), running.cpu_seconds("api")
        took = asyncio.run(create_for(running, SECONDS))
        rate = len(took) / (time.perf_counter() - began)
        cost = (running.cpu_seconds("api") - worked) / len(took)
    print(f"creations  2 API processes, {CREATORS} clients, one account  {rate:6.0f} tasks/s", end="")
    print(f" (bar {BARS['creations']:.0f})   each {percentiles(took)}, {1000 * cost:.1f} ms of the APIs' CPU")
    return rate >= BARS["creations"]


def measure_events(workers: int, threads: int) -> bool:
    late: list[float] = []
    with service(workers, threads) as running:
        for pair in pairs(EVENTS_OF):
            task_id = running.create(pair)
            came = asyncio.run(follow(running, task_id))
            task = running.wait(task_id, POLL_IDLE)
            late += [came["completed"] - _time(task, "completed_at")]
            late += [came["fetching"] - _time(task, "started_at")]
    slow = 1000 * statistics.quantiles(late, n=20, method="inclusive")[18]
    print(f"events     transaction to client  {percentiles(late)} (bar {BARS['event']:.0f} ms)")
    return slow <= BARS["event"]


def measure_waiting(workers: int, threads: int) -> bool:
    with service(workers, threads) as running:
        running.stop_working()

        async def create_all() -> list[str]:
            async with connect(running) as connection:
                return [await connection.create() for _ in range(WAITING)]

        megabytes, seconds = asyncio.run(wait_all(running, asyncio.run(create_all())))
    print(f"waiting    {WAITING} clients at one API process  {megabytes:.0f} MB", end="")
    print(f" (bar {BARS['memory']:.0f} MB)   all canceled and told in {seconds:.1f} s")
    return megabytes < BARS["memory"]


def measure_swaps(workers: int, threads: int, swaps: int) -> bool:
    work = pairs(swaps)
    share = -(-len(work) // ROUNDS)
    bare, served = 0.0, 0.0
    bare_each: list[float] = []
    idle: list[Idle] = []
    with (
        ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _warm_up, (threads,)) as engine,
        service(workers, threads) as running,
    ):
        saturate_engine(engine, work[:4])
        saturate_service(running, work[:4])
        for first in range(0, len(work), share):
            batch = work[first : first + share]
            bare += saturate_engine(engine, batch)
            served += saturate_service(running, batch)
        for pair in work[: max(20, len(work) // 4)]:
            bare_each += engine.map(_swap, [pair])
            idle.append(use_idle_service(running, pair))

    added = 100 * (served / bare - 1)
    start = 1000 * statistics.median(swap.to_start for swap in idle)
    print(f"{workers} engine process(es) with {threads} thread(s), {len(work)} swaps of 1 MP")
    print(f"saturated  engine   {len(work) / bare:6.2f} swaps/s")
    print(f"saturated  service  {len(work) / served:6.2f} swaps/s", end="")
    print(f"   adds {added:.1f} % (bar {BARS['added']:.0f} %)")
    print(f"idle       engine   {percentiles(bare_each)}")
    print(f"idle       service  {percentiles([swap.to_end for swap in idle])}   request to end")
    print(f"idle       service  {percentiles([swap.to_start for swap in idle])}   request to start", end="")
    print(f" (bar {BARS['start']:.0f} ms)")
    return added <= BARS["added"] and start <= BARS["start"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    defaults = load_settings(database_url="postgresql://unused/")
    parser.add_argument("parts", nargs="*", help="swaps, creations, events, waiting; default: all")
    parser.add_argument("--swaps", type=int, default=100)
    parser.add_argument("--workers", type=int, default=defaults.workers)
    parser.add_argument("--threads", type=int, default=defaults.threads)
    options = parser.parse_args()
    cores = (options.workers, options.threads)
    measure = {
        "swaps": lambda: measure_swaps(*cores, options.swaps),
        "creations": lambda: measure_creations(*cores),
        "events": lambda: measure_events(*cores),
        "waiting": lambda: measure_waiting(*cores),
    }
    if unknown := set(options.parts) - measure.keys():
        parser.error(f"there is no part {', '.join(unknown)}: choose from {', '.join(measure)}")
    kept = [measure[part]() for part in options.parts or measure]
    sys.exit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()

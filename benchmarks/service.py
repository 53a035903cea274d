"""What the service adds to the engine's own time.

    python benchmarks/service.py [--swaps 100] [--workers N --threads N]

Starts `mien serve` on a fresh data folder, and beside it the bare engine: as many processes with as many
threads, that decode, swap and encode the same pictures of one megapixel in a loop. The two take turns, so
that whatever else the machine does meets both.

- At saturation: all swaps are asked for at once. Bar: at most 15 % more time than the bare engine.
- Idle: one swap after the other. Bar: at most 40 ms from sending the request to the task's start.
"""

import argparse
import multiprocessing
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import httpx
import openpeople

from mien import FaceSwapper
from mien.images.codec import decode, encode
from mien.settings import load_settings

FACE_SWAP = "/api/v1/images/tools/face-swap"
PIXELS = 1_000_000
ROUNDS = 5
SENDERS = 4
POLL_IDLE, POLL_BUSY = 0.05, 0.5  # seconds
BARS = {"added": 15.0, "start": 40.0}  # percent, milliseconds

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


@contextmanager
def service(workers: int, threads: int) -> Iterator[Service]:
    """A running service on a folder and a port of its own."""
    folder = Path(tempfile.mkdtemp(prefix="mien-benchmark-"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {
        "MIEN_DATA_DIR": str(folder),
        "MIEN_PORT": str(port),
        "MIEN_WORKERS": str(workers),
        "MIEN_THREADS": str(threads),
        "MIEN_LOG_LEVEL": "warning",
    }
    process = subprocess.Popen(
        [Path(sys.executable).parent / "mien", "serve"], env=os.environ | settings, stdout=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_ready(url, process)
        headers = {"Authorization": f"Bearer {(folder / 'api-key').read_text().strip()}"}
        with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            yield Service(client)
    finally:
        process.terminate()
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    defaults = load_settings(database_url="postgresql://unused/")
    parser.add_argument("--swaps", type=int, default=100)
    parser.add_argument("--workers", type=int, default=defaults.workers)
    parser.add_argument("--threads", type=int, default=defaults.threads)
    options = parser.parse_args()

    work = pairs(options.swaps)
    share = -(-len(work) // ROUNDS)
    bare, served = 0.0, 0.0
    bare_each: list[float] = []
    idle: list[Idle] = []
    with (
        ProcessPoolExecutor(
            options.workers, multiprocessing.get_context("spawn"), _warm_up, (options.threads,)
        ) as engine,
        service(options.workers, options.threads) as running,
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
    print(f"{options.workers} engine process(es) with {options.threads} thread(s), {len(work)} swaps of 1 MP")
    print(f"saturated  engine   {len(work) / bare:6.2f} swaps/s")
    print(f"saturated  service  {len(work) / served:6.2f} swaps/s", end="")
    print(f"   adds {added:.1f} % (bar {BARS['added']:.0f} %)")
    print(f"idle       engine   {percentiles(bare_each)}")
    print(f"idle       service  {percentiles([swap.to_end for swap in idle])}   request to end")
    print(f"idle       service  {percentiles([swap.to_start for swap in idle])}   request to start", end="")
    print(f" (bar {BARS['start']:.0f} ms)")
    sys.exit(0 if added <= BARS["added"] and start <= BARS["start"] else 1)


if __name__ == "__main__":
    main()

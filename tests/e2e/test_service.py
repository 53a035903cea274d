"""The real thing: `mien serve` and `mien worker`, real faces over HTTP, and SIGKILL at bad moments."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import numpy as np
import openpeople
import psutil
import pytest

from mien import FaceSwapper
from mien.images.codec import decode
from mien.marks import watermark
from mien.marks.tags import tag_of

pytestmark = pytest.mark.slow

MIEN = Path(sys.executable).parent / "mien"
PEOPLE = Path(openpeople.__file__).parent / "data" / "curated"
TARGET = (PEOPLE / "P001" / "assets" / "studio_portrait.jpg").read_bytes()
SOURCE = (PEOPLE / "P004" / "assets" / "amateur_selfie.jpg").read_bytes()

FACE_SWAP = "/api/v1/images/tools/face-swap"
WATERMARK_KEY = "a key that tests may know, and that nobody else uses"
PATIENCE = 60.0  # seconds; a busy machine is no failure


Found = TypeVar("Found")


def eventually(what: Callable[[], Found | None], wanted: str) -> Found:
    """What `what` returns once it's something."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if (found := what()) is not None:
            return found
        time.sleep(0.01)
    raise AssertionError(f"never came: {wanted}")


@dataclass
class Service:
    """One data folder and the processes that work on it."""

    data_dir: Path
    log_file: Path
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, command: str) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MIEN_")}
        settings = {
            "MIEN_DATA_DIR": str(self.data_dir),
            "MIEN_PORT": str(self.port),
            "MIEN_API_PROCESSES": "2",
            "MIEN_WORKERS": "1",
            "MIEN_THREADS": "1",
            "MIEN_WORKER_HEARTBEAT": "0.3s",
            "MIEN_WORKER_TIMEOUT": "1.5s",
            "MIEN_LOG_FORMAT": "json",
            "MIEN_WATERMARK_KEY": WATERMARK_KEY,
            "MIEN_REQUESTS_PER_MINUTE": "1000000",  # it is polled without mercy
        }
        with self.log_file.open("ab") as log:
            process = subprocess.Popen(
                [MIEN, command], env=environment | settings, stdout=subprocess.DEVNULL, stderr=log
            )
        self.processes.append(process)
        return process

    def serve(self) -> subprocess.Popen[bytes]:
        """Start `mien serve` and wait until it can work."""
        seen = len(self.log())
        process = self.start("serve")
        eventually(lambda: self.is_ready() or None, "readiness")
        eventually(lambda: self.log("worker started", since=seen) or None, "a worker")
        return process

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5, verify=False).status_code == 200
        except httpx.TransportError:
            return False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log(self, event: str | None = None, since: int = 0, **fields: Any) -> list[dict[str, Any]]:
        """The lines of all processes' logs, from number `since` on, of that event and with these fields."""
        if not self.log_file.exists():
            return []
        lines = [json.loads(line) for line in self.log_file.read_text().splitlines() if line.startswith("{")]
        return [
            line
            for line in lines[since:]
            if event in (None, line["event"]) and all(line.get(k) == v for k, v in fields.items())
        ]

    def client(self) -> httpx.Client:
        key = (self.data_dir / "api-key").read_text().strip()
        headers = {"Authorization": f"Bearer {key}"}
        # Certificates, which nothing here needs, take 30 ms of processor time to load for every client.
        return httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE, verify=False)

    def create(self) -> str:
        with self.client() as client:
            response = client.post(
                FACE_SWAP, data={"model": "face-swap"}, files={"image": TARGET, "face_image": SOURCE}
            )
        assert response.status_code == 200, response.text
        return str(response.json()["data"]["task_id"])

    def read(self, task_id: str) -> dict[str, Any] | None:
        """How a task stands; None while nobody answers."""
        try:
            with self.client() as client:
                response = client.get(f"/api/v1/tasks/{task_id}")
        except httpx.TransportError:
            return None
        return dict(response.json()["data"]) if response.status_code == 200 else None

    def at_work(self, task_id: str) -> int:
        """Wait until an engine works on the task; the worker's process id."""

        def working() -> bool | None:
            task = self.read(task_id)
            assert task is None or task["status"] == "IN_PROGRESS", "it was too fast for this test"
            return True if task and task["stage"] in ("detecting", "swapping") else None

        eventually(working, "an engine at work")
        return int(self.log("task started", task_id=task_id)[-1]["pid"])

    def kill_apis(self) -> None:
        """Kill all API processes, so that whoever answers next knows nothing of what came before."""
        started = {line["child"] for line in self.log("process started", name="api")}
        for serving in self.processes:
            for child in psutil.Process(serving.pid).children() if serving.poll() is None else ():
                if child.pid in started:
                    child.kill()

    def balance(self) -> int:
        with self.client() as client:
            return int(client.get("/api/v1/account").json()["data"]["balance"])

    def ended(self, task_id: str) -> dict[str, Any]:
        def has_ended() -> dict[str, Any] | None:
            task = self.read(task_id)
            return task if task and task["status"] != "IN_PROGRESS" else None

        return eventually(has_ended, "an end")

    def completed_once(self, task_id: str, attempts: int) -> dict[str, Any]:
        """Wait for the end, and check that there is one result and one only."""
        task = self.ended(task_id)
        assert task["status"] == "completed", task["error"]
        stored = [
            path for path in (self.data_dir / "objects" / "results" / task_id).rglob("*") if path.is_file()
        ]
        assert [str(path.relative_to(self.data_dir / "objects")) for path in stored] == [
            f"results/{task_id}/{attempts}/face-swap.png"
        ]
        picture = httpx.get(task["output"]["image_url"]).content
        assert picture == stored[0].read_bytes()
        assert len(picture) == task["output"]["bytes"]
        eventually(lambda: self.log("task completed", task_id=task_id) or None, "a line in the log")
        assert len(self.log("task completed", task_id=task_id)) == 1
        assert len(self.log("task started", task_id=task_id)) == attempts
        return task


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    # Not below pytest's folder, where PostgreSQL's user can't go.
    folder = Path(tempfile.mkdtemp(prefix="mien-test-"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    service = Service(folder, tmp_path_factory.mktemp("logs") / "log", port)
    try:
        service.serve()
        yield service
    finally:
        for process in service.processes:
            if process.poll() is None:
                process.terminate()
                process.wait(PATIENCE)
        shutil.rmtree(folder)


def test_only_the_face_is_changed(service: Service) -> None:
    task = service.completed_once(service.create(), attempts=1)
    assert task["image_url"] == task["outputs"][0] == task["output"]["image_url"]
    target, source = decode(TARGET).rgb, decode(SOURCE).rgb
    result = decode(httpx.get(task["image_url"]).content).rgb
    assert result.shape == target.shape == (task["output"]["height"], task["output"]["width"], 3)
    again = FaceSwapper(threads=1).swap(target, source).image
    assert np.array_equal(result, watermark.embed(again, tag_of(task["task_id"]), WATERMARK_KEY.encode()))
    difference = np.abs(again.astype(int) - target.astype(int)).max(axis=2)

    x0, y0, x1, y1 = FaceSwapper(threads=1).detect(target)[0].box
    width, height = x1 - x0, y1 - y0
    inner = np.s_[int(y0 + height / 4) : int(y1 - height / 4), int(x0 + width / 4) : int(x1 - width / 4)]
    assert (difference[inner] > 0).mean() > 0.8
    outside = np.ones(difference.shape, dtype=bool)
    outside[
        max(0, int(y0 - height / 2)) : int(y1 + height / 2), max(0, int(x0 - width / 2)) : int(x1 + width / 2)
    ] = False
    assert outside.any()
    assert not difference[outside].any()


def test_the_request_id_follows_the_task_into_worker_and_engine(service: Service) -> None:
    with service.client() as client:
        response = client.post(
            FACE_SWAP,
            data={"model": "face-swap"},
            files={"image": TARGET, "face_image": SOURCE},
            headers={"X-Request-Id": "followed"},
        )
    task_id = response.json()["data"]["task_id"]
    service.ended(task_id)
    events = {line["event"]: line["pid"] for line in service.log(request_id="followed")}
    assert {"request", "task started"} <= set(events)
    assert events["request"] != events["task started"]


def test_a_huge_body_is_refused_over_a_real_connection(service: Service) -> None:
    with service.client() as client:
        for content in (bytes(80_000_000), (bytes(1_000_000) for _ in range(80))):
            response = client.post(FACE_SWAP, content=content, headers={"Content-Type": "application/json"})
            assert response.status_code == 413
            assert response.json()["error"]["type"] == "payload_too_large"


def test_a_task_survives_its_engine_process(service: Service) -> None:
    task_id = service.create()
    worker = service.at_work(task_id)
    os.kill(service.log("engine process ready", pid=worker)[-1]["child"], signal.SIGKILL)
    service.completed_once(task_id, attempts=2)


def test_a_task_survives_its_worker(service: Service) -> None:
    task_id = service.create()
    os.kill(service.at_work(task_id), signal.SIGKILL)
    service.completed_once(task_id, attempts=2)


def test_a_task_survives_the_api_process(service: Service) -> None:
    task_id = service.create()
    service.at_work(task_id)
    os.kill(service.log("process started", name="api")[-1]["child"], signal.SIGKILL)
    service.completed_once(task_id, attempts=1)


def test_a_request_that_is_repeated_after_its_api_process_died_creates_one_task(service: Service) -> None:
    before = service.balance()
    headers = {"Idempotency-Key": "repeated"}
    files = {"image": TARGET, "face_image": SOURCE}

    def create() -> httpx.Response | None:
        with service.client() as client, suppress(httpx.TransportError):
            return client.post(FACE_SWAP, data={"model": "face-swap"}, files=files, headers=headers)
        return None

    with ThreadPoolExecutor(1) as threads:
        cut_short = threads.submit(create)
        service.kill_apis()
        cut_short.result()
    first, again = eventually(create, "an answer"), eventually(create, "the same answer")
    assert again.headers["Idempotency-Replayed"] == "true"
    task_id = first.json()["data"]["task_id"]
    assert again.json()["data"]["task_id"] == task_id
    assert service.balance() == before - 3
    service.completed_once(task_id, attempts=1)
    assert service.balance() == before - 3


def test_a_client_that_was_cut_off_follows_a_task_on_where_it_was(service: Service) -> None:
    task_id = service.create()
    events: list[tuple[str, str]] = []

    def follow(until: str) -> None:
        headers = {"Last-Event-ID": events[-1][0]} if events else {}
        path = f"/api/v1/tasks/{task_id}/events"
        with service.client() as client, client.stream("GET", path, headers=headers) as response:
            found: dict[str, str] = {}
            for line in response.iter_lines():
                name, _, value = line.partition(": ")
                found[name] = value
                if not line:
                    events.append((found["id"], found["event"]))
                    if events[-1][1] == until:
                        return

    follow(until="detecting")
    service.kill_apis()
    eventually(lambda: service.is_ready() or None, "readiness")
    follow(until="completed")
    stages = ["queued", "fetching", "detecting", "swapping", "marking", "storing", "completed"]
    assert events == [("0.queued", "queued"), *((f"1.{stage}", stage) for stage in stages[1:])]


def test_canceling_frees_the_engine_and_gives_the_credits_back(service: Service) -> None:
    before = service.balance()
    task_id = service.create()
    worker = service.at_work(task_id)
    assert service.balance() == before - 3
    with service.client() as client:
        canceled = client.post(f"/api/v1/tasks/{task_id}/cancel").json()["data"]
    assert (canceled["status"], canceled["error"]["type"]) == ("failed", "canceled")
    assert service.balance() == before
    engines = len(service.log("engine process ready", pid=worker))
    service.completed_once(service.create(), attempts=1)
    assert len(service.log("engine process ready", pid=worker)) == engines  # it stopped by itself
    assert not service.log("task completed", task_id=task_id)
    assert service.balance() == before - 3


def test_deleted_pictures_are_gone_at_once_and_the_task_stays(service: Service) -> None:
    task_id = service.create()
    picture = service.completed_once(task_id, attempts=1)["image_url"]
    with service.client() as client:
        assert client.delete(f"/api/v1/tasks/{task_id}").status_code == 200
        assert client.get(picture).status_code == 404
    objects = service.data_dir / "objects"
    assert not [path for path in objects.rglob("*") if path.is_file() and task_id in str(path)]
    task = service.read(task_id)
    assert task
    assert (task["status"], task["output"], task["image_url"]) == ("completed", None, None)
    assert task["credits"]["charged"] == 3


def test_a_task_survives_the_database(service: Service) -> None:
    (pid_file,) = service.data_dir.rglob("postmaster.pid")
    task_id = service.create()
    service.at_work(task_id)
    os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
    task = service.ended(task_id)
    assert task["status"] == "completed"
    # The answer may be there before the line in the log.
    eventually(lambda: service.log("task completed", task_id=task_id) or None, "a line in the log")
    assert len(service.log("task completed", task_id=task_id)) == 1


def test_a_worker_that_slept_through_its_task_changes_nothing(service: Service) -> None:
    seen = len(service.log())
    other = service.start("worker")
    eventually(lambda: service.log("worker started", since=seen) or None, "another worker")
    task_id = service.create()
    sleeper = service.at_work(task_id)
    os.kill(sleeper, signal.SIGSTOP)
    try:
        before = service.completed_once(task_id, attempts=2)
        assert service.log("task completed", task_id=task_id)[0]["pid"] != sleeper
    finally:
        os.kill(sleeper, signal.SIGCONT)
    lost = "task was canceled, or given to another worker"
    eventually(lambda: service.log(lost, task_id=task_id, pid=sleeper) or None, "the sleeper's awakening")
    assert service.completed_once(task_id, attempts=2) == before
    other.terminate()
    assert other.wait(PATIENCE) == 0
    service.completed_once(service.create(), attempts=1)


def test_stopping_lets_a_swap_finish_and_a_new_start_finds_everything(service: Service) -> None:
    old = service.completed_once(service.create(), attempts=1)
    task_id = service.create()
    service.at_work(task_id)
    service.processes[0].terminate()
    assert service.processes[0].wait(PATIENCE) == 0
    service.serve()
    assert service.read(old["task_id"]) == old
    assert httpx.get(old["image_url"]).status_code == 200
    service.completed_once(task_id, attempts=1)


def test_killed_as_a_whole_it_takes_up_its_tasks_at_the_next_start(service: Service) -> None:
    task_id = service.create()
    service.at_work(task_id)
    service.processes[-1].kill()
    service.processes[-1].wait()
    service.serve()
    service.completed_once(task_id, attempts=2)

"""`mien serve` and `mien worker` as their operator sees them."""

import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from mien.database.embedded import EmbeddedServer
from mien.images.codec import DecodeLimits, decode
from mien.welcome import welcome

MIEN = Path(sys.executable).parent / "mien"
PATIENCE = 60.0  # seconds; a busy machine is no failure


class Service:
    """A data folder, a port, and the command that was started on them."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.output = data_dir.with_name(f"{data_dir.name}.out")
        self.log = data_dir.with_name(f"{data_dir.name}.log")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def run(self, command: str = "serve", **settings: str) -> Iterator[psutil.Process]:
        """Run `mien serve` or `mien worker` and kill it in the end, if it still runs."""
        given = {"DATA_DIR": str(self.data_dir), "PORT": str(self.port), "WORKERS": "1", "THREADS": "1"}
        given |= {"LOG_FORMAT": "json", **settings}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MIEN_")}
        environment |= {f"MIEN_{name}": value for name, value in given.items()}
        with self.output.open("wb") as output, self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [MIEN, command], env=environment, stdout=output, stderr=log, start_new_session=True
            )
        process = psutil.Process(self.process.pid)
        try:
            yield process
        finally:
            self.process.kill()
            self.process.wait()

    @contextmanager
    def ready(self, **settings: str) -> Iterator[psutil.Process]:
        with self.run("serve", **settings) as process:
            _until(lambda: "Mien is ready" in self.output.read_text() or not _runs(process), "readiness")
            assert _runs(process), self.log.read_text()
            yield process

    def ended(self) -> int:
        """The command's exit status; waits for it."""
        assert self.process
        return self.process.wait(PATIENCE)

    def fails(self, command: str = "serve", **settings: str) -> str:
        """What it says when it can't start."""
        before = len(self.log.read_text()) if self.log.exists() else 0
        with self.run(command, **settings):
            assert self.ended() == 1
        return self.log.read_text()[before:]

    def child(self, role: str) -> psutil.Process:
        (found,) = self.children(role)
        return found

    def children(self, role: str) -> list[psutil.Process]:
        assert self.process
        return [
            child
            for child in psutil.Process(self.process.pid).children()
            if child.cmdline()[3:5] == ["mien.child", role]
        ]

    def postmaster(self) -> psutil.Process:
        return psutil.Process(
            int((self.data_dir / "postgres/data/postmaster.pid").read_text().split("\n")[0])
        )

    def logged(self, event: str, **fields: object) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        wanted = {"event": event, **fields}
        return [line for line in lines if wanted.items() <= line.items()]

    def get(self, path: str, key: str = "") -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", headers=headers, timeout=5, verify=False)

    def is_ready(self) -> bool:
        try:
            return self.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def paste(self, folder: Path) -> str:
        """Paste what the service printed into a shell, as its reader would; what the shell says."""
        printed = self.output.read_text()
        snippet = printed[printed.index("MIEN=") :]
        pasted = subprocess.run(
            ["sh", "-s"], input=snippet, cwd=folder, capture_output=True, text=True, timeout=PATIENCE
        )
        assert pasted.stderr == ""
        return pasted.stdout


def _runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _until(condition: Callable[[], bool], wanted: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{wanted} never came"
        time.sleep(0.05)


@pytest.fixture
def service(data_dir: Path) -> Iterator[Service]:
    service = Service(data_dir / "data")
    yield service
    _until(lambda: not EmbeddedServer(service.data_dir).is_alive(), "the database's end")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("curl"), reason="the first swap is pasted into a shell with curl")
def test_first_swap_works_as_pasted(service: Service, tmp_path: Path) -> None:
    with service.ready() as process:
        first = service.output.read_text()
        key = (service.data_dir / "api-key").read_text().strip()
        assert (service.data_dir / "api-key").stat().st_mode & 0o777 == 0o600
        assert first.count(key) == 2  # once to read, once to paste
        assert service.paste(tmp_path) == "Look at result.png\n"
        picture = decode((tmp_path / "result.png").read_bytes(), DecodeLimits(), param="result")
        assert picture.rgb.shape == (1200, 805, 3)
        process.terminate()
        assert service.ended() == 0
    with service.ready() as process:
        again = service.output.read_text()
        assert key not in again
        assert str(service.data_dir / "api-key") in again
        assert service.paste(tmp_path) == "Look at result.png\n"
        assert key not in service.log.read_text()


@pytest.mark.slow
class TestStop:
    def test_signal_stops_everything(self, service: Service) -> None:
        with service.ready() as process:
            _until(lambda: bool(service.logged("worker started")), "the worker")
            everyone = [*process.children(recursive=True), service.postmaster()]
            assert len(everyone) == 4  # api, worker, engine, postgres
            process.send_signal(signal.SIGINT)
            assert service.ended() == 0
            assert [each for each in everyone if _runs(each)] == []
        assert "database system is shut down" in (service.data_dir / "postgres/log").read_text()

    def test_second_signal_does_not_wait(self, service: Service) -> None:
        with service.ready() as process:
            worker = service.child("worker")
            worker.suspend()  # so that it can't end by itself
            process.send_signal(signal.SIGHUP)
            time.sleep(0.5)
            assert _runs(process)
            process.send_signal(signal.SIGINT)
            assert service.ended() == 0
            assert not _runs(worker)

    def test_child_that_does_not_end_is_killed_after_the_grace(self, service: Service) -> None:
        with service.ready(STOP_GRACE="0.1s") as process:
            service.child("worker").suspend()
            process.terminate()
            assert service.ended() == 0


@pytest.mark.slow
class TestKill:
    def test_whoever_dies_is_started_again(self, service: Service, tmp_path: Path) -> None:
        with service.ready():
            for role in ("api", "worker"):
                died = service.child(role)
                died.kill()
                _until(lambda: len(service.logged("process started", name=role)) == 2, "another one")  # noqa: B023
                assert service.child(role).pid != died.pid
            service.postmaster().kill()
            _until(lambda: bool(service.logged("PostgreSQL started")), "the database")
            _until(service.is_ready, "readiness")
            assert service.paste(tmp_path) == "Look at result.png\n"

    def test_with_several_apis_one_may_die_and_another_answers(self, service: Service) -> None:
        with service.ready(API_PROCESSES="2") as process:
            _until(lambda: len(service.logged("process started", name="api")) == 2, "both")
            first, second = service.children("api")
            second.suspend()
            assert service.is_ready()
            second.resume()
            first.kill()
            _until(lambda: len(service.logged("process started", name="api")) == 3, "a third")
            assert service.is_ready()
            assert len(service.children("api")) == 2
            process.terminate()
            assert service.ended() == 0

    def test_nothing_stands_in_the_way_of_the_next_start(self, service: Service, tmp_path: Path) -> None:
        with service.ready() as process:
            everyone = [*process.children(recursive=True), service.postmaster()]
            process.kill()
            _until(lambda: not any(_runs(each) for each in everyone), "the end of all")
        with service.ready() as process:
            for each in [process, *process.children(recursive=True), service.postmaster()]:
                each.kill()
        with service.ready():
            assert service.paste(tmp_path) == "Look at result.png\n"


class TestRefusal:
    def test_port_in_use(self, service: Service) -> None:
        with socket.create_server(("127.0.0.1", service.port)):
            said = service.fails()
        assert said == (
            f"Error: Port {service.port} of 127.0.0.1 is in use: stop what listens there, or choose another "
            "with --port.\n"
        )

    def test_host_that_is_not_ours(self, service: Service) -> None:
        said = service.fails(HOST="192.0.2.1")
        assert re.fullmatch(r"Error: Can't listen on port \d+ of 192\.0\.2\.1: .+\n", said)

    def test_data_folder_that_cannot_be_written(self, service: Service) -> None:
        service.data_dir.write_text("a file")
        said = service.fails()
        assert re.fullmatch(r"Error: The data folder .+ can't be written .+--data-dir.+\n", said)
        service.data_dir.unlink()

    def test_second_service_on_one_folder(self, service: Service) -> None:
        service.data_dir.mkdir()
        with (service.data_dir / "serve.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            print(4321, file=lock, flush=True)
            said = service.fails()
        assert said == (
            f"Error: Another `mien serve` (process 4321) uses {service.data_dir}: stop it, or choose another "
            "folder with --data-dir.\n"
        )

    def test_key_file_that_holds_no_key(self, service: Service, database_url: str) -> None:
        service.data_dir.mkdir()
        (service.data_dir / "api-key").write_text("hello\n")
        said = service.fails(DATABASE_URL=database_url)
        assert said.endswith("api-key doesn't hold an API key: remove it, and the next start makes one.\n")


@pytest.mark.slow
def test_own_database_is_set_up_and_knows_the_key_of_the_data_folder(
    service: Service, database_url: str, empty_database_url: str
) -> None:
    for url in (empty_database_url, database_url):
        with service.ready(DATABASE_URL=url) as process:
            key = (service.data_dir / "api-key").read_text().strip()
            assert service.get("/api/v1/tasks/none", key).status_code == 404
            assert service.get("/api/v1/tasks/none", key[::-1]).status_code == 401
            process.terminate()
            assert service.ended() == 0
    assert not (service.data_dir / "postgres").exists()


class TestWorker:
    @pytest.mark.slow
    def test_alone_keeps_the_database_up_and_starts_it(self, service: Service) -> None:
        worker = Service(service.data_dir)
        worker.log = service.log.with_suffix(".worker")
        with service.ready() as process, worker.run("worker") as alone:
            _until(lambda: len(worker.logged("worker started")) == 1, "the worker")
            postmaster = service.postmaster()
            process.terminate()
            assert service.ended() == 0
            assert _runs(postmaster)
            alone.terminate()
            assert worker.ended() == 0
            assert not _runs(postmaster)
        with worker.run("worker") as alone:
            _until(lambda: len(worker.logged("worker started")) == 2, "the worker")
            alone.send_signal(signal.SIGINT)
            assert worker.ended() == 0

    def test_without_a_database_says_so(self, service: Service) -> None:
        said = service.fails("worker")
        assert re.fullmatch(r"Error: There is no database in .+: start `mien serve` first, .+\n", said)


class TestWelcome:
    def test_shows_a_new_key_once_to_read_and_once_to_paste(self) -> None:
        text = welcome("http://127.0.0.1:8080", Path("/data/api-key"), "aio_new")
        assert text.count("aio_new") == 2
        assert "\nKEY=aio_new\n" in text

    def test_later_points_to_the_file_in_a_way_that_shells_understand(self) -> None:
        text = welcome("https://swap.example.com", Path("/my data/api-key"), None)
        assert "\nMIEN=https://swap.example.com\n" in text
        assert "\nKEY=\"$(cat '/my data/api-key')\"\n" in text

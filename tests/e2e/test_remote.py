"""Everything at once: `mien serve`, a swap by `mien remote`, and the callback that tells of it."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook
from tests.running import MIEN, PATIENCE, running_service

import mien
from mien.client import Client
from mien.images.codec import decode

pytestmark = pytest.mark.slow

SAMPLES = Path(mien.__file__).parent / "samples"


@pytest.fixture
def service(data_dir: Path) -> Iterator[tuple[str, str]]:
    """The address of a service that may send webhooks to this machine, and its first key."""
    with running_service(data_dir, WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8") as url:
        yield url, (data_dir / "api-key").read_text().strip()


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """The address of a receiver, and what has come."""
    received: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((dict(self.headers), body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hook", received
        server.shutdown()


def test_a_swap_by_the_command_line_tells_the_webhook(
    service: tuple[str, str],
    receiver: tuple[str, list[tuple[dict[str, str], bytes]]],
    tmp_path: Path,
) -> None:
    (url, key), (hook, received) = service, receiver
    bearer = {"Authorization": f"Bearer {key}"}
    created = httpx.post(f"{url}/api/v1/webhooks", headers=bearer, json={"url": hook}).json()["data"]
    command: list[str | Path] = [
        MIEN,
        "remote",
        "swap",
        SAMPLES / "park.jpg",
        SAMPLES / "man.jpg",
        "-o",
        tmp_path / "out.webp",
    ]
    environment = os.environ | {"MIEN_URL": url, "MIEN_API_KEY": key}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    swapped, target = (
        decode((tmp_path / "out.webp").read_bytes()),
        decode((SAMPLES / "park.jpg").read_bytes()),
    )
    assert swapped.rgb.shape == target.rgb.shape
    for _ in range(round(PATIENCE / 0.1)):
        if received:
            break
        time.sleep(0.1)
    ((headers, body),) = received
    event = Webhook(created["secret"]).verify(body, headers)
    assert event["type"] == "task.completed"
    assert event["data"]["output"]["format"] == "webp"
    with Client(key, base_url=url) as client:
        (task,) = client.tasks().tasks
        assert task.task_id == json.loads(body)["data"]["task_id"]
        faces = client.detect(SAMPLES / "park.jpg", annotate=True)
        assert faces.faces[0].usable
        assert faces.annotated_url

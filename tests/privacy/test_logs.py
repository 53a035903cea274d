"""What a service writes down while it's used and misused: nothing that is about people, and no secret."""

import base64
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.running import running_service

import mien
from mien.sealing import new_key

pytestmark = pytest.mark.slow

SAMPLES = Path(mien.__file__).parent / "samples"
TARGET, FACE = (SAMPLES / "cafe.jpg").read_bytes(), (SAMPLES / "woman.jpg").read_bytes()
FACE_SWAP = "/api/v1/images/tools/face-swap"
EMAIL, PASSWORD = "zelda.fitz@mail.example.com", "correct horse battery staple"
IN_QUERY, IN_HOOK, IN_METADATA = "Qu3ryS3cret", "H00kS3cret", "M3tadataS3cret"
PATIENCE = 90.0  # seconds


@contextmanager
def server_of_pictures() -> Iterator[str]:
    """Gives the face to whoever has the secret in the query, and takes webhooks."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = {"/face.jpg": FACE, "/text.jpg": b"no picture at all"}.get(
                self.path.partition("?")[0], b""
            )
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(500)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def data_uri(picture: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(picture).decode()


class Visitor:
    """Somebody who uses a service, well and badly; `secrets` are what nobody else should read."""

    def __init__(self, client: httpx.Client, pictures: str) -> None:
        self.client, self.pictures = client, pictures
        self.secrets: dict[str, str] = {"e-mail address": EMAIL, "password": PASSWORD}
        self.ended: set[str] = set()

    def sign_up(self) -> None:
        wanted = {"email": EMAIL, "password": PASSWORD, "name": "Zelda Fitz"}
        data = self.client.post("/api/v1/auth/sign-up", json=wanted).raise_for_status().json()["data"]
        self.secrets |= {"name": "Zelda Fitz", "session's proof": data["csrf_token"]}
        self.secrets["session"] = next(iter(self.client.cookies.values()))
        headers = {"X-CSRF-Token": data["csrf_token"]}
        made = self.client.post("/api/v1/keys", json={"name": "Phone"}, headers=headers).raise_for_status()
        self.secrets["key"] = key = made.json()["data"]["key"]
        self.client.cookies.clear()
        self.client.headers["Authorization"] = f"Bearer {key}"

    def misuse(self) -> None:
        """All kinds of refusals."""
        post, get = self.client.post, self.client.get
        again = {"email": EMAIL, "password": PASSWORD}
        assert post("/api/v1/auth/sign-up", json=again).status_code == 409
        wrong = {"email": EMAIL, "password": "Wr0ngPassword"}
        assert post("/api/v1/auth/sign-in", json=wrong).status_code == 401
        assert post("/api/v1/auth/password-reset", json={"email": f"x{EMAIL}"}).status_code == 202
        key = self.secrets["key"]
        assert get(f"/nothing/{EMAIL}/{key}?key={key}").status_code == 404
        assert get(f"/api/v1/tasks/{key}").status_code == 404
        assert get("/api/v1/tasks", params={"cursor": key}).status_code == 400
        assert get("/api/v1/account", headers={"Authorization": f"Bearer {key[:-1]}x"}).status_code == 401
        for body in (data_uri(FACE), {"image": data_uri(FACE), EMAIL: 1}, {"image": [data_uri(FACE)]}):
            assert post(FACE_SWAP, json=body).status_code == 400
        assert post("/api/v1/uploads", content=FACE, headers={"Content-Type": "text/html"}).status_code == 415
        assert post("/api/v1/uploads", content=b"no picture", headers={"Content-Type": "image/png"}).is_error

    def swap(self, status: str, **fields: Any) -> dict[str, Any]:
        """A swap, from its request to its end."""
        wanted = {"model": "face-swap", "metadata": {"who": IN_METADATA}} | fields
        created = self.client.post(FACE_SWAP, json=wanted)
        assert created.status_code == 200, created.text
        task_id = created.json()["data"]["task_id"]
        answer = self.client.get(f"/api/v1/tasks/{task_id}?wait=60").raise_for_status().json()["data"]
        assert answer["status"] == status, answer
        self.ended.add(task_id)
        return dict(answer)

    def swaps(self) -> None:
        secret = f"?token={IN_QUERY}"
        callback = f"{self.pictures}/hook/{IN_HOOK}{secret}"
        form = {"model": "face-swap", "callback_url": callback}
        files = {"image": ("zelda.jpg", TARGET), "face_image": ("face.jpg", FACE)}
        created = self.client.post(FACE_SWAP, data=form, files=files, headers={"Prefer": "wait=60"})
        assert created.json()["data"]["status"] == "completed", created.text
        image, face = data_uri(TARGET), f"{self.pictures}/face.jpg{secret}"
        answer = self.swap("completed", image=image, face_image=face, callback_url=callback)
        address = answer["image_url"]
        self.secrets["what opens a result"] = address.split("/files/")[1].split("/")[1]
        self.result = self.client.get(address).raise_for_status().content
        assert self.client.put(address).status_code == 405
        assert self.client.get(address[:-1]).status_code == 404
        for path in (f"/text.jpg{secret}", f"/none.jpg{secret}"):
            self.swap("failed", image=image, face_image=self.pictures + path)
        self.swap("failed", image=image, face_image=f"http://10.1.2.3/{IN_QUERY}.jpg{secret}")
        self.swap("failed", image=image, face_image=data_uri(FACE[: len(FACE) // 2]))
        self.swap("failed", image=image, face_image=face, target_index=10)
        found = self.client.post("/api/v1/images/tools/face-detect", json={"image": image, "annotate": True})
        assert found.status_code == 200, found.text

    def leave(self) -> None:
        account_id = self.client.get("/api/v1/account").json()["data"]["account_id"]
        assert self.client.get("/api/v1/account/export").raise_for_status().content
        gone = self.client.request("DELETE", "/api/v1/account", json={"confirm": account_id})
        assert gone.status_code == 204, gone.text


def test_nothing_about_people_and_no_secret_is_written_down(data_dir: Path) -> None:
    storage_key = new_key().strip()
    settings = {
        "LOG_LEVEL": "debug",
        "LOG_FORMAT": "json",
        "SIGNUP": "open",
        "STORAGE_KEY": storage_key,
        "NEW_ACCOUNT_CREDITS": "1000",
        "FETCH_ALLOWED_NETWORKS": "127.0.0.0/8",
        "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
    }
    with (
        server_of_pictures() as pictures,
        running_service(data_dir, **settings) as address,
        httpx.Client(base_url=address, timeout=PATIENCE) as client,
    ):
        visitor = Visitor(client, pictures)
        visitor.sign_up()
        visitor.misuse()
        visitor.swaps()
        wait_for(data_dir / "log", "webhook attempted")
        visitor.leave()
        metrics = client.get("/metrics").text
    files = (data_dir / "log", *data_dir.glob("postgres/log*"))
    logs = {str(path.relative_to(data_dir)): path.read_text(errors="replace") for path in files}
    assert sum(len(text) for text in logs.values()) > 10_000
    for event in ("task completed", "task failed", "webhook attempted", "account erased"):
        assert event in logs["log"], event
    secrets = visitor.secrets | {
        "other password": "Wr0ngPassword",
        "key of the storage": storage_key,
        "query": IN_QUERY,
        "hook": IN_HOOK,
        "metadata": IN_METADATA,
        "secret of webhooks": "whsec_",
        "file's name": "zelda",
    }
    for written, text in {**logs, "metrics": metrics}.items():
        for name, secret in secrets.items():
            assert secret.lower() not in text.lower(), f"{name} is in {written}: {around(text, secret)}"
        for name, picture in {"target": TARGET, "face": FACE, "result": visitor.result}.items():
            for form in forms_of(picture):
                assert form not in text, f"the {name} is in {written}"
        assert "data:image" not in text
        many_numbers = re.search(r"(-?\d+\.\d+(e-?\d+)?,?\s+){8}", text)
        assert many_numbers is None, f"an embedding may be in {written}: {many_numbers}"


def forms_of(picture: bytes) -> Iterator[str]:
    """How a piece of a picture looks in text: in base64 at any offset, in hexadecimal digits, as a repr."""
    piece = picture[1200:1260]
    for offset in range(3):
        yield base64.b64encode(piece[offset : offset + 30]).decode()
    yield piece.hex()[:40]
    yield repr(piece)[2:30]


def around(text: str, secret: str) -> str:
    place = text.lower().index(secret.lower())
    return text[max(0, place - 300) : place + 100]


def wait_for(log: Path, event: str) -> None:
    end = time.monotonic() + PATIENCE
    while event not in log.read_text(errors="replace"):
        assert time.monotonic() < end, event
        time.sleep(0.2)

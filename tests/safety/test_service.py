"""What a running service refuses: real pictures over HTTP, and what it costs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.running import running_service
from tests.safety.shapes import taken_for_adult

from mien.images.codec import encode

pytestmark = pytest.mark.slow

FACE_SWAP = "/api/v1/images/tools/face-swap"


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("service")
    for each in (folder, *folder.parents[:2]):
        each.chmod(0o711)  # PostgreSQL's own user must get through
    return folder


@pytest.fixture(scope="module")
def client(data_folder: Path) -> Iterator[httpx.Client]:
    with running_service(data_folder, DO_NOT_SWAP="open", LOG_FORMAT="json") as address:
        key = (data_folder / "api-key").read_text().strip()
        with httpx.Client(
            base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=90, verify=False
        ) as client:
            yield client


def swapped(client: httpx.Client, image: bytes, face: bytes) -> dict[str, Any]:
    response = client.post(
        FACE_SWAP,
        data={"model": "face-swap", "output_format": "jpg"},
        files={"image": image, "face_image": face},
        headers={"Prefer": "wait=60"},
    )
    assert response.status_code == 200, response.text
    task: dict[str, Any] = response.json()["data"]
    while task["status"] == "IN_PROGRESS":  # on a busy machine
        task = client.get(f"/api/v1/tasks/{task['task_id']}", params={"wait": 60}).json()["data"]
    return task


def balance(client: httpx.Client) -> int:
    return int(client.get("/api/v1/account").json()["data"]["balance"])


def test_a_listed_face_is_neither_put_in_nor_changed_until_it_is_taken_off(
    client: httpx.Client, data_folder: Path, ada: list[bytes], ben: bytes
) -> None:
    portrait, selfie, posture = ada
    before = balance(client)
    assert swapped(client, ben, selfie)["status"] == "completed"
    assert balance(client) == before - 3
    registered = client.post("/api/v1/do-not-swap", files=[("images", portrait), ("images", posture)]).json()[
        "data"
    ]
    for image, face, at_fault in ((ben, selfie, "face_image"), (selfie, ben, "image")):
        task = swapped(client, image, face)
        assert (task["error"]["type"], task["error"]["param"]) == ("content_blocked", at_fault)
        assert task["credits"] == {"held": 0, "charged": 0}
    assert balance(client) == before - 3
    entries = client.get("/api/v1/admin/trail", params={"limit": 3}).json()["data"]["entries"]
    assert [entry["error"] for entry in entries] == ["content_blocked", "content_blocked", None]
    secret = {"X-Removal-Secret": registered["removal_secret"]}
    assert client.delete(f"/api/v1/do-not-swap/{registered['face_id']}", headers=secret).status_code == 204
    assert swapped(client, ben, selfie)["status"] == "completed"
    log = (data_folder / "log").read_text()
    assert f'"listed": "{registered["face_id"]}"' in log
    assert registered["removal_secret"] not in log


def test_adult_content_is_refused_and_not_charged(client: httpx.Client, ada: list[bytes]) -> None:
    before = balance(client)
    task = swapped(client, encode(taken_for_adult(), "png"), ada[0])
    assert (task["error"]["type"], task["error"]["param"]) == ("content_blocked", "image")
    assert "adult content" in task["error"]["message"]
    assert balance(client) == before

"""The OpenAPI document is the truth: a tour of a running service, then schemathesis for all the rest."""

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import schemathesis
from tests.running import MIEN, PATIENCE, running_service

import mien

pytestmark = pytest.mark.slow

SAMPLES = Path(mien.__file__).parent / "samples"
ADA = {"email": "ada@example.com", "password": "correct horse battery staple"}

CONFIG = """
seed = 1
base-url = "{url}"
headers = {{ Authorization = "Bearer {key}" }}
workers = 1  # CPython 3.11 compiles in one thread at a time only, and Hypothesis compiles
request-timeout = 30
continue-on-failure = true
max-stream-events = 1
cache = {{ enabled = false }}
generation = {{ deterministic = true, max-examples = 2, no-shrink = true }}
phases = {{ stateful = {{ enabled = false }} }}
reports = {{ har = {{ path = "{report}" }} }}

# It finds the ids of its own account and key in answers, and would lock itself out.
[[operations]]
include-path = "/api/v1/admin/accounts/{{account_id}}"
parameters = {{ account_id = "{account_id}" }}

[[operations]]
include-path = "/api/v1/keys/{{key_id}}"
parameters = {{ key_id = "{key_id}" }}
"""

REFUSED = {
    "GET /api/v1/admin/accounts": "a cursor of elsewhere",
    "GET /api/v1/admin/do-not-swap": "a cursor of elsewhere",
    "GET /api/v1/admin/trail": "a cursor of elsewhere",
    "GET /api/v1/credits/entries": "a cursor of elsewhere",
    "GET /api/v1/orders": "a cursor of elsewhere",
    "GET /api/v1/tasks": "a cursor of elsewhere",
    "GET /api/v1/webhooks/deliveries": "a cursor of elsewhere",
    "GET /api/v1/webhooks/{webhook_id}/deliveries": "a cursor of elsewhere",
    "GET /api/v1/usage": "more than 366 days",
    "PATCH /api/v1/account/settings": "keeping results for longer than the operator",
    "PATCH /api/v1/keys/{key_id}": "an end in the past",
    "DELETE /api/v1/account": "the id of another account",
    "POST /api/v1/admin/do-not-swap": "pictures that show no face",
    "POST /api/v1/do-not-swap": "pictures that show no face",
    "POST /api/v1/keys": "an end in the past",
    "POST /api/v1/orders": "a pack that isn't sold",
    "POST /api/v1/images/tools/check-origin": "a picture that can't be fetched, or is none",
    "POST /api/v1/images/tools/face-detect": "a picture that can't be fetched, or is none",
    "POST /api/v1/images/tools/face-swap": "no JSON in a form's `swaps`, a known Idempotency-Key, a "
    "language without a label",
    "POST /api/v1/uploads": "a file that is no picture",
}
"""What fits the schema and is refused all the same, and why: no schema can say it."""


@pytest.fixture
def url(data_dir: Path) -> Iterator[str]:
    """The address of a service that lets everybody in and counts nothing."""
    with running_service(
        data_dir,
        SIGNUP="open",
        DO_NOT_SWAP="open",
        FETCH_TIMEOUT="1s",
        REQUESTS_PER_MINUTE="1000000",
        TASKS_IN_FLIGHT="1000000",
    ) as url:
        yield url


class Tour:
    """Asks for what schemathesis doesn't get by itself, and checks the answers against the document."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.key = {"Authorization": f"Bearer {key}"}
        self.document = httpx.get(f"{url}/openapi.json").json()
        self.schema = schemathesis.openapi.from_dict(self.document)
        self.succeeded: set[tuple[str, str]] = set()

    def ask(self, operation: str, **request: Any) -> Any:
        """The data of the answer to a request that has to succeed; `ids` fill in the path."""
        method, path = operation.split(" ")
        address = self.url + path.format(**request.pop("ids", {}))
        headers = request.pop("headers", self.key)
        response = httpx.request(method, address, headers=headers, timeout=PATIENCE, **request)
        assert response.is_success, (operation, response.text)
        self.schema[path][method].validate_response(response)
        self.succeeded.add((method, path))
        return response.json()["data"] if response.content else None

    def be_somebody(self) -> str:
        """Go through the life of a session; the account's id."""
        account = self.ask("POST /api/v1/auth/sign-up", json=ADA, headers={})
        other = {"current_password": ADA["password"], "new_password": "battery staple correct horse"}
        self.ask("POST /api/v1/auth/password", json=other, headers=self.session(ADA["password"]))
        self.ask("POST /api/v1/auth/password-reset", json={"email": ADA["email"]}, headers={})
        (waiting,) = self.ask("GET /api/v1/admin/password-resets")["password_resets"]
        reset = {"token": waiting["link"].partition("#")[2], "new_password": ADA["password"]}
        self.ask("POST /api/v1/auth/password-reset/confirm", json=reset, headers={})
        session = self.session(ADA["password"])
        self.ask("GET /api/v1/auth/session", headers=session)
        self.ask("POST /api/v1/auth/sign-out", headers=session)
        return str(account["account_id"])

    def come_and_go(self) -> None:
        """Somebody else signs up, and deletes the account."""
        grace = ADA | {"email": "grace@example.com"}
        self.ask("POST /api/v1/auth/sign-up", json=grace, headers={})
        leaving = self.session(grace["password"], grace["email"])
        self.ask("DELETE /api/v1/account", json={"password": grace["password"]}, headers=leaving)

    def session(self, password: str, email: str = ADA["email"]) -> dict[str, str]:
        """The headers of somebody who has just signed in."""
        who = {"email": email, "password": password}
        signed_in = httpx.post(f"{self.url}/api/v1/auth/sign-in", json=who)
        cookie = signed_in.headers["set-cookie"].partition(";")[0]
        return {"Cookie": cookie, "X-CSRF-Token": signed_in.json()["data"]["csrf_token"]}

    def swap_faces(self) -> None:
        """Upload a picture, check its origin, find its face, swap it, and cancel another task."""
        picture, kind = (SAMPLES / "park.jpg").read_bytes(), {"Content-Type": "image/jpeg"}
        upload = self.ask("POST /api/v1/uploads", content=picture, headers=self.key | kind)
        detection = {"image": upload["image_url"], "annotate": True}
        self.ask("POST /api/v1/images/tools/check-origin", content=picture, headers=self.key | kind)
        (face,) = self.ask("POST /api/v1/images/tools/face-detect", json=detection)["faces"]
        wanted = {
            "model": "face-swap",
            "image": upload["image_url"],
            "face_image": f"{self.url}/samples/woman.jpg",
            "target_index": face["index"],
        }
        waiting = self.key | {"Prefer": "wait=60"}
        task = self.ask("POST /api/v1/images/tools/face-swap", json=wanted, headers=waiting)
        assert task["status"] == "completed", task
        other = self.ask("POST /api/v1/images/tools/face-swap", json=wanted)
        self.ask("POST /api/v1/tasks/{task_id}/cancel", ids=other)
        self.ask("DELETE /api/v1/uploads/{upload_id}", ids=upload)

    def protect_faces(self) -> None:
        """Put two faces on the list, and take them off again."""
        picture = base64.b64encode((SAMPLES / "man.jpg").read_bytes()).decode()
        pictures = {"images": [f"data:image/jpeg;base64,{picture}"]}
        mine = self.ask("POST /api/v1/do-not-swap", json=pictures, headers={})
        secret = {"X-Removal-Secret": mine["removal_secret"]}
        self.ask("DELETE /api/v1/do-not-swap/{face_id}", ids=mine, headers=secret)
        theirs = self.ask("POST /api/v1/admin/do-not-swap", json=pictures)
        self.ask("DELETE /api/v1/admin/do-not-swap/{face_id}", ids=theirs)


def answered_with_success(report: Path, document: dict[str, Any]) -> set[tuple[str, str]]:
    """The operations that were, by the record of all requests."""
    patterns = {
        (method.upper(), path): re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))
        for path, operations in document["paths"].items()
        for method in operations
    }
    succeeded = set()
    for entry in json.loads(report.read_text())["log"]["entries"]:
        if 200 <= entry["response"]["status"] < 300:
            path = urlsplit(entry["request"]["url"]).path
            fitting = [
                operation
                for operation, pattern in patterns.items()
                if operation[0] == entry["request"]["method"] and pattern.fullmatch(path)
            ]
            succeeded.add(min(fitting, key=lambda operation: operation[1].count("{")))
    return succeeded


def test_every_operation_answers_as_the_document_says(url: str, data_dir: Path, tmp_path: Path) -> None:
    key = (data_dir / "api-key").read_text().strip()
    tour = Tour(url, key)
    account_id = tour.be_somebody()
    tour.swap_faces()
    tour.protect_faces()
    tour.come_and_go()
    spare = tour.ask("POST /api/v1/keys", json={"name": "Spare"})

    report, config = tmp_path / "report.har", tmp_path / "schemathesis.toml"
    text = CONFIG.format(url=url, key=key, report=report, account_id=account_id, key_id=spare["key_id"])
    for operation in REFUSED:
        statuses = ["2xx", "400", "401", "403", "404", "409", "413", "415", "422"]
        text += (
            f'\n[[operations]]\ninclude-name = "{operation}"\n'
            f"checks.positive_data_acceptance.expected-statuses = {json.dumps(statuses)}\n"
        )
    config.write_text(text)
    command: list[str | Path] = [MIEN.with_name("schemathesis"), "--no-color", "--config-file", config, "run"]
    ran = subprocess.run([*command, f"{url}/openapi.json"], capture_output=True, text=True, cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr

    operations = {
        (method.upper(), path) for path, methods in tour.document["paths"].items() for method in methods
    }
    succeeded = tour.succeeded | answered_with_success(report, tour.document)
    assert operations - succeeded == set()

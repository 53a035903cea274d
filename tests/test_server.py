"""The service as its callers see it, in one process: the application on a real database, without workers."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
import structlog
from structlog.testing import capture_logs

from mien.accounts.service import create_account, issue_key
from mien.database.migrations import migrate
from mien.errors import NoFaceFound
from mien.resources import Resources
from mien.server import create_app
from mien.settings import Settings, load_settings
from mien.storage import objects
from mien.storage.addresses import signed_path
from mien.tasks import endings, queries
from mien.tasks.endings import Result
from mien.tasks.models import Task
from mien.tasks.requests import FaceSwapRequest


@pytest.fixture
def database_url(module_database_url: str) -> str:
    """One database for all: no test here looks at another's tasks."""
    return module_database_url


KEY = "results/task_faceswap/1/face-swap.png"
FACE_SWAP = "/api/v1/images/tools/face-swap"
WANTED = {
    "model": "face-swap",
    "image": "https://example.com/target.jpg",
    "face_image": "https://example.com/face.jpg",
}


def refusal(response: httpx.Response, status: int, type: str, param: str | None = None) -> str:
    """Check that `response` is an error in the envelope, and give its message."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert set(error) == {"code", "message", "type", "param", "request_id"}
    assert (error["code"], error["type"], error["param"]) == (status, type, param)
    assert error["request_id"] == response.headers["x-request-id"]
    assert isinstance(error["message"], str)
    return error["message"]


async def unread_body() -> AsyncIterator[bytes]:
    """A body that fails the test when it's read."""
    yield pytest.fail("the body was read")


class TestTheSeedContract:
    async def test_creating_answers_exactly_as_documented(self, api: httpx.AsyncClient) -> None:
        response = await api.post(FACE_SWAP, json={**WANTED, "target_index": 0, "output_format": "png"})
        assert response.status_code == 200
        task_id = response.json()["data"]["task_id"]
        assert task_id.endswith("_faceswap")
        assert response.text == json.dumps(
            {
                "code": 200,
                "message": "success",
                "data": {"task_id": task_id, "status": "IN_PROGRESS"},
            },
            separators=(",", ":"),
        )

    async def test_a_task_in_progress_is_in_the_same_envelope(self, api: httpx.AsyncClient) -> None:
        task_id = (await api.post(FACE_SWAP, json=WANTED)).json()["data"]["task_id"]
        response = await api.get(f"/api/v1/tasks/{task_id}")
        body = response.json()
        assert (response.status_code, body["code"], body["message"]) == (200, 200, "success")
        expected = {
            "task_id": task_id,
            "status": "IN_PROGRESS",
            "stage": "queued",
            "output": None,
            "image_url": None,
            "outputs": [],
            "error": None,
            "report": None,
            "reports": [],
            "timings": None,
            "credits": {"held": 3, "charged": 0},
            "consent": None,
            "metadata": {},
            "started_at": None,
            "completed_at": None,
        }
        assert {name: value for name, value in body["data"].items() if name != "created_at"} == expected

    async def test_an_error_has_code_message_and_type(self, api: httpx.AsyncClient) -> None:
        response = await api.post(FACE_SWAP, json={**WANTED, "target_index": 11})
        error = response.json()["error"]
        assert response.text == (
            '{"error":{"code":400,"message":'
            + json.dumps(error["message"], ensure_ascii=False)
            + ',"type":"invalid_request","param":"target_index","request_id":"'
            + error["request_id"]
            + '"}}'
        )

    @pytest.mark.parametrize("address", ["/api/v1/tasks/{}", "/api/v1/tasks/{}?wait=0"])
    async def test_what_pollers_look_for_is_where_they_look(
        self, api: httpx.AsyncClient, resources: Resources, address: str
    ) -> None:
        ids = [(await api.post(FACE_SWAP, json=WANTED)).json()["data"]["task_id"] for _ in range(2)]
        described = {"format": "png", "width": 1, "height": 1, "bytes": 6, "sha256": "00"}
        async with resources.sessions.begin() as session:
            done, failed = [await queries.start(session, task_id, uuid4()) for task_id in ids]
            assert done and failed
            assert await endings.complete(
                resources, session, done, Result(f"results/{ids[0]}/1/face-swap.png", described, [], {})
            )
            assert await endings.fail(resources, session, failed, NoFaceFound("No face.", param="image"))
        completed = (await api.get(address.format(ids[0]))).json()
        assert (completed["code"], completed["message"]) == (200, "success")
        data = completed["data"]
        assert (data["task_id"], data["status"], data["error"]) == (ids[0], "completed", None)
        assert data["output"]["image_url"] == data["image_url"] == data["outputs"][0]
        data = (await api.get(address.format(ids[1]))).json()["data"]
        assert data["status"] == "failed"
        assert data["error"] == {"type": "no_face_found", "message": "No face.", "param": "image"}


class TestWhatIsWrongInTheRequest:
    @pytest.mark.parametrize(
        ("change", "param", "hint"),
        [
            ({"model": "other"}, "model", "face-swap"),
            ({"model": None}, "model", "face-swap"),
            ({"image": ""}, "image", "empty"),
            ({"image": "ftp://example.com/a.jpg"}, "image", "http(s)"),
            ({"image": "https://"}, "image", "http(s)"),
            ({"image": "https://example.com/a b"}, "image", "http(s)"),
            ({"image": "https://example.com:port/"}, "image", "http(s)"),
            ({"image": "https://example.com:99999/"}, "image", "http(s)"),
            ({"image": "https://[::1/"}, "image", "http(s)"),
            ({"image": "https://example.com/\u0000"}, "image", "http(s)"),
            ({"image": "https://example.com/" + "a" * 5000}, "image", "characters"),
            ({"image": "data:image/png;base64,???"}, "image", ""),
            ({"image": 1}, "image", "string"),
            ({"image": ["https://example.com/a.jpg"]}, "image", "string"),
            ({"face_image": "target.jpg"}, "face_image", "http(s)"),
            ({"target_index": -1}, "target_index", "0"),
            ({"target_index": 11}, "target_index", "10"),
            ({"target_index": "1"}, "target_index", "integer"),
            ({"target_index": True}, "target_index", "integer"),
            ({"target_index": 1.5}, "target_index", "integer"),
            ({"target_index": None}, "target_index", "integer"),
            ({"target_index": 10**30}, "target_index", "10"),
            ({"output_format": "gif"}, "output_format", "webp"),
            ({"output_format": "PNG"}, "output_format", "png"),
            ({"strength": 1}, "strength", "target_index"),
        ],
    )
    async def test_names_the_field_and_says_what_is_expected(
        self, api: httpx.AsyncClient, change: dict[str, Any], param: str, hint: str
    ) -> None:
        response = await api.post(FACE_SWAP, json={**WANTED, **change})
        message = refusal(response, 400, "invalid_request", param)
        assert param in message
        assert hint in message

    @pytest.mark.parametrize("missing", ["model", "image", "face_image"])
    async def test_names_what_is_missing(self, api: httpx.AsyncClient, missing: str) -> None:
        response = await api.post(FACE_SWAP, json={k: v for k, v in WANTED.items() if k != missing})
        assert "missing" in refusal(response, 400, "invalid_request", missing)

    @pytest.mark.parametrize("body", ["", "{", "[]", "null", '"text"', "{'a': 1}", b"\xff\xfe", "[" * 5000])
    async def test_a_body_that_is_no_json_object(self, api: httpx.AsyncClient, body: str | bytes) -> None:
        response = await api.post(FACE_SWAP, content=body, headers={"Content-Type": "application/json"})
        refusal(response, 400, "invalid_request")

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ("", "The body is empty. Send a JSON object."),
            ("[]", "The body must be a JSON object."),
            (
                '{"model": "face-swap", "image": "https://a.example/", "swaps": []}',
                "`swaps` must have at least 1 in it.",
            ),
            (
                '{"model": "face-swap", "image": "data:,%", "face_image": "https://a.example/"}',
                "`image` is a data: URI whose percent-encoded data is not valid. Encode the file again.",
            ),
        ],
    )
    async def test_each_fault_is_a_plain_sentence(
        self, api: httpx.AsyncClient, body: str, message: str
    ) -> None:
        response = await api.post(FACE_SWAP, content=body, headers={"Content-Type": "application/json"})
        assert response.json()["error"]["message"] == message

    async def test_a_lone_surrogate_is_refused(self, api: httpx.AsyncClient) -> None:
        body = json.dumps(WANTED).replace("target.jpg", "\\ud800")
        response = await api.post(FACE_SWAP, content=body, headers={"Content-Type": "application/json"})
        assert response.status_code == 400

    @pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
    async def test_a_wrong_content_type_is_explained(
        self, api: httpx.AsyncClient, content_type: str | None
    ) -> None:
        headers = {"Content-Type": content_type} if content_type else {}
        response = await api.post(FACE_SWAP, content=json.dumps(WANTED), headers=headers)
        assert "Content-Type: application/json" in refusal(response, 415, "unsupported_media_type")

    async def test_an_address_of_ours_that_holds_nothing_of_the_caller(
        self, api: httpx.AsyncClient, settings: Settings
    ) -> None:
        for path in ("/files/1/x/results/a/1/face-swap.png", "/samples/none.jpg", "/", "/api/v1/tasks/a"):
            for origin in (settings.public_url, "http://mien.test:80", "https://MIEN.test"):
                response = await api.post(FACE_SWAP, json={**WANTED, "image": origin + path})
                assert "no picture of yours" in refusal(response, 400, "invalid_request", "image")


class TestForms:
    async def test_files_and_text_fields_make_a_task(
        self, api: httpx.AsyncClient, resources: Resources
    ) -> None:
        response = await api.post(
            FACE_SWAP,
            data={"model": "face-swap", "face_image": WANTED["face_image"], "target_index": "2"},
            files={"image": ("a.jpg", b"pixels", "image/jpeg")},
        )
        assert response.status_code == 200, response.text

    async def test_an_unknown_part_is_refused_by_name(self, api: httpx.AsyncClient) -> None:
        response = await api.post(FACE_SWAP, data=WANTED, files={"picture": b"pixels"})
        assert "`picture` is not a field" in refusal(response, 400, "invalid_request", "picture")

    async def test_a_part_that_comes_twice_is_refused(self, api: httpx.AsyncClient) -> None:
        files = [("image", b"1"), ("image", b"2")]
        response = await api.post(FACE_SWAP, data={"model": "face-swap"}, files=files)
        assert "twice" in refusal(response, 400, "invalid_request", "image")

    async def test_a_number_that_is_none(self, api: httpx.AsyncClient) -> None:
        response = await api.post(
            FACE_SWAP, data={**WANTED, "target_index": "first"}, files={"image": b"pixels"}
        )
        assert response.status_code == 400

    @pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=x"])
    async def test_a_broken_form(self, api: httpx.AsyncClient, content_type: str) -> None:
        response = await api.post(FACE_SWAP, content=b"nothing", headers={"Content-Type": content_type})
        refusal(
            response, 400, "invalid_request", None if response.json()["error"]["param"] is None else "model"
        )


class TestKeys:
    @pytest.mark.parametrize(
        "header",
        [
            None,
            "",
            "Bearer",
            "Bearer ",
            "Basic abc",
            "Bearer aio_unknown",
            "Bearer aio_" + "A" * 43,
            "Bearer \xfc",
            "aio_" + "A" * 43,
        ],
    )
    async def test_without_a_valid_key_nothing_below_the_api_answers(
        self, api: httpx.AsyncClient, header: str | None
    ) -> None:
        del api.headers["Authorization"]
        headers = {b"Authorization": header.encode("latin-1")} if header is not None else {}
        for method, path in (("POST", FACE_SWAP), ("GET", "/api/v1/tasks/x"), ("GET", "/api/v1/unknown")):
            response = await api.request(method, path, headers=headers)
            refusal(response, 401, "authentication_error")
            assert response.headers["www-authenticate"] == "Bearer"

    async def test_the_key_is_checked_before_the_body_is_read(self, api: httpx.AsyncClient) -> None:
        del api.headers["Authorization"]
        refusal(await api.post(FACE_SWAP, content=unread_body()), 401, "authentication_error")

    async def test_another_accounts_task_does_not_exist(
        self, api: httpx.AsyncClient, resources: Resources
    ) -> None:
        task_id = (await api.post(FACE_SWAP, json=WANTED)).json()["data"]["task_id"]
        async with resources.sessions.begin() as session:
            other = await create_account(session, "Other")
            key = await issue_key(session, other.id, "Other")
        response = await api.get(f"/api/v1/tasks/{task_id}", headers={"Authorization": f"Bearer {key}"})
        theirs = refusal(response, 404, "not_found", "task_id")
        unknown = await api.get("/api/v1/tasks/unknown_faceswap")
        assert theirs == refusal(unknown, 404, "not_found", "task_id")


class TestBodiesThatAreTooLarge:
    async def test_a_declared_size_is_refused_before_anything_is_read(
        self, api: httpx.AsyncClient, settings: Settings
    ) -> None:
        headers = {
            "Content-Length": str(settings.max_body_bytes + 1),
            "Content-Type": "application/json",
        }
        response = await api.post(FACE_SWAP, content=unread_body(), headers=headers)
        refusal(response, 413, "payload_too_large")

    @pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x"])
    async def test_an_undeclared_size_is_counted_while_it_is_read(
        self, api: httpx.AsyncClient, settings: Settings, content_type: str
    ) -> None:
        sent = 0

        async def body() -> AsyncIterator[bytes]:
            nonlocal sent
            yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
            while True:
                yield bytes(1_000_000)
                sent += 1_000_000

        response = await api.post(FACE_SWAP, content=body(), headers={"Content-Type": content_type})
        refusal(response, 413, "payload_too_large")
        assert sent <= settings.max_body_bytes + 1_000_000

    async def test_other_routes_have_a_small_limit(self, api: httpx.AsyncClient) -> None:
        response = await api.request("GET", "/api/v1/tasks/x", content=bytes(100_000))
        refusal(response, 413, "payload_too_large")

    async def test_a_picture_over_its_own_limit_is_named(
        self, api: httpx.AsyncClient, settings: Settings
    ) -> None:
        files = {"image": b"small", "face_image": bytes(settings.max_image_bytes + 1)}
        response = await api.post(FACE_SWAP, data={"model": "face-swap"}, files=files)
        refusal(response, 413, "payload_too_large", "face_image")

    async def test_bytes_in_flight_are_limited_and_given_back(self, settings: Settings) -> None:
        app = create_app(settings.model_copy(update={"max_bytes_in_flight": 1000}))
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url=settings.public_url
        ) as client:
            response = await client.post("/", content=bytes(1001))
            refusal(response, 503, "unavailable")
            assert response.headers["retry-after"] == "1"
            for _ in range(3):
                refusal(await client.post("/", content=bytes(900)), 405, "invalid_request")
        await app.state.resources.close()


class TestBodiesThatAreTooSlow:
    @pytest.fixture
    async def impatient(self, api: httpx.AsyncClient, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
        """A service that waits a quarter of a second for a body, and holds one body at a time."""
        app = create_app(
            settings.model_copy(
                update={"body_timeout": timedelta(seconds=0.25), "max_bytes_in_flight": 100_000}
            )
        )
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url=settings.public_url, headers=api.headers
        ) as client:
            yield client
        await app.state.resources.close()

    @pytest.mark.parametrize("path", [FACE_SWAP, "/api/v1/uploads"])
    @pytest.mark.parametrize(
        "content_type", ["application/json", "image/png", "multipart/form-data; boundary=x"]
    )
    async def test_one_that_stalls_is_refused_and_its_place_is_given_back(
        self, impatient: httpx.AsyncClient, path: str, content_type: str
    ) -> None:
        async def stalling() -> AsyncIterator[bytes]:
            yield b"--x\r\n"
            await asyncio.sleep(60)

        headers = {"Content-Type": content_type, "Content-Length": "60000"}
        for _ in range(2):
            response = await impatient.post(path, content=stalling(), headers=headers)
            if response.status_code != 415:
                assert "too slowly" in refusal(response, 408, "invalid_request")

    async def test_one_that_trickles_is_refused_too(self, impatient: httpx.AsyncClient) -> None:
        sent = 0

        async def trickling() -> AsyncIterator[bytes]:
            nonlocal sent
            while True:
                yield b"a"
                sent += 1
                await asyncio.sleep(0.02)

        headers = {"Content-Type": "image/png"}
        response = await impatient.post("/api/v1/uploads", content=trickling(), headers=headers)
        refusal(response, 408, "invalid_request")
        assert sent < 20

    async def test_a_slow_one_that_keeps_coming_is_taken(self, impatient: httpx.AsyncClient) -> None:
        async def slow() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield b"GIF8" + bytes(3000)
                await asyncio.sleep(0.05)

        headers = {"Content-Type": "image/png"}
        response = await impatient.post("/api/v1/uploads", content=slow(), headers=headers)
        assert "is a GIF" in refusal(response, 400, "invalid_request")


class TestRoutes:
    async def test_an_unknown_address(self, api: httpx.AsyncClient) -> None:
        refusal(await api.get("/api/v1/unknown"), 404, "not_found")
        refusal(await api.get("/unknown"), 404, "not_found")

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [("GET", FACE_SWAP, "POST"), ("PUT", "/api/v1/tasks/x", "DELETE, GET"), ("PATCH", "/healthz", "GET")],
    )
    async def test_a_wrong_method_says_which_are_right(
        self, api: httpx.AsyncClient, method: str, path: str, allowed: str
    ) -> None:
        response = await api.request(method, path)
        assert allowed in refusal(response, 405, "invalid_request")
        assert response.headers["allow"] == allowed

    @pytest.mark.parametrize("task_id", ["%00", "a%00b", "%F0%9F%98%80", "x" * 3000, "..%2f..", "'--"])
    async def test_an_odd_task_id_is_just_unknown(self, api: httpx.AsyncClient, task_id: str) -> None:
        assert (await api.get(f"/api/v1/tasks/{task_id}")).status_code == 404

    @pytest.mark.parametrize(
        "path",
        [
            "/files/1/x/results/a",
            "/files/a/b/c",
            "/files/1/2/%2e%2e/secret",
            "/files/%00/x/y",
            "/samples/a.jpg",
        ],
    )
    async def test_a_file_that_is_not_there(self, api: httpx.AsyncClient, path: str) -> None:
        refusal(await api.get(path), 404, "not_found")

    async def test_the_welcome_leads_to_the_document(self, api: httpx.AsyncClient) -> None:
        welcome = (await api.get("/")).json()
        assert welcome["name"] == "Mien"
        assert (await api.get(welcome["openapi"])).status_code == 200


class TestFiles:
    @pytest.fixture
    async def address(self, resources: Resources) -> str:
        """The address of a stored picture, good for a minute."""
        await objects.put(resources.store, KEY, b"pixels")
        return signed_path(KEY, datetime.now(UTC) + timedelta(minutes=1), resources.secret)

    async def test_a_signed_address_gives_the_picture_without_a_key_and_lets_it_be_nothing_else(
        self, api: httpx.AsyncClient, address: str
    ) -> None:
        del api.headers["Authorization"]
        response = await api.get(address)
        assert (response.status_code, response.content) == (200, b"pixels")
        headers = response.headers
        assert headers["content-type"] == "image/png"
        assert headers["content-length"] == "6"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert headers["content-disposition"] == 'inline; filename="face-swap.png"'
        assert re.fullmatch(r"private, max-age=[1-6]?\d, immutable", headers["cache-control"])

    async def test_its_head_can_be_asked_for(self, api: httpx.AsyncClient, address: str) -> None:
        response = await api.head(address)
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["content-length"] == "6"

    async def test_nothing_in_it_can_be_changed(self, api: httpx.AsyncClient, address: str) -> None:
        _, _, expires, signature, key = address.split("/", 4)
        for changed in (
            f"/files/{int(expires) + 1}/{signature}/{key}",
            f"/files/{expires}/{signature[::-1]}/{key}",
            f"/files/{expires}/{signature}/{key.replace('task', 'other')}",
            f"/files/{expires}/{signature}/{key}/",
        ):
            refusal(await api.get(changed), 404, "not_found")

    async def test_it_expires(self, api: httpx.AsyncClient, resources: Resources, address: str) -> None:
        expired = signed_path(KEY, datetime.now(UTC) - timedelta(seconds=1), resources.secret)
        assert "expired" in refusal(await api.get(expired), 404, "not_found")

    async def test_a_deleted_picture_is_gone(
        self, api: httpx.AsyncClient, resources: Resources, address: str
    ) -> None:
        await objects.delete(resources.store, [KEY])
        refusal(await api.get(address), 404, "not_found")

    @pytest.mark.parametrize(
        ("wanted", "content", "described"),
        [
            ("bytes=0-2", b"pix", "bytes 0-2/6"),
            ("bytes=2-", b"xels", "bytes 2-5/6"),
            ("bytes=-3", b"els", "bytes 3-5/6"),
            ("bytes=4-100", b"ls", "bytes 4-5/6"),
            ("bytes=-100", b"pixels", "bytes 0-5/6"),
        ],
    )
    async def test_a_part_of_it_can_be_asked_for(
        self, api: httpx.AsyncClient, address: str, wanted: str, content: bytes, described: str
    ) -> None:
        response = await api.get(address, headers={"Range": wanted})
        assert (response.status_code, response.content) == (206, content)
        assert response.headers["content-range"] == described
        assert response.headers["content-length"] == str(len(content))
        assert response.headers["content-security-policy"] == "default-src 'none'; sandbox"

    @pytest.mark.parametrize("wanted", ["bytes=6-", "bytes=-0", "bytes=100-200"])
    async def test_a_part_that_is_not_there(self, api: httpx.AsyncClient, address: str, wanted: str) -> None:
        response = await api.get(address, headers={"Range": wanted})
        assert "it has 6" in refusal(response, 416, "invalid_request")
        assert response.headers["content-range"] == "bytes */6"

    @pytest.mark.parametrize(
        "headers",
        [
            {"Range": "bytes=3-2"},
            {"Range": "bytes=0-1,3-4"},
            {"Range": "lines=1-2"},
            {"Range": "bytes=-"},
            {"Range": "bytes=0-1", "If-Range": '"another"'},
            {"If-None-Match": '"another"'},
        ],
    )
    async def test_what_asks_for_no_part_of_this_file_gets_the_whole(
        self, api: httpx.AsyncClient, address: str, headers: dict[str, str]
    ) -> None:
        response = await api.get(address, headers=headers)
        assert (response.status_code, response.content) == (200, b"pixels")

    async def test_who_has_it_is_told_so(self, api: httpx.AsyncClient, address: str) -> None:
        tag = (await api.get(address)).headers["etag"]
        assert (await api.head(address)).headers["etag"] == tag
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            response = await api.get(address, headers={"If-None-Match": known})
            assert (response.status_code, response.content) == (304, b"")
            assert response.headers["etag"] == tag
        part = await api.get(address, headers={"Range": "bytes=0-0", "If-Range": tag})
        assert part.content == b"p"

    async def test_samples_can_be_seen_by_everybody(self, api: httpx.AsyncClient) -> None:
        del api.headers["Authorization"]
        response = await api.get("/samples/cafe.jpg")
        assert response.headers["content-type"] == "image/jpeg"
        assert response.content[:2] == b"\xff\xd8"
        refusal(await api.get("/samples/README.md"), 404, "not_found")
        refusal(await api.get("/samples/%2e%2e%2fsettings.py"), 404, "not_found")


class TestTheDocument:
    async def test_each_refusal_of_an_endpoint_is_documented_in_the_envelope(
        self, api: httpx.AsyncClient
    ) -> None:
        document = (await api.get("/openapi.json")).json()
        for path, statuses in {
            (FACE_SWAP, "post"): {
                *("200", "400", "401", "402", "403", "408", "413", "415", "422", "429", "500", "503")
            },
            ("/api/v1/tasks/{task_id}", "get"): {"200", "400", "401", "404", "413", "429", "500", "503"},
            ("/healthz", "get"): {"200"},
            ("/readyz", "get"): {"200", "503"},
        }.items():
            responses = document["paths"][path[0]][path[1]]["responses"]
            assert set(responses) == statuses
            for status, response in responses.items():
                schema = response["content"]["application/json"]["schema"]
                is_error = schema.get("$ref", "").endswith("/ErrorAnswer")
                assert is_error is (status != "200")

    async def test_both_kinds_of_body_are_documented_with_an_example(self, api: httpx.AsyncClient) -> None:
        document = (await api.get("/openapi.json")).json()
        body = document["paths"][FACE_SWAP]["post"]["requestBody"]
        assert set(body["content"]) == {"application/json", "multipart/form-data"}
        for content in body["content"].values():
            assert set(content["schema"]["properties"]) == set(FaceSwapRequest.model_fields)
            assert content["schema"]["additionalProperties"] is False
        example = body["content"]["application/json"]["schema"]["examples"][0]
        assert (await api.post(FACE_SWAP, json=example)).status_code == 200

    async def test_keys_are_documented(self, api: httpx.AsyncClient) -> None:
        document = (await api.get("/openapi.json")).json()
        scheme = document["components"]["securitySchemes"]["HTTPBearer"]
        assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
        assert document["paths"][FACE_SWAP]["post"]["security"]


class TestLogs:
    async def test_the_request_id_is_on_every_line_and_signatures_on_none(
        self, api: httpx.AsyncClient
    ) -> None:
        with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
            await api.get("/files/1798675200/c2lnbmF0dXJl/results/a", headers={"X-Request-Id": "mine-2"})
        assert [line["request_id"] for line in lines] == ["mine-2"]
        assert (lines[0]["status"], lines[0]["path"]) == (404, "/files/{expires}/{signature}/{key:path}")


class TestRequestIds:
    async def test_a_sane_one_is_kept_and_stored_with_the_task(
        self, api: httpx.AsyncClient, resources: Resources
    ) -> None:
        response = await api.post(FACE_SWAP, json=WANTED, headers={"X-Request-Id": "mine-1"})
        assert response.headers["x-request-id"] == "mine-1"
        async with resources.sessions() as session:
            task = await session.get(Task, response.json()["data"]["task_id"])
        assert task and task.request_id == "mine-1"

    @pytest.mark.parametrize("given", [None, "", "a" * 200, "a b", "<script>", "\xfc"])
    async def test_any_other_is_replaced(self, api: httpx.AsyncClient, given: str | None) -> None:
        headers = {b"X-Request-Id": given.encode("latin-1")} if given is not None else {}
        first = (await api.get("/healthz", headers=headers)).headers["x-request-id"]
        second = (await api.get("/healthz", headers=headers)).headers["x-request-id"]
        assert len(first) == 32
        assert first != second


class TestWhenSomethingBreaks:
    async def test_a_bug_is_answered_with_its_request_id_and_no_trace(
        self, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def explode(*_: object) -> None:
            raise RuntimeError("the secret inside")

        monkeypatch.setattr("mien.tasks.endpoints.task_answer", explode)
        task_id = (await api.post(FACE_SWAP, json=WANTED)).json()["data"]["task_id"]
        response = await api.get(f"/api/v1/tasks/{task_id}")
        refusal(response, 500, "internal_error")
        assert "secret" not in response.text

    async def test_without_a_database_it_is_unavailable_but_alive(self, settings: Settings) -> None:
        elsewhere = load_settings(
            database_url="postgresql://nobody@127.0.0.1:9/none", data_dir=settings.data_dir
        )
        app = create_app(elsewhere)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://mien.test",
            headers={"Authorization": "Bearer aio_" + "A" * 43},
        ) as client:
            assert (await client.get("/healthz")).json() == {"status": "alive"}
            assert "database can't be reached" in refusal(await client.get("/readyz"), 503, "unavailable")
            refusal(await client.get("/api/v1/tasks/x"), 503, "unavailable")

    async def test_it_is_not_ready_until_the_tables_are_there(
        self, empty_database_url: str, settings: Settings
    ) -> None:
        app = create_app(load_settings(database_url=empty_database_url, data_dir=settings.data_dir))
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://mien.test"
        ) as client:
            assert "out of date" in refusal(await client.get("/readyz"), 503, "unavailable")
            migrate(empty_database_url)
            assert (await client.get("/readyz")).json() == {"status": "ready"}
        await app.state.resources.close()

"""Uploads as callers see them."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest
from sqlalchemy import func, update

from mien.accounts.models import Account
from mien.accounts.service import create_account, issue_key
from mien.images.codec import encode
from mien.resources import Resources
from mien.settings import Settings
from mien.storage import objects
from mien.uploads import service
from mien.uploads.models import Upload

UPLOADS = "/api/v1/uploads"
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
JPEG, PNG, WEBP = encode(PIXELS, "jpg"), encode(PIXELS, "png"), encode(PIXELS, "webp")
AS_BYTES = {"Content-Type": "application/octet-stream"}


@pytest.fixture
async def other(api: httpx.AsyncClient, resources: Resources) -> dict[str, str]:
    """The headers of another account."""
    async with resources.sessions.begin() as session:
        account = await create_account(session, "Other")
        key = await issue_key(session, account.id, "Other")
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def expire(resources: Resources) -> Callable[[str], Awaitable[None]]:
    async def expire(upload_id: str) -> None:
        async with resources.sessions.begin() as session:
            await session.execute(update(Upload).where(Upload.id == upload_id).values(expires_at=func.now()))

    return expire


async def upload(api: httpx.AsyncClient, picture: bytes = PNG) -> dict[str, Any]:
    response = await api.post(UPLOADS, content=picture, headers=AS_BYTES)
    assert response.status_code == 200, response.text
    return dict(response.json()["data"])


async def stored(resources: Resources) -> set[str]:
    return {info.key async for batch in objects.list_objects(resources.store, "") for info in batch}


async def find(resources: Resources, upload_id: str, address: str) -> str | None:
    """What the account that owns `upload_id` finds at `address`."""
    async with resources.sessions() as session:
        owner = (await session.get_one(Upload, upload_id)).account_id
        return await service.find_object(session, owner, address)


class TestCreate:
    @pytest.mark.parametrize(
        ("picture", "format", "media_type"),
        [(JPEG, "jpg", "image/jpeg"), (PNG, "png", "image/png"), (WEBP, "webp", "image/webp")],
    )
    async def test_a_picture_gets_an_address_and_is_described(
        self, api: httpx.AsyncClient, settings: Settings, picture: bytes, format: str, media_type: str
    ) -> None:
        before = datetime.now(UTC)
        response = await api.post(UPLOADS, content=picture, headers={"Content-Type": "image/whatever"})
        body = response.json()
        assert (response.status_code, body["code"], body["message"]) == (200, 200, "success")
        data = body["data"]
        assert (data["format"], data["width"], data["height"]) == (format, 60, 40)
        assert (data["bytes"], data["sha256"]) == (len(picture), hashlib.sha256(picture).hexdigest())
        lifetime = datetime.fromisoformat(data["expires_at"]) - before
        assert timedelta(hours=23, minutes=59) < lifetime < timedelta(hours=24, minutes=1)
        assert data["image_url"].startswith(settings.public_url)
        file = await api.get(data["image_url"])
        assert (file.content, file.headers["content-type"]) == (picture, media_type)

    async def test_a_form_does_as_well(self, api: httpx.AsyncClient) -> None:
        response = await api.post(UPLOADS, files={"file": ("a.gif", JPEG, "text/html")})
        assert response.json()["data"]["format"] == "jpg"

    async def test_a_picture_that_lies_on_its_side_is_described_upright(self, api: httpx.AsyncClient) -> None:
        exif = b"\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
        data = await upload(api, JPEG[:2] + exif + JPEG[2:])
        assert (data["width"], data["height"]) == (40, 60)

    async def test_it_lives_no_longer_than_the_accounts_results(
        self, api: httpx.AsyncClient, resources: Resources
    ) -> None:
        async with resources.sessions.begin() as session:
            await session.execute(update(Account).values(retention=timedelta(minutes=5)))
        data = await upload(api)
        assert datetime.fromisoformat(data["expires_at"]) < datetime.now(UTC) + timedelta(minutes=5)

    async def test_a_large_picture_passes_through_the_disk(self, api: httpx.AsyncClient) -> None:
        picture = PNG + bytes(3_000_000)

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(picture), 100_000):
                yield picture[start : start + 100_000]

        response = await api.post(UPLOADS, content=pieces(), headers=AS_BYTES)
        assert response.json()["data"]["sha256"] == hashlib.sha256(picture).hexdigest()

    @pytest.mark.parametrize(
        ("content", "hint"),
        [
            (b"", "an empty file"),
            (b"GIF89a", "a GIF"),
            (b"<html>", "a web page"),
            (b"nothing that is known", "not a picture format"),
            (JPEG[:100], "damaged or incomplete"),
            (encode(PIXELS[:20], "png"), "at least 32"),
            (encode(np.zeros((32, 400, 3), np.uint8), "png"), "10 times"),
        ],
    )
    async def test_what_is_no_usable_picture_is_refused_and_not_stored(
        self, api: httpx.AsyncClient, resources: Resources, content: bytes, hint: str
    ) -> None:
        response = await api.post(UPLOADS, content=content, headers=AS_BYTES)
        assert response.status_code == 400
        assert response.json()["error"]["type"] == "invalid_request"
        assert hint in response.json()["error"]["message"]
        assert await stored(resources) == set()

    async def test_too_many_pixels_are_refused_by_the_header_alone(self, api: httpx.AsyncClient) -> None:
        promise = PNG[:16] + (7000).to_bytes(4, "big") * 2 + PNG[24:]
        response = await api.post(UPLOADS, content=promise, headers=AS_BYTES)
        assert (response.status_code, response.json()["error"]["type"]) == (413, "payload_too_large")
        assert "40 megapixels" in response.json()["error"]["message"]

    async def test_too_many_bytes_are_refused_while_they_come(
        self, api: httpx.AsyncClient, settings: Settings
    ) -> None:
        sent = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            while True:
                yield bytes(1_000_000)
                sent += 1_000_000

        for content_type in ("image/png", "multipart/form-data; boundary=x"):
            sent = 0
            response = await api.post(UPLOADS, content=endless(), headers={"Content-Type": content_type})
            assert response.status_code in (400, 413)
            assert sent <= settings.max_image_bytes + 1_000_000

    async def test_a_file_just_over_the_limit_is_refused_in_a_form_too(
        self, api: httpx.AsyncClient, settings: Settings
    ) -> None:
        picture = PNG + bytes(settings.max_image_bytes - len(PNG) + 1)
        for request in ({"files": {"file": picture}}, {"content": picture, "headers": AS_BYTES}):
            response = await api.post(UPLOADS, **request)
            assert (response.status_code, response.json()["error"]["type"]) == (413, "payload_too_large")

    @pytest.mark.parametrize(
        ("parts", "param"),
        [
            ({"files": {"picture": PNG}}, "picture"),
            ({"data": {"file": "text"}, "files": {"": b""}}, "file"),
            ({"data": {"name": "a"}, "files": {"file": PNG}}, "name"),
            ({"files": [("file", PNG), ("file", PNG)]}, None),
        ],
    )
    async def test_a_wrong_form_is_explained(
        self, api: httpx.AsyncClient, parts: dict[str, Any], param: str | None
    ) -> None:
        response = await api.post(UPLOADS, **parts)
        error = response.json()["error"]
        assert (response.status_code, error["type"], error["param"]) == (400, "invalid_request", param)

    @pytest.mark.parametrize("content_type", [None, "application/json", "text/plain"])
    async def test_a_wrong_content_type_is_explained(
        self, api: httpx.AsyncClient, content_type: str | None
    ) -> None:
        headers = {"Content-Type": content_type} if content_type else {}
        response = await api.post(UPLOADS, content=PNG, headers=headers)
        assert response.status_code == 415
        assert "Content-Type: image/jpeg" in response.json()["error"]["message"]


class TestFindObject:
    async def test_an_account_finds_its_own_by_address_path_and_key(
        self, api: httpx.AsyncClient, resources: Resources
    ) -> None:
        data = await upload(api)
        address = data["image_url"]
        path = address.removeprefix(resources.settings.public_url)
        key = "/".join(path.split("/")[4:])
        for name in (address, path, key):
            assert await find(resources, data["upload_id"], name) == key
        assert await objects.read(resources.store, key) == PNG

    async def test_another_account_finds_nothing_at_the_same_address(
        self, api: httpx.AsyncClient, other: dict[str, str], resources: Resources
    ) -> None:
        mine = await upload(api)
        response = await api.post(UPLOADS, content=PNG, headers=AS_BYTES | other)
        theirs = response.json()["data"]
        assert await find(resources, theirs["upload_id"], mine["image_url"]) is None

    @pytest.mark.parametrize("change", ["{}x", "{}/", "{}?a=b", "x{}"])
    async def test_only_the_whole_key_will_do(
        self, api: httpx.AsyncClient, resources: Resources, change: str
    ) -> None:
        data = await upload(api)
        changed = change.format(data["image_url"])
        found = await find(resources, data["upload_id"], changed)
        assert (found is not None) == (change == "x{}")

    async def test_what_has_expired_is_not_found(
        self, api: httpx.AsyncClient, resources: Resources, expire: Callable[[str], Awaitable[None]]
    ) -> None:
        data = await upload(api)
        await expire(data["upload_id"])
        assert await find(resources, data["upload_id"], data["image_url"]) is None


class TestDelete:
    async def test_row_and_object_are_gone_at_once(
        self, api: httpx.AsyncClient, resources: Resources
    ) -> None:
        data = await upload(api)
        response = await api.delete(f"{UPLOADS}/{data['upload_id']}")
        assert (response.status_code, response.content) == (204, b"")
        assert await stored(resources) == set()
        assert (await api.get(data["image_url"])).status_code == 404
        assert (await api.delete(f"{UPLOADS}/{data['upload_id']}")).status_code == 404

    async def test_somebody_elses_does_not_exist(
        self, api: httpx.AsyncClient, other: dict[str, str], resources: Resources
    ) -> None:
        data = await upload(api)
        response = await api.delete(f"{UPLOADS}/{data['upload_id']}", headers=other)
        unknown = await api.delete(f"{UPLOADS}/unknown", headers=other)
        assert response.status_code == unknown.status_code == 404
        assert response.json()["error"]["message"] == unknown.json()["error"]["message"]
        assert len(await stored(resources)) == 1

    @pytest.mark.parametrize("upload_id", ["%00", "a%00b", "%F0%9F%98%80", "x" * 3000, "..%2f..", "'--"])
    async def test_an_odd_id_is_just_unknown(self, api: httpx.AsyncClient, upload_id: str) -> None:
        assert (await api.delete(f"{UPLOADS}/{upload_id}")).status_code == 404

    async def test_one_that_has_expired_does_not_exist(
        self, api: httpx.AsyncClient, expire: Callable[[str], Awaitable[None]]
    ) -> None:
        data = await upload(api)
        await expire(data["upload_id"])
        assert (await api.delete(f"{UPLOADS}/{data['upload_id']}")).status_code == 404

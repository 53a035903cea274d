"""Finding faces as callers see it."""

import base64
import os
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

import mien
from mien.accounts.service import create_account, issue_key
from mien.detection.detectors import Detectors
from mien.detection.sweeper import sweep
from mien.images.codec import decode, encode
from mien.resources import Resources
from mien.settings import Settings
from mien.storage import objects

pytestmark = pytest.mark.slow

FACE_DETECT = "/api/v1/images/tools/face-detect"
CAFE = (Path(mien.__file__).parent / "samples" / "cafe.jpg").read_bytes()
COUPLE = encode(np.hstack([decode(CAFE).rgb[::2, ::2]] * 2), "jpg")


async def detect(api: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await api.post(FACE_DETECT, json=body)
    assert response.status_code == 200, response.text
    assert (response.json()["code"], response.json()["message"]) == (200, "success")
    return dict(response.json()["data"])


async def test_faces_come_largest_first_with_their_numbers(api_with_detector: httpx.AsyncClient) -> None:
    data = (await api_with_detector.post(FACE_DETECT, files={"image": COUPLE})).json()["data"]
    height, width = decode(COUPLE).rgb.shape[:2]
    assert (data["width"], data["height"], data["annotated"]) == (width, height, None)
    faces = data["faces"]
    assert [face["index"] for face in faces] == list(range(len(faces)))
    areas = [face["size"]["width"] * face["size"]["height"] for face in faces]
    assert len(areas) == 2
    assert areas == sorted(areas, reverse=True)
    first = faces[0]
    assert set(first) == {
        *("index", "box", "score", "landmarks_count", "yaw", "pitch", "roll", "size", "usable", "problem")
    }
    assert (first["usable"], first["problem"]) == (True, None)
    assert first["size"]["eye_distance"] > 16


async def test_a_picture_may_come_in_every_way(
    api_with_detector: httpx.AsyncClient, settings: Settings
) -> None:
    api = api_with_detector
    wanted = await detect(api, image=f"{settings.public_url}/samples/cafe.jpg")
    assert wanted["faces"]
    upload = await api.post("/api/v1/uploads", files={"file": CAFE})
    assert await detect(api, image=upload.json()["data"]["image_url"]) == wanted
    data_uri = f"data:image/jpeg;base64,{base64.b64encode(CAFE).decode()}"
    assert await detect(api, image=data_uri) == wanted
    form = await api.post(FACE_DETECT, files={"image": CAFE}, data={"annotate": "false"})
    assert form.json()["data"] == wanted


async def test_the_annotated_picture_has_an_address_for_an_hour(
    api_with_detector: httpx.AsyncClient, resources: Resources
) -> None:
    form = await api_with_detector.post(FACE_DETECT, files={"image": CAFE}, data={"annotate": "true"})
    annotated = form.json()["data"]["annotated"]
    picture = await api_with_detector.get(annotated["image_url"], headers={"Authorization": ""})
    assert picture.headers["content-type"] == "image/jpeg"
    assert decode(picture.content).rgb.shape == decode(CAFE).rgb.shape
    await sweep(resources)
    assert (await api_with_detector.get(annotated["image_url"])).status_code == 200
    (stored,) = [found async for batch in objects.list_objects(resources.store, "") for found in batch]
    os.utime(resources.settings.data_dir / "objects" / stored.key, (0, 0))
    await sweep(resources)
    assert (await api_with_detector.get(annotated["image_url"])).status_code == 404


@pytest.mark.parametrize(
    ("picture", "status", "type"),
    [
        (b"no picture", 400, "invalid_request"),
        (b"GIF89a", 400, "invalid_request"),
        (CAFE[:5000], 400, "invalid_request"),
        (encode(np.zeros((20, 20, 3), np.uint8), "png"), 400, "invalid_request"),
        (bytes(20_000_001), 413, "payload_too_large"),
    ],
)
async def test_a_picture_that_cannot_be_used_is_refused(
    api_with_detector: httpx.AsyncClient, picture: bytes, status: int, type: str
) -> None:
    response = await api_with_detector.post(FACE_DETECT, files={"image": picture})
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"]) == (status, type, "image")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "image"),
        ({"image": "http://127.0.0.1:9/a.jpg"}, "image"),
        ({"image": "ftp://example.com/a.jpg"}, "image"),
        ({"image": "http://mien.test/samples/none.jpg"}, "image"),
        ({"image": "http://mien.test/samples/cafe.jpg", "annotate": "yes"}, "annotate"),
        ({"image": "http://mien.test/samples/cafe.jpg", "target_index": 0}, "target_index"),
    ],
)
async def test_what_is_wrong_in_a_request_is_named(
    api: httpx.AsyncClient, body: dict[str, Any], param: str
) -> None:
    response = await api.post(FACE_DETECT, json=body)
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"]) == (400, "invalid_request", param)


async def test_somebody_elses_upload_does_not_exist(api: httpx.AsyncClient, resources: Resources) -> None:
    upload = await api.post("/api/v1/uploads", files={"file": CAFE})
    async with resources.sessions.begin() as session:
        other = await create_account(session, "Other")
        key = await issue_key(session, other.id, "Other")
    response = await api.post(
        FACE_DETECT,
        json={"image": upload.json()["data"]["image_url"]},
        headers={"Authorization": f"Bearer {key}"},
    )
    assert response.status_code == 400
    assert "no picture of yours" in response.json()["error"]["message"]


async def test_when_too_many_wait_the_next_is_asked_to_come_back(
    api: httpx.AsyncClient, settings: Settings
) -> None:
    transport = api._transport
    assert isinstance(transport, httpx.ASGITransport)
    detectors: Detectors = transport.app.state.detectors  # type: ignore[attr-defined]
    held = [detectors.place() for _ in range(16)]
    for place in held:
        await place.__aenter__()
    response = await api.post(FACE_DETECT, json={"image": f"{settings.public_url}/samples/cafe.jpg"})
    assert (response.status_code, response.json()["error"]["type"]) == (503, "unavailable")
    assert response.headers["retry-after"]

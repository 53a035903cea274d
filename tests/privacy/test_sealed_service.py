"""A service whose operator has set a key: on its disk and in its database is nothing in clear."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import cast
from uuid import uuid4

import httpx
import numpy as np
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from mien.accounts.service import create_account
from mien.http.principal import Limits, Principal
from mien.images.codec import encode
from mien.resources import Resources
from mien.sealing import Sealing, new_key
from mien.server import create_app
from mien.settings import Settings
from mien.tasks import attempts, creation, inputs
from mien.tasks.engines import Engines
from mien.tasks.models import Task
from mien.tasks.requests import FaceSwapRequest

PICTURE = encode(np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8), "png")
LIMITS = Limits(requests_per_minute=1000, tasks_in_flight=100, tasks_per_day=1000)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"storage_key": SecretStr(new_key())})


async def uploaded(api: httpx.AsyncClient) -> str:
    sent = await api.post("/api/v1/uploads", content=PICTURE, headers={"Content-Type": "image/png"})
    return str(sent.json()["data"]["image_url"])


def on_disk(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in (folder / "objects").rglob("*") if path.is_file()]


async def test_what_lies_on_the_disk_cannot_be_read_and_what_is_sent_can(
    api: httpx.AsyncClient, tmp_path: Path
) -> None:
    address = await uploaded(api)
    (stored,) = on_disk(tmp_path)
    assert PICTURE[100:200] not in stored
    whole = await api.get(address)
    assert (whole.content, whole.headers["content-length"]) == (PICTURE, str(len(PICTURE)))
    assert (await api.head(address)).headers["content-length"] == str(len(PICTURE))
    for part in ("bytes=0-0", "bytes=65530-65545", "bytes=100000-", "bytes=-7"):
        answer = await api.get(address, headers={"Range": part})
        first, _, last = part.removeprefix("bytes=").partition("-")
        start = int(first) if first else len(PICTURE) - int(last)
        stop = int(last) + 1 if first and last else len(PICTURE)
        assert (answer.status_code, answer.content) == (206, PICTURE[start:stop])
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(PICTURE)}"


async def test_secrets_of_webhooks_are_sealed_in_the_database_and_shown_as_they_are(
    api: httpx.AsyncClient, resources: Resources
) -> None:
    webhook = await api.post("/api/v1/webhooks", json={"url": "https://example.com/hook"})
    callbacks = await api.get("/api/v1/webhooks/secret")
    shown = [answer.json()["data"]["secret"] for answer in (webhook, callbacks)]
    assert all(secret.startswith("whsec_") for secret in shown)
    async with resources.sessions() as session:
        secrets = text(
            "SELECT secret FROM webhook_endpoints UNION ALL SELECT secret FROM webhook_callback_secrets"
        )
        kept = list(await session.scalars(secrets))
    assert not set(shown) & set(kept)
    assert [resources.sealing.open_text(secret) for secret in kept] == shown
    assert (await api.get("/api/v1/webhooks/secret")).json()["data"]["secret"] == shown[1]


class TestMissingKey:
    """The key is gone, or is another one."""

    @pytest.fixture
    async def without(self, resources: Resources) -> AsyncIterator[Resources]:
        yield replace(resources, sealing=Sealing(), store=replace(resources.store, sealing=Sealing()))

    async def test_a_file_is_refused_with_a_word_to_the_operator(
        self, settings: Settings, api: httpx.AsyncClient
    ) -> None:
        address = await uploaded(api)
        app = create_app(settings.model_copy(update={"storage_key": None}))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=settings.public_url) as client:
            for headers in ({}, {"Range": "bytes=0-10"}):
                refused = await client.get(address, headers=headers)
                assert (refused.status_code, refused.json()["error"]["type"]) == (503, "unavailable")
        await app.state.resources.close()

    async def test_a_task_waits_for_its_pictures_however_often_it_is_tried(
        self, resources: Resources, without: Resources, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(attempts, "_OPERATOR_PAUSE", 0)
        async with resources.sessions.begin() as session:
            account = await create_account(session, "Test", credits=100)
        caller = Principal(account.id, None, is_administrator=False, limits=LIMITS, key_limits=None)
        wanted = FaceSwapRequest(model="face-swap", image=b"target", face_image=b"source")
        task = (await creation.create(resources, caller, "request-1", wanted)).task
        for number in range(1, 6):
            # It gets no further than to the pictures, so that no engine is needed.
            await attempts.attempt(without, cast(Engines, None), uuid4(), task.id)
            async with resources.sessions() as session:
                waiting = await session.get_one(Task, task.id, populate_existing=True)
            assert (waiting.state, waiting.attempt) == ("queued", number)
        assert await inputs.load(resources, waiting.inputs) == {"image": b"target", "face_image": b"source"}

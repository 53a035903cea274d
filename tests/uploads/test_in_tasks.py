"""Uploads that tasks name."""

from io import BytesIO

import httpx
import numpy as np
import pytest
from sqlalchemy import func, select, update

from mien.accounts.service import create_account, issue_key
from mien.images.codec import encode
from mien.resources import Resources
from mien.storage import objects
from mien.tasks import inputs
from mien.tasks.models import Task
from mien.uploads.models import Upload
from mien.uploads.sweeper import expire

FACE_SWAP = "/api/v1/images/tools/face-swap"
PICTURE = encode(np.zeros((32, 32, 3), np.uint8), "png")


async def upload(api: httpx.AsyncClient) -> dict[str, str]:
    response = await api.post("/api/v1/uploads", files={"file": BytesIO(PICTURE)})
    return dict(response.json()["data"])


async def use(api: httpx.AsyncClient, address: str, **headers: str) -> httpx.Response:
    wanted = {"model": "face-swap", "image": address, "face_image": address}
    return await api.post(FACE_SWAP, json=wanted, headers=headers)


async def pictures(resources: Resources, task_id: str) -> dict[str, bytes]:
    """What a worker would get."""
    async with resources.sessions() as session:
        task = (await session.scalars(select(Task).where(Task.id == task_id))).one()
    return await inputs.load(resources, task.inputs)


@pytest.mark.parametrize("end", ["deleted", "expired"])
async def test_a_task_keeps_what_it_was_created_with(
    api: httpx.AsyncClient, resources: Resources, end: str
) -> None:
    data = await upload(api)
    tasks = [(await use(api, data["image_url"])).json()["data"]["task_id"] for _ in range(2)]
    if end == "deleted":
        assert (await api.delete(f"/api/v1/uploads/{data['upload_id']}")).status_code == 204
    else:
        async with resources.sessions.begin() as session:
            await session.execute(update(Upload).values(expires_at=func.now()))
        await expire(resources)
    for task_id in tasks:
        assert set((await pictures(resources, task_id)).values()) == {PICTURE}
    stored = {
        found.key async for batch in objects.list_objects(resources.store, "uploads/") for found in batch
    }
    assert stored == set()
    error = (await use(api, data["image_url"])).json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request", "image")


async def test_somebody_elses_is_as_if_it_were_not_there(
    api: httpx.AsyncClient, resources: Resources
) -> None:
    data = await upload(api)
    async with resources.sessions.begin() as session:
        other = await create_account(session, "Other", credits=100)
        key = await issue_key(session, other.id, "Other")
    refused = await use(api, data["image_url"], Authorization=f"Bearer {key}")
    missing = data["image_url"].replace(data["upload_id"], "0" * 32 + "_upload")
    unknown = await use(api, missing, Authorization=f"Bearer {key}")
    assert refused.status_code == unknown.status_code == 400
    assert refused.json()["error"]["message"] == unknown.json()["error"]["message"]

from datetime import timedelta
from io import BytesIO

import numpy as np
import pytest
from sqlalchemy import func, select, update

from mien.accounts.service import create_account
from mien.images.codec import encode
from mien.resources import Resources
from mien.storage import objects
from mien.uploads import service
from mien.uploads.models import Upload
from mien.uploads.sweeper import expire, sweep

PICTURE = encode(np.zeros((32, 32, 3), np.uint8), "png")
AT_ONCE = timedelta(0)


async def upload(resources: Resources) -> Upload:
    async with resources.sessions.begin() as session:
        account = await create_account(session, "Test")
    return await service.create(resources, account.id, BytesIO(PICTURE))


async def let_expire(resources: Resources, upload: Upload) -> None:
    async with resources.sessions.begin() as session:
        await session.execute(update(Upload).where(Upload.id == upload.id).values(expires_at=func.now()))


async def keys(resources: Resources) -> set[str]:
    return {info.key async for batch in objects.list_objects(resources.store, "") for info in batch}


async def rows(resources: Resources) -> set[str]:
    async with resources.sessions() as session:
        return set(await session.scalars(select(Upload.key)))


async def test_what_has_expired_goes_and_the_rest_stays(resources: Resources) -> None:
    old, young = await upload(resources), await upload(resources)
    await let_expire(resources, old)
    await expire(resources)
    assert await keys(resources) == await rows(resources) == {young.key}


async def test_objects_that_no_upload_names_go_unless_they_are_young(resources: Resources) -> None:
    kept = await upload(resources)
    await objects.put(resources.store, "uploads/never-named/picture.png", PICTURE)
    await sweep(resources, older_than=timedelta(hours=1))
    assert len(await keys(resources)) == 2
    await sweep(resources, older_than=AT_ONCE)
    assert await keys(resources) == {kept.key}


async def test_killed_between_forgetting_and_deleting_it_does_the_rest_next_time(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    await let_expire(resources, await upload(resources))
    with monkeypatch.context() as patched:

        async def killed(*_: object) -> None:
            raise RuntimeError("killed")

        patched.setattr(objects, "delete", killed)
        with pytest.raises(RuntimeError):
            await expire(resources)
    assert len(await keys(resources)) == 1
    await sweep(resources, older_than=AT_ONCE)
    assert await keys(resources) == set()

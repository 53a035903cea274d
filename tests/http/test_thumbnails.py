"""Small copies of results: what they show, who may see them, and for how long."""

import io
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import numpy as np
import pytest
from PIL import Image

from mien.http import thumbnails
from mien.images.codec import encode
from mien.resources import Resources
from mien.storage import objects
from mien.storage.addresses import signed_path


@pytest.fixture
def database_url() -> str:
    """Pictures are read without a database."""
    return "postgresql://nobody@127.0.0.1:9/none"


@pytest.fixture
async def visitor(resources: Resources) -> httpx.AsyncClient:
    from mien.server import create_app

    app = create_app(resources.settings)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mien.test")


@pytest.fixture
async def key(resources: Resources) -> str:
    """Of a result, a picture that is red on its left and blue on its right."""
    key = f"results/{uuid4().hex}_faceswap/1/face-swap.png"
    pixels = np.zeros((600, 1200, 3), np.uint8)
    pixels[:, :600, 0] = pixels[:, 600:, 2] = 200
    await objects.put(resources.store, key, encode(pixels, "png"))
    return key


def address(resources: Resources, key: str, *, minutes: int = 60) -> str:
    """Of the result itself."""
    return signed_path(key, datetime.now(UTC) + timedelta(minutes=minutes), resources.secret)


async def test_it_shows_the_same_in_small(visitor: httpx.AsyncClient, resources: Resources, key: str) -> None:
    answer = await visitor.get(thumbnails.path_of(address(resources, key)))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/webp"
    assert len(answer.content) < 10_000
    small = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))
    assert small.shape == (240, 480, 3)
    assert np.allclose(small[120, 60], (200, 0, 0), atol=12)
    assert np.allclose(small[120, 420], (0, 0, 200), atol=12)
    again = await visitor.get(thumbnails.path_of(address(resources, key)))
    assert again.content == answer.content
    assert (await visitor.head(thumbnails.path_of(address(resources, key)))).content == b""


async def test_browsers_alone_keep_it_as_long_as_the_result(
    visitor: httpx.AsyncClient, resources: Resources, key: str
) -> None:
    answer = await visitor.get(thumbnails.path_of(address(resources, key, minutes=10)))
    caching = answer.headers["cache-control"]
    assert "private" in caching
    assert 590 <= int(caching.split("max-age=")[1].split(",")[0]) <= 600
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


async def test_who_has_no_valid_address_sees_nothing(
    visitor: httpx.AsyncClient, resources: Resources, key: str
) -> None:
    path = thumbnails.path_of(address(resources, key))
    other = f"results/{uuid4().hex}_faceswap/1/face-swap.png"
    await visitor.get(path)  # it's in memory now
    for wrong in (path.replace(key, other), path[:-1], path.replace("/thumbnails/", "/thumbnails/9")):
        assert (await visitor.get(wrong)).status_code == 404
    expired = thumbnails.path_of(address(resources, key, minutes=-1))
    assert (await visitor.get(expired)).status_code == 404


async def test_it_goes_with_the_result(visitor: httpx.AsyncClient, resources: Resources, key: str) -> None:
    path = thumbnails.path_of(address(resources, key))
    assert (await visitor.get(path)).status_code == 200
    await objects.delete(resources.store, [key])
    assert (await visitor.get(path)).status_code == 404


async def test_what_is_no_picture_has_none(visitor: httpx.AsyncClient, resources: Resources) -> None:
    key = f"results/{uuid4().hex}_faceswap/1/face-swap.png"
    await objects.put(resources.store, key, b"no picture")
    assert (await visitor.get(thumbnails.path_of(address(resources, key)))).status_code == 404


async def test_so_many_are_kept_in_memory(
    visitor: httpx.AsyncClient, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thumbnails, "_KEPT", 2)
    for _ in range(4):
        key = f"results/{uuid4().hex}_faceswap/1/face-swap.png"
        await objects.put(resources.store, key, encode(np.zeros((64, 64, 3), np.uint8), "png"))
        assert (await visitor.get(thumbnails.path_of(address(resources, key)))).status_code == 200
    assert len(thumbnails._kept) == 2

from collections.abc import AsyncIterator

import httpx
import pytest

from mien.detection.detectors import Detectors
from mien.settings import load_settings


@pytest.fixture(scope="session")
async def detectors(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Detectors]:
    """One detector process for all tests that need none of their own."""
    settings = load_settings(data_dir=tmp_path_factory.mktemp("data"), workers=1, threads=1)
    detectors = Detectors(settings)
    yield detectors
    await detectors.close()


@pytest.fixture
def api_with_detector(api: httpx.AsyncClient, detectors: Detectors) -> httpx.AsyncClient:
    """`api`, with a detector that is warm already."""
    transport = api._transport
    assert isinstance(transport, httpx.ASGITransport)
    transport.app.state.detectors = detectors  # type: ignore[attr-defined]
    return api

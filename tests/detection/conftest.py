import httpx
import pytest

from mien.detection.detectors import Detectors


@pytest.fixture
def api_with_detector(api: httpx.AsyncClient, detectors: Detectors) -> httpx.AsyncClient:
    """`api`, with a detector that is warm already."""
    transport = api._transport
    assert isinstance(transport, httpx.ASGITransport)
    transport.app.state.detectors = detectors  # type: ignore[attr-defined]
    return api

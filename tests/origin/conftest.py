from collections.abc import AsyncIterator

import httpx
import pytest

from mien.origin.checkers import OriginCheckers
from mien.settings import load_settings


@pytest.fixture(scope="session")
async def checkers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OriginCheckers]:
    """One process for all tests."""
    settings = load_settings(data_dir=tmp_path_factory.mktemp("data"), workers=1, threads=1)
    checkers = OriginCheckers(settings)
    yield checkers
    await checkers.close()


@pytest.fixture
def api_with_checker(api: httpx.AsyncClient, checkers: OriginCheckers) -> httpx.AsyncClient:
    """`api`, with a process that is warm already."""
    transport = api._transport
    assert isinstance(transport, httpx.ASGITransport)
    transport.app.state.origin_checkers = checkers  # type: ignore[attr-defined]
    return api

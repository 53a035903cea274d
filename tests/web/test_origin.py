"""The page that checks where a picture comes from, without scripts."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest
from tests.web.parsing import Page

import mien
from mien.accounts.throttle import Allowance
from mien.images.codec import decode
from mien.marks.marking import Making, Marks, mark
from mien.marks.provenance import Signer
from mien.resources import Resources
from mien.web import origin
from mien.web.origin import CHECK_ORIGIN

CAFE = (Path(mien.__file__).parent / "samples" / "cafe.jpg").read_bytes()


@pytest.fixture
def result(resources: Resources) -> bytes:
    """A picture that this service made."""
    assert resources.identity
    making = Making("0190a0_faceswap", datetime(2026, 8, 2, 12, 30, tzinfo=UTC), "1.2.3", CAFE, [CAFE])
    marks = Marks(watermark_key=resources.watermark_key, signing=Signer.of(resources.identity))
    return mark(decode(CAFE).rgb, "jpg", making, marks)


async def outcome(visitor: httpx.AsyncClient, picture: bytes, status: int = 200) -> str:
    answer = await visitor.post(CHECK_ORIGIN, files={"image": picture})
    assert answer.status_code == status, answer.text
    assert len(Page(answer.text).all("h1")) == 1
    return answer.text.split("data-outcome")[1].split("</section>")[0]


@pytest.mark.slow
async def test_a_result_is_told_with_its_evidence_and_without_its_owner(
    visitor: httpx.AsyncClient, result: bytes
) -> None:
    told = await outcome(visitor, result)
    assert "This picture was made here, with Mien" in told
    assert 'datetime="2026-08-02T12:30:00+00:00"' in told
    assert "This service signed the file" in told
    assert "this service's invisible watermark" in told
    assert "10<sup>30</sup>" in told
    assert "It names Mien" in told
    assert "0190a0_faceswap" not in told


@pytest.mark.slow
async def test_a_picture_of_others_shows_nothing_in_spanish(visitor: httpx.AsyncClient) -> None:
    visitor.cookies.set("mien_language", "es")
    told = await outcome(visitor, CAFE)
    assert "No se encontró ningún rastro de Mien" in told
    assert "El archivo no tiene firma" in told


@pytest.mark.slow
async def test_what_is_no_picture_is_refused_in_words(visitor: httpx.AsyncClient) -> None:
    assert "notice error" in await outcome(visitor, b"no picture", status=400)


async def test_without_a_picture_one_is_asked_for(visitor: httpx.AsyncClient) -> None:
    assert "Choose a picture first." in await outcome(visitor, b"", status=400)


async def test_another_site_cannot_send_pictures(visitor: httpx.AsyncClient) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    answer = await visitor.post(CHECK_ORIGIN, files={"image": CAFE}, headers=headers)
    assert answer.status_code == 403


async def test_nobody_gets_to_check_too_many(
    visit: Callable[..., httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin, "_TRIES", Allowance(1, timedelta(hours=1)))
    visitor = visit(trusted_proxies=(ip_network("127.0.0.0/8"),))
    visitor.headers["X-Forwarded-For"] = "203.0.113.77"
    assert "Choose a picture" in await outcome(visitor, b"", status=400)
    assert "too often" in await outcome(visitor, b"", status=429)

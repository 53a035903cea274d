"""Signatures, checked by the stock library and by hand."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from mien.sealing import Sealing, new_key, parse_keys
from mien.webhooks.models import Endpoint
from mien.webhooks.service import ROTATION, rotate
from mien.webhooks.signing import generate_secret, signed_headers

BODY = '{"type":"task.completed","data":{"who":"Zoë"}}'


def test_the_stock_library_takes_a_signed_message() -> None:
    secret = generate_secret()
    headers = signed_headers("message", datetime.now(UTC), BODY, [secret])
    assert Webhook(secret).verify(BODY, headers)["data"]["who"] == "Zoë"


def test_another_body_or_secret_is_not_taken() -> None:
    headers = signed_headers("message", datetime.now(UTC), BODY, [secret := generate_secret()])
    for body, key in ((BODY + " ", secret), (BODY, generate_secret())):
        with pytest.raises(WebhookVerificationError):
            Webhook(key).verify(body, headers)


def test_a_signature_is_the_hmac_of_id_timestamp_and_body() -> None:
    """As the standard says, worked out without the library."""
    secret, at = generate_secret(), datetime(2026, 12, 24, 12, 0, 0, 900_000, tzinfo=UTC)
    headers = signed_headers("message", at, BODY, [secret])
    assert secret.startswith("whsec_")
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    assert len(key) == 32
    signed = f"message.1798113600.{BODY}".encode()
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers == {
        "webhook-id": "message",
        "webhook-timestamp": "1798113600",
        "webhook-signature": f"v1,{signature}",
    }


def test_the_documented_receiver_takes_what_is_ours_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    secret, document = generate_secret(), (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
    example = document.split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(example.replace("whsec_…", secret), names)
    body = '{"type":"task.completed","data":{"output":{"image_url":"https://example.com/result.png"}}}'
    for key, status in ((secret, 204), (generate_secret(), 400)):
        headers = signed_headers("message", datetime.now(UTC), body, [key])
        assert names["handle"](body.encode(), headers) == status
    assert capsys.readouterr().out == "https://example.com/result.png\n"


def test_after_a_renewal_both_secrets_verify_until_the_overlap_is_over() -> None:
    signing, now = Endpoint(secret=generate_secret()), datetime.now(UTC)
    old = signing.secret
    rotate(signing, Sealing())
    headers = signed_headers("message", now, BODY, signing.secrets(now, Sealing()))
    for secret in (old, signing.secret):
        Webhook(secret).verify(BODY, headers)
    assert signing.secrets(now + 2 * ROTATION, Sealing()) == [signing.secret] != [old]


def test_a_sealed_secret_signs_as_it_was_shown() -> None:
    sealing, secret = Sealing(parse_keys(new_key())), generate_secret()
    signing = Endpoint(secret=sealing.seal_text(secret))
    rotate(signing, sealing)
    assert secret not in (signing.secret, signing.previous_secret)
    assert signing.secrets(datetime.now(UTC), sealing) == [sealing.open_text(signing.secret), secret]


def test_a_second_renewal_ends_the_first_secret_at_once() -> None:
    signing = Endpoint(secret=generate_secret())
    first = signing.secret
    rotate(signing, Sealing())
    second = signing.secret
    rotate(signing, Sealing())
    assert signing.secrets(datetime.now(UTC), Sealing()) == [signing.secret, second]
    assert first not in signing.secrets(datetime.now(UTC), Sealing())

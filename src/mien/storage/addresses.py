"""Addresses of stored files: they expire and can't be guessed.

    /files/<expires>/<signature>/<key of the object>

`expires` is a Unix time in seconds; `signature` is HMAC-SHA256 over both, so that neither can be changed by
who doesn't hold the secret. Who has the address may read the file until then, without a key: an address can
go straight into a page.
"""

import base64
import hmac
from datetime import datetime

PREFIX = "/files/"


def signed_path(key: str, expires_at: datetime, secret: bytes) -> str:
    """The path under which `key` can be read until `expires_at` (aware)."""
    expires = str(int(expires_at.timestamp()))
    return f"{PREFIX}{expires}/{_signature(key, expires, secret)}/{key}"


def is_valid(key: str, expires: str, signature: str, secret: bytes, *, now: float) -> bool:
    """Whether the parts of a path, as they came in, belong together and are good at `now` (Unix time)."""
    return _is_signed(key, expires, signature, secret) and int(expires) > now


def key_of_path(path: str, secret: bytes) -> str | None:
    """The key that a path of ours names, expired or not; None for any other path."""
    match path.removeprefix(PREFIX).split("/", 2):
        case [expires, signature, key] if path.startswith(PREFIX):
            return key if _is_signed(key, expires, signature, secret) else None
    return None


def _is_signed(key: str, expires: str, signature: str, secret: bytes) -> bool:
    # In constant time, and as bytes since str is refused when it isn't ASCII.
    return hmac.compare_digest(_signature(key, expires, secret).encode(), signature.encode())


def _signature(key: str, expires: str, secret: bytes) -> str:
    digest = hmac.digest(secret, f"{expires}\n{key}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

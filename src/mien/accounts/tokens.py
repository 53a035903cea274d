"""Tokens that say who somebody is.

Those of keys and sessions are random, and the database has only their hashes. Those in letters' links are a
row's id and a signature: a link can be made again, and the database holds nothing that would open anything.
"""

import base64
import hashlib
import hmac
import secrets
from uuid import UUID


def new_token() -> str:
    """256 random bits in base64url."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """How a token is stored and found: tokens are random in full, so a fast hash is as good as a slow one."""
    return hashlib.sha256(token.encode()).digest()


def signed_token(purpose: str, row_id: UUID, secret: bytes) -> str:
    """The token of a row, in base64url. For different purposes there are different ones."""
    return base64.urlsafe_b64encode(row_id.bytes + _signature(purpose, row_id, secret)).decode()


def read_signed_token(purpose: str, token: str, secret: bytes) -> UUID | None:
    """The id of the row that a token was made for; None if it's none of ours."""
    try:
        decoded = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        row_id = UUID(bytes=decoded[:16])
    except ValueError:
        return None
    return row_id if hmac.compare_digest(decoded[16:], _signature(purpose, row_id, secret)) else None


def _signature(purpose: str, row_id: UUID, secret: bytes) -> bytes:
    return hmac.digest(secret, f"{purpose} ".encode() + row_id.bytes, hashlib.sha256)

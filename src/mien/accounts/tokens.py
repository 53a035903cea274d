"""Random tokens that say who somebody is: keys, sessions, invites. The database has only their hashes."""

import hashlib
import secrets


def new_token() -> str:
    """256 random bits in base64url."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """How a token is stored and found: tokens are random in full, so a fast hash is as good as a slow one."""
    return hashlib.sha256(token.encode()).digest()

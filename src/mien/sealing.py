"""Encryption at rest: what is stored is sealed with the operator's key, if there is one.

    sealing = Sealing(parse_keys(text))
    sealing.open(sealing.seal(b"pixels")) == b"pixels"

The first key seals; the others only open what was sealed before they were replaced. Without keys nothing is
sealed, and what was stored without a key stays readable with one.

What is sealed begins with a head: `MAGIC`, 8 bytes that name the key, 16 random bytes. From the key and the
random bytes comes a key for this content alone (HKDF-SHA256, RFC 5869), and with it every piece of `PIECE`
bytes is encrypted and authenticated by itself (AES-256-GCM), under its number and whether it's the last. So
any part can be read by itself, and pieces that are changed, missing or in another order are noticed. This is
the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár (https://eprint.iacr.org/2015/189).
"""

import base64
import binascii
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mien.errors import SetupError

MAGIC: Final = b"\x93mien\r\n\x01"
"""No picture begins like this. Its last byte is the format's version."""
PIECE: Final = 64 * 1024
"""Bytes that are encrypted together; of the last piece there may be fewer, also none."""
_ID, _SALT, _TAG = 8, 16, 16  # bytes
HEAD: Final = len(MAGIC) + _ID + _SALT
SEALED_PIECE: Final = PIECE + _TAG
KEY_SIZE: Final = 32  # bytes

_TEXT_PREFIX = "sealed:"


class SealBroken(SetupError):
    """What was stored can't be opened: its key is missing, or somebody changed it."""


@dataclass(frozen=True, repr=False)
class SealingKey:
    """A key of 32 random bytes."""

    secret: bytes

    @cached_property
    def id(self) -> bytes:
        """8 bytes that tell it from others, and nothing about it."""
        return _derive(self.secret, salt=None, purpose=b"mien key id", size=_ID)

    def __repr__(self) -> str:
        return f"SealingKey({self.id.hex()})"


def new_key() -> str:
    """A new key, as `parse_keys` reads it."""
    return base64.b64encode(os.urandom(KEY_SIZE)).decode()


def parse_keys(text: str) -> tuple[SealingKey, ...]:
    """Keys in base64, between commas or space. Raises `ValueError` that doesn't show them."""
    keys = []
    for word in re.split(r"[\s,]+", text.strip()):
        try:
            secret = base64.b64decode(word.replace("-", "+").replace("_", "/"), validate=True)
        except binascii.Error:
            secret = b""
        if len(secret) != KEY_SIZE or secret == _KNOWN.secret:
            raise ValueError(
                "must be 32 random bytes in base64, as `mien storage new-key` makes them; if there are "
                "several, with commas between them and the one that encrypts first"
            )
        keys.append(SealingKey(secret))
    return tuple(keys)


_KNOWN = SealingKey(bytes(KEY_SIZE))
"""Everybody's: with it, content that itself looks sealed is stored where there is no key."""


@dataclass(frozen=True)
class Sealing:
    """Seals with the first of `keys`, and opens what any of them sealed. Without keys, nothing is sealed."""

    keys: tuple[SealingKey, ...] = ()

    def seal(self, data: bytes) -> bytes:
        """`data`, sealed if there is a key."""
        if self.keys:
            return _seal(self.keys[0], data)
        return _seal(_KNOWN, data) if data.startswith(MAGIC) else data

    def open(self, data: bytes) -> bytes:
        """What was given to `seal`, also without a key at that time. Raises `SealBroken`."""
        if not is_sealed(data):
            return data
        opener = self.opener(data[:HEAD])
        pieces = range(HEAD, max(len(data), HEAD + 1), SEALED_PIECE)
        view = memoryview(data)
        return b"".join(
            opener.open_piece(number, view[start : start + SEALED_PIECE], is_last=number == len(pieces) - 1)
            for number, start in enumerate(pieces)
        )

    def seal_text(self, text: str) -> str:
        """`text`, sealed as text if there is a key, for a column of text."""
        if not self.keys and not text.startswith(_TEXT_PREFIX):
            return text
        key = self.keys[0] if self.keys else _KNOWN
        return _TEXT_PREFIX + base64.b64encode(_seal(key, text.encode())).decode()

    def open_text(self, text: str) -> str:
        """What was given to `seal_text`. Raises `SealBroken`."""
        if not text.startswith(_TEXT_PREFIX):
            return text
        return self.open(base64.b64decode(text.removeprefix(_TEXT_PREFIX))).decode()

    def is_current(self, beginning: bytes) -> bool:
        """Whether content that begins so is stored as `seal` would store it now."""
        if not is_sealed(beginning):
            return not self.keys
        return bool(self.keys) and _key_id(beginning) == self.keys[0].id

    def opener(self, head: bytes) -> "Opener":
        """What opens the pieces of the content with this head. Raises `SealBroken` without its key."""
        key_id = _key_id(head)
        key = self._by_id.get(key_id)
        if key is None:
            raise SealBroken(
                f"What is stored was sealed with the key {key_id.hex()}, which is not in MIEN_STORAGE_KEY or "
                "MIEN_STORAGE_KEY_FILE. Add it there, behind the one that seals, and start again."
            )
        return Opener(key, head[len(MAGIC) + _ID : HEAD])

    @cached_property
    def _by_id(self) -> Mapping[bytes, SealingKey]:
        return {key.id: key for key in (*self.keys, _KNOWN)}


class Opener:
    """Opens and seals the pieces of one content."""

    def __init__(self, key: SealingKey, salt: bytes) -> None:
        self._cipher = AESGCM(_derive(key.secret, salt=salt, purpose=b"mien content", size=32))

    def open_piece(self, number: int, sealed: bytes | memoryview, *, is_last: bool) -> bytes:
        """The piece of that number, which counts from 0. Raises `SealBroken`."""
        try:
            return self._cipher.decrypt(_nonce(number, is_last), sealed, None)
        except InvalidTag:
            raise SealBroken(
                "What is stored was changed or cut short after it had been sealed. Restore it from a backup."
            ) from None

    def seal_piece(self, number: int, plain: bytes | memoryview, *, is_last: bool) -> bytes:
        return self._cipher.encrypt(_nonce(number, is_last), plain, None)


def is_sealed(beginning: bytes) -> bool:
    """Whether content that begins so is sealed."""
    return beginning.startswith(MAGIC) and len(beginning) >= HEAD


def plain_size(sealed_size: int) -> int:
    """Bytes of the content that so many sealed bytes hold, their head included."""
    pieces = -(-(sealed_size - HEAD) // SEALED_PIECE)
    return sealed_size - HEAD - pieces * _TAG


def _seal(key: SealingKey, data: bytes) -> bytes:
    return b"".join(_sealed(key, data))


def _sealed(key: SealingKey, data: bytes) -> Iterator[bytes]:
    salt = os.urandom(_SALT)
    yield MAGIC + key.id + salt
    opener, view = Opener(key, salt), memoryview(data)
    starts = range(0, max(len(data), 1), PIECE)
    for number, start in enumerate(starts):
        yield opener.seal_piece(number, view[start : start + PIECE], is_last=number == len(starts) - 1)


def _key_id(head: bytes) -> bytes:
    return head[len(MAGIC) : len(MAGIC) + _ID]


def _nonce(number: int, is_last: bool) -> bytes:
    # May repeat from content to content, since each has a key of its own.
    return number.to_bytes(11, "big") + bytes([is_last])


def _derive(secret: bytes, *, salt: bytes | None, purpose: bytes, size: int) -> bytes:
    return HKDF(SHA256(), size, salt, purpose).derive(secret)

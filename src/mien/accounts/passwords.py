"""Passwords as Argon2id hashes, made and checked in threads of their own, few of them: each takes 64 MiB."""

import asyncio
import functools
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from mien.accounts.tokens import new_token

# RFC 9106's second choice, which is the package's default: 3 passes over 64 MiB, 4 lanes.
_hasher = PasswordHasher()
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="passwords")


async def hash_password(password: str) -> str:
    """The hash to store, with its parameters and salt."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _hasher.hash, password)


async def matches(password_hash: str | None, password: str) -> bool:
    """Whether this is the password. Without a hash it never is, which takes as long to find out."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _matches, password_hash, password)


def is_outdated(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(password_hash)


def _matches(password_hash: str | None, password: str) -> bool:
    nobodys = _nobodys_hash()
    try:
        return _hasher.verify(password_hash or nobodys, password) and password_hash is not None
    except VerificationError:
        return False


@functools.cache
def _nobodys_hash() -> str:
    return _hasher.hash(new_token())

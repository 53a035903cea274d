"""Small copies of results, for lists: made when they're first asked for, and kept in memory for a while.

    /thumbnails/<expires>/<signature>/<key of the object>

They are as private as the result: read by whoever has its signed address, until that expires or the result is
deleted. Nothing is stored, so there is nothing to delete.
"""

import asyncio
import time
from collections import OrderedDict
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from mien.errors import NotFound, TaskError
from mien.http.dependencies import Shared
from mien.storage import addresses, objects

router = APIRouter(include_in_schema=False)

PREFIX: Final = "/thumbnails/"
SIZE: Final = 480
"""Pixels of the longest side: sharp where a list shows it half as large."""

_QUALITY: Final = 80
_KEPT: Final = 500
"""Of each API process; one has about 20 kB."""
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
}

# The one that was used last comes last.
_kept: OrderedDict[str, bytes] = OrderedDict()
# One at a time: a large picture takes much memory while it's made small.
_making = asyncio.Lock()


def path_of(file_path: str) -> str:
    """The path of the thumbnail of a result, from the path that the result itself is read under."""
    return PREFIX + file_path.removeprefix(addresses.PREFIX)


@router.api_route(PREFIX + "{expires}/{signature}/{key:path}", methods=["GET", "HEAD"])
async def read_thumbnail(
    request: Request, shared: Shared, expires: str, signature: str, key: str
) -> Response:
    """A result in small, as WebP."""
    now = time.time()
    if not addresses.is_valid(key, expires, signature, shared.secret, now=now):
        raise _gone()
    try:
        await objects.size_of(shared.store, key)  # it may have been deleted
        picture = await _small(shared, key)
    except (FileNotFoundError, TaskError):
        raise _gone() from None
    caching = {"Cache-Control": f"private, max-age={int(expires) - int(now)}, immutable"}
    return Response(
        picture if request.method == "GET" else b"", headers=_SAFE | caching, media_type="image/webp"
    )


async def _small(shared: Shared, key: str) -> bytes:
    async with _making:
        if key not in _kept:
            data = await objects.read(shared.store, key)
            _kept[key] = await asyncio.to_thread(_made_small, data, shared.settings.max_pixels)
            while len(_kept) > _KEPT:
                _kept.popitem(last=False)
        _kept.move_to_end(key)
        return _kept[key]


def _made_small(data: bytes, max_pixels: int) -> bytes:
    # Here, since an API process that is never asked needs no pixels.
    from mien.images.codec import DecodeLimits, decode, encode
    from mien.images.resize import shrink

    picture = decode(data, DecodeLimits(max_bytes=len(data), max_pixels=max_pixels))
    rgb, alpha = shrink(picture.rgb, picture.alpha, SIZE)
    return encode(rgb, "webp", alpha=alpha, quality=_QUALITY)


def _gone() -> NotFound:
    return NotFound("There is no such picture: the address is wrong, or the result is gone.")

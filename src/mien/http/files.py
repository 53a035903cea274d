"""Files that are sent: stored pictures by their signed addresses, and the samples."""

import time
from pathlib import PurePosixPath

from fastapi import APIRouter
from starlette.responses import FileResponse, Response, StreamingResponse

from mien.errors import NotFound
from mien.http.dependencies import Shared
from mien.storage import addresses, objects
from mien.storage.samples import sample

router = APIRouter(include_in_schema=False)

# By what the name ends in, never by what is inside: nothing that is sent may become a page.
_MEDIA_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp"}

_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


@router.api_route("/files/{expires}/{signature}/{key:path}", methods=["GET", "HEAD"])
async def read_file(shared: Shared, expires: str, signature: str, key: str) -> Response:
    """A stored picture, to whoever has its address, until the address expires."""
    if not addresses.is_valid(key, expires, signature, shared.secret, now=time.time()):
        raise _gone()
    try:
        found = await objects.open_object(shared.store, key)
    except FileNotFoundError:
        raise _gone() from None
    return StreamingResponse(
        found.chunks, headers=_headers(key, found.size, max_age=int(expires) - int(time.time()))
    )


@router.api_route("/samples/{name}", methods=["GET", "HEAD"])
async def read_sample(name: str) -> Response:
    """A sample picture of the package."""
    path = sample(name)
    if path is None:
        raise NotFound("There is no such sample.")
    return FileResponse(path, headers=_SAFE, media_type="image/jpeg")


def _headers(key: str, size: int, max_age: int) -> dict[str, str]:
    name = PurePosixPath(key)
    return _SAFE | {
        "Content-Type": _MEDIA_TYPES.get(name.suffix, "application/octet-stream"),
        "Content-Length": str(size),
        "Content-Disposition": f'inline; filename="{name.name}"',
        "Cache-Control": f"private, max-age={max_age}, immutable",
    }


def _gone() -> NotFound:
    return NotFound("There is no such file: the address is wrong or has expired. Ask for the task again.")

"""Files that are sent: stored pictures by their signed addresses, and the samples.

What is stored under a key never changes: its tag follows from the key, and whoever has it needs it no more.
"""

import hashlib
import re
import time
from pathlib import PurePosixPath

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response, StreamingResponse

from mien.errors import InvalidRequest, NotFound
from mien.http.dependencies import Shared
from mien.http.errors import error_response, request_id_of
from mien.storage import addresses, objects
from mien.storage.objects import Store
from mien.storage.samples import sample

router = APIRouter(include_in_schema=False)

# By what the name ends in, never by what is inside: nothing that is sent may become a page.
_MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".heic": "image/heic",
}

_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


@router.api_route("/files/{expires}/{signature}/{key:path}", methods=["GET", "HEAD"])
async def read_file(request: Request, shared: Shared, expires: str, signature: str, key: str) -> Response:
    """A stored picture, or the part that `Range` names, to whoever has its address, until that expires."""
    now = time.time()
    if not addresses.is_valid(key, expires, signature, shared.secret, now=now):
        raise _gone()
    tag = f'"{hashlib.sha256(key.encode()).hexdigest()[:32]}"'
    headers = _SAFE | {
        "ETag": tag,
        "Cache-Control": f"private, max-age={int(expires) - int(now)}, immutable",
        "Accept-Ranges": "bytes",
    }
    try:
        return await _answer(request, shared.store, key, tag, headers)
    except FileNotFoundError:
        raise _gone() from None


async def _answer(request: Request, store: Store, key: str, tag: str, headers: dict[str, str]) -> Response:
    if request.method == "GET" and not {"range", "if-none-match"} & set(request.headers.keys()):
        found = await objects.open_object(store, key)
        return StreamingResponse(found.chunks, headers=headers | _description(key, found.size))
    size = await objects.size_of(store, key)
    if _names(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    if request.method == "HEAD":
        return Response(headers=headers | _description(key, size))
    part = _wanted_part(request, size, tag)
    if part is not None and not part:
        return _no_such_part(request, size)
    found = await objects.open_object(store, key, part)
    status = 200 if part is None else 206
    return StreamingResponse(found.chunks, status, headers | _description(key, size, part))


@router.api_route("/samples/{name}", methods=["GET", "HEAD"])
async def read_sample(name: str) -> Response:
    """A sample picture of the package."""
    path = sample(name)
    if path is None:
        raise NotFound("There is no such sample.")
    return FileResponse(path, headers=_SAFE, media_type="image/jpeg")


def _description(key: str, size: int, part: range | None = None) -> dict[str, str]:
    name = PurePosixPath(key)
    described = {
        "Content-Type": _MEDIA_TYPES.get(name.suffix, "application/octet-stream"),
        "Content-Length": str(size if part is None else len(part)),
        "Content-Disposition": f'inline; filename="{name.name}"',
    }
    if part is not None:
        described["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    return described


def _wanted_part(request: Request, size: int, tag: str) -> range | None:
    """The bytes that the request asks for, empty if there are none of them; None for the whole file.

    As RFC 9110 allows, the whole file answers whatever is more than one plain range, and a range of another
    file than this (`If-Range`).
    """
    wanted = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", request.headers.get("range", "").replace(" ", ""))
    if wanted is None or request.headers.get("if-range", tag) != tag:
        return None
    match wanted.groups():
        case ["", ""]:
            return None
        case ["", last]:
            return range(max(0, size - int(last)), size)
        case [first, ""]:
            return range(int(first), size)
        case [first, last]:
            return range(int(first), min(int(last) + 1, size)) if int(first) <= int(last) else None
    return None


def _names(if_none_match: str, tag: str) -> bool:
    tags = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return tag in tags or "*" in tags


def _no_such_part(request: Request, size: int) -> Response:
    error = InvalidRequest(f"The file has no such bytes: it has {size:,}. Ask for less, or for all.")
    response = error_response(error, request_id_of(request), status=416)
    response.headers["Content-Range"] = f"bytes */{size}"
    return response


def _gone() -> NotFound:
    return NotFound("There is no such file: the address is wrong or has expired. Ask for the task again.")

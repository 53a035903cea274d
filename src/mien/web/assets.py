"""Scripts, styles and pictures of the site, served with addresses that change when any of them does.

    /static/<fingerprint of all of them>/site.css

So browsers keep them for good, and modules import each other by relative names.
"""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from mien.errors import NotFound
from mien.web.languages import LANGUAGES, texts_of_scripts

router = APIRouter(include_in_schema=False)

_FOLDER = Path(__file__).parent / "static"
_TEXTS = Path(__file__).parent / "texts"
_FOR_GOOD = "public, max-age=31536000, immutable"
_COMPRESSIBLE = (".css", ".js", ".svg")


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    compressed: bytes | None
    media_type: str


@router.api_route("/static/{version}/texts/{language}.json", methods=["GET", "HEAD"])
async def read_texts(version: str, language: str) -> Response:
    """What scripts say in a language."""
    if language not in LANGUAGES:
        raise NotFound("There is no such language.")
    return JSONResponse(dict(texts_of_scripts(language)), headers=_headers(version))


@router.api_route("/static/{version}/{name:path}", methods=["GET", "HEAD"])
async def read_asset(request: Request, version: str, name: str) -> Response:
    """A script, a style or a picture."""
    asset = _assets().get(name)
    if asset is None:
        raise NotFound("There is no such file.")
    headers = _headers(version) | {"Vary": "Accept-Encoding"}
    if asset.compressed and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(
            asset.compressed, headers=headers | {"Content-Encoding": "gzip"}, media_type=asset.media_type
        )
    return Response(asset.content, headers=headers, media_type=asset.media_type)


@cache
def fingerprint() -> str:
    """Of all assets and texts together."""
    digest = hashlib.sha256()
    for path in [*_files(), *sorted(_TEXTS.glob("*.po"))]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _headers(version: str) -> dict[str, str]:
    # An address of another version, from an old page, is answered with what there is now, and not kept.
    caching = _FOR_GOOD if version == fingerprint() else "no-cache"
    return {"Cache-Control": caching, "X-Content-Type-Options": "nosniff"}


@cache
def _assets() -> dict[str, _Asset]:
    return {path.relative_to(_FOLDER).as_posix(): _read(path) for path in _files()}


def _read(path: Path) -> _Asset:
    content = path.read_bytes()
    compressed = gzip.compress(content, mtime=0) if path.suffix in _COMPRESSIBLE else None
    media_type = "text/javascript" if path.suffix == ".js" else mimetypes.guess_type(path.name)[0]
    return _Asset(content, compressed, media_type or "application/octet-stream")


def _files() -> list[Path]:
    return sorted(path for path in _FOLDER.rglob("*") if path.is_file())

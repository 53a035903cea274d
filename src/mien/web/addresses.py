"""Addresses of pages, also where the service lives below a path: `https://example.com/swap/docs`."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.routing import Match

from mien.http.sessions import SAFE_METHODS


def base_path(request: Request) -> str:
    """The path that all addresses begin with; mostly empty."""
    public_url: str = request.app.state.resources.settings.public_url
    return urlsplit(public_url).path


def own_path(request: Request, path: str) -> str:
    """The path to link to, for a page's `path` such as `/docs`."""
    return base_path(request) + path


def path_of(request: Request) -> str:
    """The page's path and query, without the base."""
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{request.scope['path']}{query}"


def page_path(request: Request) -> str:
    """Where the page can be loaded again: of one that answers a form, the nearest above that can be."""
    if request.method in SAFE_METHODS:
        return path_of(request)
    path: str = request.scope["path"]
    while path and not _can_be_loaded(request, path):
        path = path.rpartition("/")[0]
    return path or "/"


def _can_be_loaded(request: Request, path: str) -> bool:
    scope = {"type": "http", "method": "GET", "path": path, "root_path": "", "headers": []}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes)


def safe_path(path: str) -> str:
    """`path` if it leads to a page of ours, else `/`: nobody is sent elsewhere by a forged link."""
    is_ours = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if is_ours else "/"

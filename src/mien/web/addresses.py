"""Addresses of pages, also where the service lives below a path: `https://example.com/swap/docs`."""

from urllib.parse import urlsplit

from starlette.requests import Request


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


def safe_path(path: str) -> str:
    """`path` if it leads to a page of ours, else `/`: nobody is sent elsewhere by a forged link."""
    is_ours = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if is_ours else "/"

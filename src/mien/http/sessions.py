"""The cookie of a signed-in browser, and what keeps other sites from using it.

A browser sends the cookie along with requests that another site makes it send. Three things stop them:

- `SameSite=Lax`: it isn't sent with another site's requests, apart from following a link;
- where the request comes from, as the browser says in `Sec-Fetch-Site`, or in `Origin` where it doesn't (over
  plain HTTP from another machine). It's also checked where no cookie is needed yet, so that nobody is signed
  in to somebody else's account;
- for all that changes something, a token in the header `X-CSRF-Token`, which other sites can't read. It
  follows from the session's token, so there is nothing to store. It stops what comes from a browser so old
  that it tells neither.
"""

import base64
import hashlib
import hmac
from datetime import datetime
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response

from mien.errors import PermissionDenied

CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_DEFAULT_PORTS = {"http": 80, "https": 443}


def cookie_name(public_url: str) -> str:
    """`__Host-` makes browsers refuse the cookie from anywhere else, but needs TLS and the whole host."""
    parts = urlsplit(public_url)
    return "__Host-mien_session" if parts.scheme == "https" and not parts.path else "mien_session"


def set_cookie(response: Response, public_url: str, token: str, expires_at: datetime) -> None:
    """Sign the browser in that gets this answer."""
    parts = urlsplit(public_url)
    response.set_cookie(
        cookie_name(public_url),
        token,
        expires=expires_at,
        path=parts.path or "/",
        secure=parts.scheme == "https",
        httponly=True,
        samesite="lax",
    )


def delete_cookie(response: Response, public_url: str) -> None:
    """Sign the browser out that gets this answer."""
    parts = urlsplit(public_url)
    response.delete_cookie(
        cookie_name(public_url),
        path=parts.path or "/",
        secure=parts.scheme == "https",
        httponly=True,
        samesite="lax",
    )


def session_token(headers: Headers, public_url: str) -> str | None:
    """The token in the request's cookie."""
    return cookie_parser(headers.get("cookie", "")).get(cookie_name(public_url)) or None


def csrf_token(token: str) -> str:
    """What requests of this session that change something send in `X-CSRF-Token`."""
    mac = hmac.digest(token.encode(), b"csrf", hashlib.sha256)
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")


def check_csrf_token(headers: Headers, token: str) -> None:
    """Raises `PermissionDenied` if the request doesn't carry its session's CSRF token."""
    if not _is_same(headers.get(CSRF_HEADER, ""), csrf_token(token)):
        raise PermissionDenied(
            f"The header `{CSRF_HEADER}` is missing or wrong. Send the `csrf_token` that "
            "GET /api/v1/auth/session gives."
        )


def check_csrf_field(sent: str, expected: str) -> None:
    """Raises `PermissionDenied` if a form doesn't hold the CSRF token of its session."""
    if not _is_same(sent, expected):
        raise PermissionDenied(
            "This form is of another session. Go back, load the page again, and send it once more."
        )


def check_origin(headers: Headers, public_url: str) -> None:
    """Raises `PermissionDenied` if a page of another site made the browser send this request."""
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if site is not None:
        is_ours = site in ("same-origin", "none")
    else:
        is_ours = origin is None or _is_ours(origin, headers.get("host", ""), public_url)
    if not is_ours:
        raise PermissionDenied(
            "Another site sent this request. Open it from this service's own pages, or use an API key."
        )


def _is_same(sent: str, expected: str) -> bool:
    # In constant time, and as bytes since str is refused when it isn't ASCII.
    return hmac.compare_digest(sent.encode(), expected.encode())


def _is_ours(origin: str, host: str, public_url: str) -> bool:
    """Whether the origin is the public address, or the host that was called: a laptop has several names."""
    try:
        theirs = _host_and_port(origin)
        public = urlsplit(public_url)
        return theirs in (_host_and_port(public_url), _host_and_port(f"{public.scheme}://{host}"))
    except ValueError:
        return False


def _host_and_port(address: str) -> tuple[str | None, int | None]:
    parts = urlsplit(address)
    return parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)

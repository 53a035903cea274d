"""How a page is made: its template, the visitor, their language, and the headers that guard it.

    return await render(request, "home.html", price=3)

Templates get, beside what they are given: `visitor` (a `Visitor` or None), `settings`, `language`,
`languages`, `status`, `path` (where the page can be loaded again, with its query), `csrf_token`, and the
functions `url("/docs")`, `asset("site.css")`, `_("text")`, and the filters of `mien.web.formats`.
"""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from mien.web.addresses import base_path, own_path, page_path
from mien.web.assets import fingerprint
from mien.web.code import highlighted, marked
from mien.web.formats import filters
from mien.web.languages import DEFAULT, LANGUAGES, language_of, translations
from mien.web.visitors import visitor_of

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    # Pages show who is signed in.
    "Cache-Control": "private, no-cache",
    "Vary": "Accept, Accept-Language, Cookie",
}

_TEMPLATES = Path(__file__).parent / "templates"


async def render(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """The page that `template` makes of `context`."""
    language = language_of(request)
    visitor = await visitor_of(request)

    def url(path: str) -> str:
        return own_path(request, path)

    def asset(name: str) -> str:
        return own_path(request, f"/static/{fingerprint()}/{name}")

    frame = {
        "visitor": visitor,
        "settings": request.app.state.resources.settings,
        "csrf_token": visitor.csrf_token if visitor else "",
        "language": language,
        "languages": LANGUAGES,
        "default_language": DEFAULT,
        "status": status,
        "path": page_path(request),
        "base": base_path(request),
        "url": url,
        "asset": asset,
    }
    text = environment(language).get_template(template).render(frame | context)
    return HTMLResponse(text, status, headers=HEADERS | {"Content-Language": language})


@cache
def environment(language: str) -> Environment:
    """Templates in a language."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.policies["ext.i18n.trimmed"] = True
    made.filters["marked"] = marked
    made.globals["highlighted"] = highlighted
    made.filters.update(filters(language))
    made.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    return made

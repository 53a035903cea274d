"""The public pages."""

from importlib.metadata import version

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from mien.settings import Settings
from mien.web.addresses import own_path, safe_path
from mien.web.code import EXAMPLES
from mien.web.failures import wants_page
from mien.web.languages import COOKIE, LANGUAGES
from mien.web.pages import render
from mien.web.prices import price_per_face
from mien.web.visitors import visitor_of

router = APIRouter(include_in_schema=False)

_A_YEAR = 365 * 24 * 3600


@router.api_route("/", methods=["GET", "HEAD"])
async def home(request: Request) -> Response:
    """What this is; for programs, where it's described."""
    if not wants_page(request):
        return JSONResponse(
            {"name": "Mien", "version": version("mien"), "openapi": "/openapi.json"},
            headers={"Vary": "Accept"},
        )
    settings: Settings = request.app.state.resources.settings
    return await render(
        request,
        "home.html",
        price=price_per_face(settings),
        curl=EXAMPLES[0].highlighted(settings.public_url),
    )


@router.api_route("/try", methods=["GET", "HEAD"])
async def tester(request: Request) -> Response:
    """Try the API with pictures of one's own."""
    return await render(request, "try.html")


@router.api_route("/sign-up", methods=["GET", "HEAD"])
async def sign_up(request: Request) -> Response:
    """Make an account; invites lead here, with their token behind the #."""
    return await render(request, "sign-up.html")


@router.api_route("/sign-in", methods=["GET", "HEAD"])
async def sign_in(request: Request, to: str = "/dashboard") -> Response:
    """Sign in, and go on to the page that led here."""
    if await visitor_of(request):
        return RedirectResponse(own_path(request, safe_path(to)), 303)
    return await render(request, "sign-in.html", to=own_path(request, safe_path(to)))


@router.api_route("/reset-password", methods=["GET", "HEAD"])
async def reset_password(request: Request) -> Response:
    """Ask for a link, or choose a new password with the link's token behind the #."""
    return await render(request, "reset-password.html")


@router.get("/language/{language}")
async def choose_language(request: Request, language: str, to: str = "/") -> Response:
    """Read on in another language."""
    response = RedirectResponse(own_path(request, safe_path(to)), 303)
    if language in LANGUAGES:
        response.set_cookie(COOKIE, language, max_age=_A_YEAR, path="/", httponly=True, samesite="lax")
    return response

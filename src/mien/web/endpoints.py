"""The public pages."""

import json
from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response
from markupsafe import Markup

from mien.detection.detectors import Detectors
from mien.errors import NotFound
from mien.settings import Settings
from mien.tasks.request_schema import JSON_SCHEMA
from mien.tasks.schemas import EXAMPLE_ADDRESS, EXAMPLE_ID
from mien.web import documents, reference
from mien.web.addresses import base_path, own_path, safe_path
from mien.web.code import EXAMPLES, highlighted
from mien.web.demo import service as demo
from mien.web.failures import wants_page
from mien.web.languages import COOKIE, LANGUAGES, language_of
from mien.web.pages import render
from mien.web.prices import price_per_face
from mien.web.visitors import visitor_of
from mien.web.warnings import patterns

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


@router.api_route("/models/face-swap", methods=["GET", "HEAD"])
async def model(request: Request) -> Response:
    """All that a program needs to swap faces."""
    settings: Settings = request.app.state.resources.settings
    return await render(
        request,
        "model.html",
        price=price_per_face(settings),
        examples=EXAMPLES,
        fields=reference.fields(JSON_SCHEMA),
        request_example=highlighted(json.dumps(JSON_SCHEMA["examples"][0], indent=2), "json"),
        answer_examples=_answer_examples(),
        failures=documents.part(base_path(request), "errors", "tasks-that-fail"),
    )


def _answer_examples() -> tuple[Markup, Markup]:
    """A task that has been created, and one that is completed."""
    created = {"code": 200, "message": "success", "data": {"task_id": EXAMPLE_ID, "status": "IN_PROGRESS"}}
    output = {"image_url": EXAMPLE_ADDRESS, "format": "png", "width": 805, "height": 1200}
    data = {
        "task_id": EXAMPLE_ID,
        "status": "completed",
        "output": output,
        "image_url": EXAMPLE_ADDRESS,
        "outputs": [EXAMPLE_ADDRESS],
        "error": None,
    }
    completed = {**created, "data": data}
    return highlighted(json.dumps(created, indent=2), "json"), highlighted(
        json.dumps(completed, indent=2), "json"
    )


@router.api_route("/docs", methods=["GET", "HEAD"])
async def docs(request: Request, q: Annotated[str, Query(max_length=200)] = "") -> Response:
    """What there is to read, or what was searched for."""
    base = base_path(request)
    return await render(
        request, "docs.html", documents=documents.documents(base), query=q, findings=documents.search(q, base)
    )


@router.api_route("/docs/api", methods=["GET", "HEAD"])
async def api_reference(request: Request) -> Response:
    """Every endpoint, from the same document that programs read."""
    return await render(
        request,
        "reference.html",
        documents=documents.documents(base_path(request)),
        groups=reference.groups(request.app.openapi()),
    )


@router.api_route("/docs/images/{name}", methods=["GET", "HEAD"])
async def picture_of_docs(name: str) -> Response:
    """A picture that the manual shows."""
    path = documents.picture(name)
    if path is None:
        raise NotFound("There is no such picture.")
    return FileResponse(path, headers={"Cache-Control": "public, max-age=3600"})


@router.api_route("/docs/{name}", methods=["GET", "HEAD"])
async def document(request: Request, name: str) -> Response:
    """A page of the manual."""
    pages = documents.documents(base_path(request))
    if name not in pages:
        raise NotFound("There is no such page in the docs.")
    return await render(request, "document.html", documents=pages, document=pages[name])


@router.api_route("/try", methods=["GET", "HEAD"])
async def tester(request: Request) -> Response:
    """Try the API with pictures of one's own."""
    settings: Settings = request.app.state.resources.settings
    if request.headers.get("sec-fetch-dest") == "document":  # somebody is about to choose pictures
        detectors: Detectors = request.app.state.detectors
        detectors.warm_up()
    return await render(
        request,
        "try.html",
        is_demo=settings.demo and await visitor_of(request) is None,
        demo_size=demo.MAX_SIZE,
        warnings=patterns(language_of(request)),
    )


@router.api_route("/sign-up", methods=["GET", "HEAD"])
async def sign_up(request: Request) -> Response:
    """Make an account; invites lead here, with their token behind the #."""
    return await render(request, "sign-up.html")


@router.api_route("/sign-in", methods=["GET", "HEAD"])
async def sign_in(request: Request, to: str = "/dashboard", ended: str = "") -> Response:
    """Sign in, and go on to the page that led here; `ended` if a form was sent after its session's end."""
    if await visitor_of(request):
        return RedirectResponse(own_path(request, safe_path(to)), 303)
    return await render(request, "sign-in.html", to=own_path(request, safe_path(to)), ended=ended)


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

"""Refusals as pages, where a browser asked for a page; everybody else gets them in the API's envelope."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from mien.errors import ApiError, Unavailable
from mien.web.pages import render

Handler = Callable[[Request, Any], Response | Awaitable[Response]]


def wants_page(request: Request) -> bool:
    """Whether a person's browser is asking, not a program."""
    return "text/html" in request.headers.get("accept", "")


def show_failures(app: FastAPI) -> None:
    """Let browsers see pages where programs get JSON."""
    for kind in (ApiError, HTTPException):
        app.add_exception_handler(kind, _page_or(app.exception_handlers[kind]))


def _page_or(envelope: Handler) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, error: Exception) -> Response:
        status = getattr(error, "status", 0) or getattr(error, "status_code", 500)
        if isinstance(error, HTTPException) and status == 303:
            return RedirectResponse((error.headers or {})["Location"], status)
        if not wants_page(request) or request.scope["path"].startswith(("/api/", "/files/")):
            refusal = envelope(request, error)
            return refusal if isinstance(refusal, Response) else await refusal
        if isinstance(error, Unavailable):
            request.state.visitor = None  # the database is not asked again
        message = error.message if isinstance(error, ApiError) else ""
        return await render(
            request, "failure.html", status=status, message=message, request_id=request.state.request_id
        )

    return handle

"""Refusals as pages, where a browser asked for a page; everybody else gets them in the API's envelope."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from mien.errors import ApiError
from mien.http.errors import envelope
from mien.web.pages import render

Handler = Callable[[Request, Any], Response | Awaitable[Response]]


def wants_page(request: Request) -> bool:
    """Whether a person's browser is asking, not a program."""
    return "text/html" in request.headers.get("accept", "")


def show_failures(app: FastAPI) -> None:
    """Let browsers see pages where programs get JSON."""
    for kind in (ApiError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _page_or(app.exception_handlers[kind]))


async def answer_unexpected(request: Request, error: ApiError) -> Response:
    """What was not foreseen, as `show_failures` shows what was."""
    if not _is_for_page(request):
        return await envelope(request, error)
    return await _failure_page(request, error.status, "")


def _page_or(otherwise: Handler) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code == 303:
            return RedirectResponse((error.headers or {})["Location"], 303)
        if not _is_for_page(request):
            refusal = otherwise(request, error)
            return refusal if isinstance(refusal, Response) else await refusal
        match error:
            case ApiError():
                return await _failure_page(request, error.status, error.message)
            case HTTPException():
                return await _failure_page(request, error.status_code, "")
            case _:  # a query that no page of ours leads to
                return await _failure_page(request, 400, "")

    return handle


def _is_for_page(request: Request) -> bool:
    return wants_page(request) and not request.scope["path"].startswith(("/api/", "/files/"))


async def _failure_page(request: Request, status: int, message: str) -> Response:
    if status >= 500:
        request.state.visitor = None  # the database is not asked again
    return await render(
        request, "failure.html", status=status, message=message, request_id=request.state.request_id
    )

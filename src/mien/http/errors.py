"""Every refusal in one envelope: `{"error": {"code", "message", "type", "param", "request_id"}}`."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from mien.errors import (
    ApiError,
    AuthenticationError,
    ImageTooLarge,
    InternalError,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    SetupError,
    TaskError,
    Unavailable,
)

INTERNAL_MESSAGE = "Something went wrong on our side. Try again; if it stays, report it with the request id."


_WHEN = {
    400: "The request is wrong in itself.",
    401: "The API key or the session is missing or not valid.",
    402: "The account has too few credits.",
    403: "This caller may not do this.",
    404: "There is no such thing, or it belongs to somebody else.",
    408: "The body came too slowly.",
    409: "It doesn't fit the present state.",
    413: "The body or a picture in it is too large.",
    415: "The Content-Type is neither JSON nor a form.",
    422: "The same `Idempotency-Key` came with another request before.",
    429: "Too many requests, or tries, in a while.",
    500: "Something went wrong on our side.",
    503: "The server is busy or not ready. Try again later.",
}


# Where FastAPI found a value.
_PLACES = ("body", "query", "path", "header")


class ErrorDetail(BaseModel):
    code: int = Field(description="The HTTP status.")
    message: str = Field(description="What is wrong and what to do.")
    type: str = Field(description="The documented name to switch on.")
    param: str | None = Field(description="The field of the request that is at fault.")
    request_id: str = Field(description="Also in `X-Request-Id` and in the logs.")


class ErrorAnswer(BaseModel):
    """How every refused request is answered."""

    error: ErrorDetail


def error_response(error: ApiError, request_id: str, *, status: int | None = None) -> JSONResponse:
    """The answer for `error`; `status` only where HTTP has a finer one than the error's type."""
    code = status or error.status
    detail = ErrorDetail(
        code=code, message=error.message, type=error.type, param=error.param, request_id=request_id
    )
    return JSONResponse({"error": detail.model_dump()}, code, headers=_headers(error))


def invalid_request(faults: Sequence[Mapping[str, Any]], fields: Sequence[str] = ()) -> InvalidRequest:
    """Pydantic's findings in plain words; `fields` are the names that the request may have."""
    names = [_name(fault["loc"]) for fault in faults]
    sentences = [_sentence(fault, name, fields) for fault, name in zip(faults, names, strict=True)]
    return InvalidRequest(" ".join(sentences[:5]), param=names[0] or None)


def add_error_handlers(app: FastAPI) -> None:
    """Let `app` answer all that is raised on purpose in the envelope."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(ClientDisconnect, _client_disconnect)


def unexpected(error: Exception) -> ApiError:
    """How an error that nobody raised on purpose is answered: without a word about what it was."""
    if isinstance(error, OperationalError | PoolTimeout):
        return Unavailable("The database can't be reached or is busy. Try again in a moment.")
    if isinstance(error, IntegrityError) and _was_deleted(error):
        return AuthenticationError("This account has been deleted.")
    if isinstance(error, SetupError):
        return Unavailable("The service is not set up right. Who runs it finds in its log what to do.")
    return InternalError(INTERNAL_MESSAGE)


def refusal_of_picture(error: TaskError) -> ApiError:
    """What is wrong with a picture, where the request that holds it is answered at once."""
    kind = PayloadTooLarge if isinstance(error, ImageTooLarge) else InvalidRequest
    return kind(error.message, param=error.param)


def error_answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How an endpoint's refusals are documented."""
    return {status: {"model": ErrorAnswer, "description": _WHEN[status]} for status in statuses}


def request_id_of(request: Request) -> str:
    """The id that the request came with or was given."""
    return str(request.state.request_id)


def _was_deleted(error: IntegrityError) -> bool:
    """Whether something was added to an account that was deleted meanwhile (revision 0009)."""
    return isinstance(error.orig, psycopg.Error) and error.orig.diag.constraint_name == "account_is_deleted"


def _headers(error: ApiError) -> dict[str, str]:
    if isinstance(error, AuthenticationError):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, RateLimited):
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, Unavailable):
        return {"Retry-After": "1"}
    return {}


def _name(location: Sequence[str | int]) -> str:
    """As a caller would write it: `swaps[1].face_image`."""
    first, *rest = location or ("",)
    parts = rest if first in _PLACES else location
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")


def _sentence(fault: Mapping[str, Any], name: str, fields: Sequence[str]) -> str:
    match fault["type"]:
        case "missing":
            return f"`{name}` is missing."
        case "extra_forbidden":
            at_top = fields and len(fault["loc"]) == 1
            known = f" Fields are {', '.join(f'`{field}`' for field in fields)}." if at_top else ""
            return f"`{name}` is not a field of this request.{known}"
        case "json_invalid" if fault["ctx"]["error"].endswith("line 1 column 0"):
            return "The body is empty. Send a JSON object."
        case "json_invalid":
            return f"The body is not valid JSON: {fault['ctx']['error']}."
        case _:
            return f"`{name}` {_plain(fault)}." if name else f"The body {_plain(fault)}."


# What Pydantic adds about how it read a value, which says nothing about what is wanted.
_OF_PARSERS = re.compile(r", (unable to|invalid ).*")


def _plain(fault: Mapping[str, Any]) -> str:
    """What is wrong with a value, as the rest of a sentence that begins with the value's name."""
    match fault["type"]:
        case "model_type" | "model_attributes_type":
            return "must be a JSON object"
        case "timezone_aware" | "datetime_type" | "datetime_parsing" | "datetime_from_date_parsing":
            return "must be a time with its zone, such as 2026-12-24T00:00:00Z"
        case "too_short":
            return f"must have at least {fault['ctx']['min_length']} in it"
        case "too_long":
            return f"must have at most {fault['ctx']['max_length']} in it"
        case "value_error":  # ours
            return str(fault["msg"]).removeprefix("Value error, ").rstrip(".")
        case _:  # "Input should be less than or equal to 10"
            return _OF_PARSERS.sub("", re.sub(r"^\w+ should ", "must ", fault["msg"]))


async def envelope(request: Request, error: ApiError) -> Response:
    """A refusal as programs get it."""
    return error_response(error, request_id_of(request))


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101 - what it's registered for
    return await envelope(request, error)


async def _http_exception(request: Request, error: Exception) -> Response:
    """What the router itself refuses."""
    assert isinstance(error, HTTPException)  # noqa: S101 - what it's registered for
    headers = dict(error.headers or {})
    match error.status_code:
        case 404:
            refusal: ApiError = NotFound("There is nothing at this address; /openapi.json lists all.")
        case 405:
            headers["Allow"] = allowed = _allowed(request) or headers.get("Allow", "another method")
            refusal = InvalidRequest(f"{request.method} is not possible at this address. Use {allowed}.")
        case 400:
            refusal = InvalidRequest(error.detail)
        case _:
            refusal = InternalError(INTERNAL_MESSAGE)
    response = error_response(refusal, request_id_of(request), status=error.status_code)
    response.headers.update(headers)
    return response


def _allowed(request: Request) -> str:
    """The methods that are possible at a documented address: each is a route of its own, and the router names
    those of one."""
    path = getattr(request.scope.get("route"), "path", None)
    operations = request.app.openapi()["paths"].get(path, {})
    return ", ".join(sorted(method.upper() for method in operations))


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what it's registered for
    return error_response(invalid_request(error.errors()), request_id_of(request))


async def _client_disconnect(request: Request, error: Exception) -> Response:
    return Response(status_code=400)  # nobody is there to read it

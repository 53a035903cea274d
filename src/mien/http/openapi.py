"""The OpenAPI document, as the service really answers."""

import functools
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from mien.http.errors import error_answers
from mien.http.sessions import CSRF_HEADER, SAFE_METHODS, cookie_name

# FastAPI's own; what is wrong in a request is answered with 400.
_NEVER = {"$ref": "#/components/schemas/HTTPValidationError"}
_SESSION = "session"

_REQUEST_ID = {
    "X-Request-Id": {"description": "Yours if you sent one, else a new one.", "schema": {"type": "string"}}
}
_LIMITS = {
    "RateLimit-Policy": {
        "description": "The limits of the account, and of the key if it has its own.",
        "schema": {"type": "string"},
        "example": '"account";q=3000;w=60, "key";q=600;w=60',
    },
    "RateLimit": {
        "description": "What is left of them, and seconds until they are whole again.",
        "schema": {"type": "string"},
        "example": '"account";r=2999;t=60, "key";r=599;t=60',
    },
}
_OF_STATUS: dict[str, dict[str, Any]] = {
    "401": {"WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}}},
    "429": {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}},
    "503": {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}},
}


def describe(app: FastAPI, public_url: str) -> None:
    """Let `/openapi.json` document every answer and nothing else. It's made when it's first asked for."""
    for route in (*app.routes, *app.webhooks.routes):
        if isinstance(route, APIRoute):
            route.operation_id = route.name
    of_fastapi = app.openapi

    @functools.cache
    def document() -> dict[str, Any]:
        return _complete(of_fastapi(), public_url)

    app.openapi = document  # type: ignore[method-assign] # as FastAPI's manual has it


def _complete(document: dict[str, Any], public_url: str) -> dict[str, Any]:
    """FastAPI's document, with what it can't know and without what never happens."""
    for path in (*document["paths"].values(), *document["webhooks"].values()):
        for method, operation in path.items():
            if _is_fastapis_own(operation["responses"].get("422", {})):
                del operation["responses"]["422"]
            if "security" in operation:
                _describe_authentication(operation, is_safe=method.upper() in SAFE_METHODS)
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                response.setdefault("headers", {}).update(_headers(operation, status))
    document["components"]["securitySchemes"][_SESSION] = {
        "type": "apiKey",
        "in": "cookie",
        "name": cookie_name(public_url),
        "description": "Of a person who is signed in. All requests but GET and HEAD also need the header "
        f"`{CSRF_HEADER}`.",
    }
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    return document


def _describe_authentication(operation: dict[str, Any], *, is_safe: bool) -> None:
    """What the middleware takes and answers before any endpoint does."""
    operation["security"].append({_SESSION: []})
    for status, answer in error_answers(401, 429, *([] if is_safe else [403])).items():
        reference = {"$ref": f"#/components/schemas/{answer['model'].__name__}"}
        documented = {
            "description": answer["description"],
            "content": {"application/json": {"schema": reference}},
        }
        operation["responses"].setdefault(str(status), documented)
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _headers(operation: dict[str, Any], status: str) -> dict[str, Any]:
    headers = dict(_REQUEST_ID)
    if "security" in operation and status != "401":
        headers |= _LIMITS
    return headers | _OF_STATUS.get(status, {})


def _is_fastapis_own(response: dict[str, Any]) -> bool:
    return any(content["schema"] == _NEVER for content in response.get("content", {}).values())

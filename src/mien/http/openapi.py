"""The OpenAPI document, as the service really answers."""

from typing import Any

from fastapi import FastAPI

_NEVER = "422"  # FastAPI's own; what is wrong in a request is answered with 400


def describe(app: FastAPI) -> None:
    """Let `/openapi.json` document every answer and nothing else."""
    document: dict[str, Any] = app.openapi()
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop(_NEVER, None)
            for response in operation["responses"].values():
                response["headers"] = {
                    "X-Request-Id": {
                        "description": "Yours if you sent one, else a new one.",
                        "schema": {"type": "string"},
                    }
                }
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)

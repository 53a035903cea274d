"""The OpenAPI document, as the service really answers."""

from typing import Any

from fastapi import FastAPI

# FastAPI's own; what is wrong in a request is answered with 400.
_NEVER = {"$ref": "#/components/schemas/HTTPValidationError"}


def describe(app: FastAPI) -> None:
    """Let `/openapi.json` document every answer and nothing else."""
    document: dict[str, Any] = app.openapi()
    for path in document["paths"].values():
        for operation in path.values():
            responses = operation["responses"]
            if _is_fastapis_own(responses.get("422", {})):
                del responses["422"]
            for response in responses.values():
                response["headers"] = {
                    "X-Request-Id": {
                        "description": "Yours if you sent one, else a new one.",
                        "schema": {"type": "string"},
                    }
                }
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


def _is_fastapis_own(response: dict[str, Any]) -> bool:
    return any(content["schema"] == _NEVER for content in response.get("content", {}).values())

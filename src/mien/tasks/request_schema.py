"""The request for a face swap as the OpenAPI document describes it, as JSON and as a form."""

from typing import Any, Final

from mien.tasks.requests import FaceSwapRequest

_FILE: Final[dict[str, Any]] = {"type": "string", "format": "binary"}


def _json_schema() -> dict[str, Any]:
    """In one piece: where it's embedded, references would lead nowhere."""
    schema = FaceSwapRequest.model_json_schema()
    definitions = schema.pop("$defs")

    def inline(node: Any) -> Any:
        match node:
            case {"$ref": str(reference)}:
                return inline(definitions[reference.removeprefix("#/$defs/")])
            case dict():
                return {name: inline(value) for name, value in node.items()}
            case list():
                return [inline(value) for value in node]
        return node

    inlined: dict[str, Any] = inline(schema)
    return inlined


def _form_schema(json_schema: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = json_schema["properties"]
    files: dict[str, dict[str, Any]] = {
        "image": _FILE,
        "face_image": _FILE,
        "face_images": {"type": "array", "items": _FILE},
        "swaps": {"type": "string", "contentMediaType": "application/json"},
        "metadata": {"type": "string", "contentMediaType": "application/json"},
    }
    return json_schema | {
        "properties": {
            name: {"description": field["description"], **files[name]} if name in files else field
            for name, field in fields.items()
        },
        "patternProperties": {
            r"^swaps\[\d\]\.face_image$": _FILE,
            r"^swaps\[\d\]\.face_images$": {"type": "array", "items": _FILE},
        },
    }


JSON_SCHEMA: Final = _json_schema()
FORM_SCHEMA: Final = _form_schema(JSON_SCHEMA)

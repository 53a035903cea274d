"""From a request's body to a checked model, be it JSON or a form with files."""

import asyncio
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile

from mien.errors import InvalidRequest, UnsupportedMediaType
from mien.http.errors import invalid_request

Model = TypeVar("Model", bound=BaseModel)

MAX_PARTS = 64


async def read_body(request: Request, model: type[Model], *, max_text: int) -> Model:
    """The request's body as `model`: strict about types in JSON, reading numbers from text in a form.

    A form's files become bytes; a text field may have up to `max_text` bytes.

    Raises `InvalidRequest` that names the field at fault, and `UnsupportedMediaType`.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        match media_type:
            case "application/json":
                body = await request.body()
                # In a thread, since a picture in a data: URI keeps a core busy for a while.
                return await asyncio.to_thread(model.model_validate_json, body, strict=True)
            case "multipart/form-data":
                fields = await _form_fields(request, max_text)
                return await asyncio.to_thread(model.model_validate, fields)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        raise invalid_request(faults, list(model.model_fields)) from None
    sent = f"has the Content-Type {media_type}" if media_type else "has no Content-Type"
    raise UnsupportedMediaType(
        f"The body {sent}. Send JSON with the header `Content-Type: application/json`, or a form as "
        "multipart/form-data (with curl: -F instead of -d)."
    )


async def _form_fields(request: Request, max_text: int) -> dict[str, str | bytes]:
    fields: dict[str, str | bytes] = {}
    async with request.form(max_files=MAX_PARTS, max_fields=MAX_PARTS, max_part_size=max_text) as form:
        for name, value in form.multi_items():
            if name in fields:
                raise InvalidRequest(f"`{name}` was sent twice. Send it once.", param=name)
            fields[name] = await value.read() if isinstance(value, UploadFile) else value
    return fields

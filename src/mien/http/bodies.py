"""From a request's body to a checked model, be it JSON or a form with files."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile

from mien.errors import InvalidRequest, UnsupportedMediaType
from mien.http.errors import invalid_request

Model = TypeVar("Model", bound=BaseModel)

Part = tuple[str, str | bytes]
"""A form's part: its name, and its text or its file's bytes."""

MAX_PARTS = 64

_QUICK = 10_000
"""Bytes of JSON that are read in less than a millisecond."""


def each_once(parts: Iterable[Part]) -> dict[str, str | bytes]:
    """The parts of a form by name. Raises `InvalidRequest` if a name comes twice."""
    fields: dict[str, str | bytes] = {}
    for name, value in parts:
        if name in fields:
            raise InvalidRequest(f"`{name}` was sent twice. Send it once.", param=name)
        fields[name] = value
    return fields


async def read_body(
    request: Request,
    model: type[Model],
    *,
    max_text: int,
    unfold: Callable[[Iterable[Part]], dict[str, Any]] = each_once,
    file_field: str | None = None,
) -> Model:
    """The request's body as `model`: strict about types in JSON, reading numbers from text in a form.

    A form's files become bytes; a text field may have up to `max_text` bytes; `unfold` makes of the parts
    what JSON would hold. A body that is a file itself is the field `file_field`, if there is one. Nothing of
    the body is kept but the model.

    Raises `InvalidRequest` that names the field at fault, and `UnsupportedMediaType`.
    """
    media_type = _media_type(request)
    with _in_plain_words(model):
        match media_type:
            case "application/json":
                return await _from_json(request, model)
            case "multipart/form-data":
                parts = await _form_parts(request, max_text)
                return await asyncio.to_thread(model.model_validate, unfold(parts))
            case _ if file_field and is_file(media_type):
                return model.model_validate({file_field: await _whole(request)})
    raise _unsupported(
        media_type,
        "JSON with the header `Content-Type: application/json`, or a form as multipart/form-data (with curl: "
        "-F instead of -d)",
    )


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """How a body that `read_json` reads is documented: an endpoint's `openapi_extra`."""
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


async def read_json(request: Request, model: type[Model]) -> Model:
    """The request's JSON as `model`, strict about types. Raises what `read_body` raises."""
    media_type = _media_type(request)
    if media_type != "application/json":
        raise _unsupported(media_type, "JSON with the header `Content-Type: application/json`")
    with _in_plain_words(model):
        return await _from_json(request, model)


def is_file(media_type: str) -> bool:
    """Whether a body of this type is a picture's file itself."""
    return media_type.startswith("image/") or media_type == "application/octet-stream"


async def _whole(request: Request) -> bytes:
    return b"".join([chunk async for chunk in request.stream()])


async def _from_json(request: Request, model: type[Model]) -> Model:
    body = await _whole(request)
    if len(body) < _QUICK:
        return model.model_validate_json(body, strict=True)
    # In a thread, since a picture in a data: URI keeps a core busy for a while.
    return await asyncio.to_thread(model.model_validate_json, body, strict=True)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _unsupported(media_type: str, wanted: str) -> UnsupportedMediaType:
    sent = f"has the Content-Type {media_type}" if media_type else "has no Content-Type"
    return UnsupportedMediaType(f"The body {sent}. Send {wanted}.")


@contextmanager
def _in_plain_words(model: type[BaseModel]) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        raise invalid_request(faults, list(model.model_fields)) from None


async def _form_parts(request: Request, max_text: int) -> list[Part]:
    async with request.form(max_files=MAX_PARTS, max_fields=MAX_PARTS, max_part_size=max_text) as form:
        return [
            (name, await value.read() if isinstance(value, UploadFile) else value)
            for name, value in form.multi_items()
        ]

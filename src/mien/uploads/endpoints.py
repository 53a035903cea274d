"""The endpoints of uploads."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

from fastapi import APIRouter, Depends, Request, Response
from starlette.datastructures import UploadFile

from mien.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType
from mien.http.bodies import is_file
from mien.http.dependencies import AccountId, Shared, bearer
from mien.http.errors import error_answers
from mien.uploads import service
from mien.uploads.schemas import UploadAnswer, upload_answer

UPLOADS = "/api/v1/uploads"
FORM_OVERHEAD = 16_000
"""Bytes that a form has beside its file."""

router = APIRouter(tags=["uploads"], dependencies=[Depends(bearer)])

_FIELD = "file"
_IN_MEMORY = 2**20  # bytes of one body; the rest of it goes to a temporary file
_FILE: dict[str, Any] = {"type": "string", "format": "binary"}
_FORM = {
    "type": "object",
    "properties": {_FIELD: {"description": "The picture.", **_FILE}},
    "required": [_FIELD],
    "additionalProperties": False,
}


@router.post(
    UPLOADS,
    summary="Upload a picture",
    response_description="The picture has been stored.",
    responses=error_answers(400, 401, 408, 413, 415, 429, 500, 503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": _FORM},
                "image/*": {"schema": _FILE},
                "application/octet-stream": {"schema": _FILE},
            },
        }
    },
)
async def create_upload(request: Request, shared: Shared, account_id: AccountId) -> UploadAnswer:
    """Keep a picture for a while, to be used in tasks by its address; only the same account can."""
    async with _received(request, shared.settings.max_image_bytes) as file:
        upload = await service.create(shared, account_id, file)
    return upload_answer(shared, upload)


@router.delete(
    f"{UPLOADS}/{{upload_id}}",
    status_code=204,
    summary="Delete an upload",
    response_description="It is gone. Tasks that were created with it aren't touched.",
    responses=error_answers(401, 404, 413, 429, 500, 503),
)
async def delete_upload(shared: Shared, account_id: AccountId, upload_id: str) -> Response:
    """Delete an upload before it expires."""
    await service.delete(shared, account_id, upload_id)
    return Response(status_code=204)


@asynccontextmanager
async def _received(request: Request, max_bytes: int) -> AsyncIterator[BinaryIO]:
    """The picture in the body, as a file that is on disk if it's large, and gone afterwards."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        async with request.form(max_files=1, max_fields=1) as form:
            yield _only_file([*form.multi_items()])
    elif is_file(media_type):
        spool = cast(BinaryIO, SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115 - `received` closes it
        received = UploadFile(spool, size=0)  # which writes to the disk in a thread
        try:
            async for chunk in request.stream():
                await received.write(chunk)
                if received.size and received.size > max_bytes:
                    raise PayloadTooLarge(
                        f"The picture is larger than {max_bytes / 1e6:g} MB. Send a smaller or more strongly "
                        "compressed one."
                    )
            await received.seek(0)
            yield received.file
        finally:
            await received.close()
    else:
        sent = f"has the Content-Type {media_type}" if media_type else "has no Content-Type"
        raise UnsupportedMediaType(
            f"The body {sent}. Send the picture itself with its type (`Content-Type: image/jpeg`), or a form "
            f"with the part `{_FIELD}` as multipart/form-data (with curl: -F {_FIELD}=@picture.jpg)."
        )


def _only_file(parts: list[tuple[str, UploadFile | str]]) -> BinaryIO:
    for name, value in parts:
        if name != _FIELD:
            raise InvalidRequest(
                f"`{name}` is not a field of this request. Send one part, `{_FIELD}`.", param=name
            )
        if not isinstance(value, UploadFile):
            raise InvalidRequest(f"`{_FIELD}` must be a file, not text.", param=_FIELD)
        return value.file
    raise InvalidRequest(f"`{_FIELD}` is missing.", param=_FIELD)

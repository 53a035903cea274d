"""The endpoints of the do-not-swap list, for everybody: no key is needed to protect one's own face."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Protocol
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request, Response

from mien.errors import TaskError
from mien.http.bodies import read_body
from mien.http.clients import ClientAddress
from mien.http.dependencies import RequestId, Shared, path_id
from mien.http.errors import error_answers, refusal_of_picture
from mien.safety import registry
from mien.safety.schemas import DoNotSwapRequest, NewListedFaceAnswer, body_of, unfold

DO_NOT_SWAP = "/api/v1/do-not-swap"
OPEN_PATHS = frozenset({DO_NOT_SWAP, f"{DO_NOT_SWAP}/"})
"""Those that need neither key nor session; what ends in a slash stands for all below it."""

router = APIRouter(tags=["do-not-swap list"])

FaceId = Annotated[UUID, path_id("face_id", registry.no_such_face)]


class FaceReader(Protocol):
    """Looks at pictures in processes of their own: `mien.detection` does."""

    def place(self) -> AbstractAsyncContextManager[None]: ...

    async def identify(self, picture: bytes, *, log: dict[str, str]) -> bytes: ...


async def _reader(request: Request) -> FaceReader:
    reader: FaceReader = request.app.state.detectors
    return reader


Reader = Annotated[FaceReader, Depends(_reader)]


async def read_face(reader: FaceReader, pictures: Sequence[bytes], request_id: str) -> bytes:
    """The packed embedding of the face on all of the pictures.

    Raises `InvalidRequest` and `PayloadTooLarge` for the picture at fault, and `Unavailable`.
    """
    from mien.safety.likeness import combine  # an API process that is never asked needs no arrays

    log = {"request_id": request_id}
    try:
        async with reader.place():
            return combine(
                [await _identify(reader, number, picture, log) for number, picture in enumerate(pictures)]
            )
    except TaskError as error:
        error.param = f"images[{error.picture}]"
        raise refusal_of_picture(error) from None


async def _identify(reader: FaceReader, number: int, picture: bytes, log: dict[str, str]) -> bytes:
    try:
        return await reader.identify(picture, log=log)
    except TaskError as error:
        error.picture = number
        raise


@router.post(
    DO_NOT_SWAP,
    summary="Register your face",
    response_description="The face is on the list. The secret that takes it off is shown only now.",
    responses=error_answers(400, 403, 408, 413, 415, 429, 500, 503),
    openapi_extra=body_of(DoNotSwapRequest),
)
async def register_face(
    request: Request,
    response: Response,
    shared: Shared,
    reader: Reader,
    client: ClientAddress,
    request_id: RequestId,
) -> NewListedFaceAnswer:
    """Have swaps of your face, and onto it, refused.

    The pictures are forgotten at once: only numbers that stand for the face are kept. Needs no key.
    """
    wanted = await read_body(
        request, DoNotSwapRequest, max_text=shared.settings.max_body_bytes, unfold=unfold
    )
    await registry.admit(shared, client)
    registered = await registry.register(shared, await read_face(reader, wanted.images, request_id))
    response.headers["Cache-Control"] = "no-store"
    return NewListedFaceAnswer.of(registered)


@router.delete(
    f"{DO_NOT_SWAP}/{{face_id}}",
    status_code=204,
    summary="Remove your face",
    response_description="The face is off the list, and nothing of it is kept.",
    responses=error_answers(400, 403, 404, 413, 429, 500, 503),
)
async def remove_face(
    shared: Shared,
    client: ClientAddress,
    face_id: FaceId,
    removal_secret: Annotated[
        str,
        Header(
            alias="X-Removal-Secret",
            min_length=1,
            max_length=100,
            description="`removal_secret`, as it was shown when the face was registered.",
        ),
    ],
) -> Response:
    """Take your face off the list again. Needs no key, but the secret."""
    await registry.remove(shared, face_id, removal_secret, client=client)
    return Response(status_code=204)

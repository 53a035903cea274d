"""What is sent and answered about the do-not-swap list and the trail."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from mien.errors import ImageInvalid
from mien.http.answers import Answer
from mien.http.bodies import Part, each_once
from mien.http.moments import Moment
from mien.images.data_uri import decode_data_uri
from mien.safety.models import ListedFace, TrailEntry
from mien.safety.registry import Registered

MAX_PICTURES = 5
"""Of one person, at once."""

EXAMPLE_ID = "0f8b6a52-6f0e-4d0c-9a35-6f3c1de1f0a7"
EXAMPLE_SECRET = "Zm9yIGV4YW1wbGUsIDI1NiByYW5kb20gYml0cyBoZXJl"  # noqa: S105
EXAMPLE_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def _picture(value: object) -> bytes:
    """The bytes of a picture that came along. Addresses aren't fetched for people without a key."""
    if isinstance(value, str):
        try:
            return decode_data_uri(value, max_bytes=len(value))
        except ImageInvalid as error:
            raise ValueError(error.message.removeprefix("The picture ")) from None
    if not isinstance(value, bytes) or not value:
        raise ValueError("must be a data: URI or, in a form, a file")
    return value


Picture = Annotated[
    bytes,
    PlainValidator(_picture),
    WithJsonSchema({"type": "string", "pattern": r"^[Dd][Aa][Tt][Aa]:[^\x00]*$"}),
]


class DoNotSwapRequest(BaseModel):
    """Registers a face that isn't to be swapped."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"images": ["data:image/jpeg;base64,/9j/4AAQSkZJRg=="]}]},
    )

    images: Annotated[list[Picture], Field(min_length=1, max_length=MAX_PICTURES)] = Field(
        description=f"1 to {MAX_PICTURES} pictures that show one person and nobody else, as `data:` URIs or, "
        "in a form, files. With three the face is found again far more often than with one."
    )


class DoNotSwapAddition(DoNotSwapRequest):
    """Registers somebody's face, as the operator."""

    note: Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")] = Field(
        default="", description="For yourself, such as who asked for it."
    )


def unfold(parts: Iterable[Part]) -> dict[str, Any]:
    """A form's parts as JSON would have them: `images` may come several times."""
    parts = list(parts)
    fields: dict[str, Any] = dict(each_once(part for part in parts if part[0] != "images"))
    images = [value for name, value in parts if name == "images"]
    return fields | ({"images": images} if images else {})


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """How a body of `model` is documented: an endpoint's `openapi_extra`."""
    schema = model.model_json_schema()
    images = schema["properties"]["images"]
    files = images | {"items": {"type": "string", "format": "binary"}}
    form = schema | {"properties": schema["properties"] | {"images": files}}
    form.pop("examples", None)
    content = {"application/json": {"schema": schema}, "multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


class NewListedFace(BaseModel):
    face_id: UUID = Field(examples=[EXAMPLE_ID])
    removal_secret: str = Field(
        description="Takes the face off the list again. It's shown only now.", examples=[EXAMPLE_SECRET]
    )
    created_at: datetime


class NewListedFaceAnswer(Answer[NewListedFace]):
    """The face is on the list."""

    @classmethod
    def of(cls, registered: Registered) -> Self:
        face = registered.face
        return cls(
            data=NewListedFace(face_id=face.id, removal_secret=registered.secret, created_at=face.created_at)
        )


class Listed(BaseModel):
    """A face on the list. Nobody is shown more of it."""

    face_id: UUID = Field(examples=[EXAMPLE_ID])
    by_operator: bool = Field(description="Whether the operator put it there, or somebody themselves.")
    note: str = Field(description="The operator's.")
    created_at: datetime


class ListedPage(BaseModel):
    faces: list[Listed] = Field(description="The newest first.")
    next_cursor: str | None = Field(description="The next page's `cursor`; null on the last one.")


class ListedPageAnswer(Answer[ListedPage]):
    """A page of the do-not-swap list."""


def listed_data(face: ListedFace) -> Listed:
    return Listed(face_id=face.id, by_operator=face.by_operator, note=face.note, created_at=face.created_at)


class TrailQuery(BaseModel):
    """Which entries are wanted."""

    model_config = ConfigDict(extra="forbid")

    since: Moment | None = Field(
        default=None, description="Tasks that ended then or later, such as `2026-12-24T00:00:00Z`."
    )
    until: Moment | None = Field(default=None, description="Tasks that ended before.")
    account_id: UUID | None = Field(default=None, description="Of this account, also of a deleted one.")
    task_id: Annotated[str, Field(max_length=64, pattern=r"^[0-9a-z_]*$")] | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        default=None, description="Of a result, or of a picture that went in."
    )
    client: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="The address that somebody asked from; an IPv6 one by its /64 network."
    )
    limit: Annotated[int, Field(ge=1, le=100)] = Field(default=20, description="How many at most.")
    cursor: Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="`next_cursor` of the page before."
    )


class TrailPicture(BaseModel):
    field: str = Field(description="Of the request.", examples=["image", "face_images[0]"])
    sha256: str = Field(examples=[EXAMPLE_SHA256])


class Entry(BaseModel):
    """How a task ended, for whom, and with which pictures."""

    task_id: str
    account_id: UUID
    key_id: UUID | None = Field(description="Null if it was created in a browser.")
    request_id: str
    client: str | None = Field(description="A keyed hash of the address that it was asked from.")
    consent: str | None = Field(description="As it was sent.")
    pictures: list[TrailPicture] = Field(description="Those that were fetched.")
    outcome: Literal["completed", "failed", "canceled"]
    error: str | None = Field(description="The error's type.")
    result_sha256: str | None
    created_at: datetime
    ended_at: datetime


class TrailPage(BaseModel):
    entries: list[Entry] = Field(description="What ended last comes first.")
    next_cursor: str | None = Field(description="The next page's `cursor`; null on the last one.")


class TrailPageAnswer(Answer[TrailPage]):
    """A page of the trail."""


def entry_data(entry: TrailEntry) -> Entry:
    values = {name: getattr(entry, name) for name in Entry.model_fields}
    return Entry.model_validate(values | {"client": entry.client.hex() if entry.client else None})

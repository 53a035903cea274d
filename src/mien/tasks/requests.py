"""What a request for a face swap may hold, and what of it a task's row keeps."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from mien.errors import ImageInvalid, InvalidRequest
from mien.images.data_uri import decode_data_uri
from mien.images.headers import OutputFormat
from mien.marks.choices import ExifPolicy, Language

MAX_ADDRESS: Final = 4096  # characters
MAX_FACE_PICTURES: Final = 20
"""Pictures of faces in one request: each is held in memory while its task is done."""
MAX_METADATA: Final = 4096  # bytes of JSON
MAX_CONSENT: Final = 500  # characters
MAX_INDEX: Final = 10

_ADDRESS = r"[Hh][Tt][Tt][Pp][Ss]?://[^\s\x00-\x1f/?#][^\s\x00-\x1f]*"
_PICTURE_PATTERN = rf"^({_ADDRESS}|[Dd][Aa][Tt][Aa]:[^\x00]*)$"


def _picture(value: object) -> str | bytes:
    """A picture's address, or its bytes if they came along."""
    if not isinstance(value, str | bytes):
        raise ValueError("must be a string: an http(s) address or a data: URI")
    if isinstance(value, str) and value[:5].lower() == "data:":
        try:
            value = decode_data_uri(value, max_bytes=len(value))  # its size is checked with that of files
        except ImageInvalid as error:
            raise ValueError(error.message.removeprefix("The picture ")) from None
    if not value:
        raise ValueError("is empty. Send an http(s) address, a data: URI or, in a form, a file")
    if isinstance(value, str) and not _is_address(value):
        raise ValueError("must be an http(s) address, a data: URI or, in a form, a file")
    if isinstance(value, str) and len(value) > MAX_ADDRESS:
        raise ValueError(f"is an address of more than {MAX_ADDRESS} characters")
    return value


def _is_address(value: str) -> bool:
    try:
        return bool(re.fullmatch(_ADDRESS, value) and urlsplit(value).port != 0)
    except ValueError:  # a port that is no number, or half an IPv6 address
        return False


def _callback(value: str) -> str:
    if not _is_address(value):
        raise ValueError("must be an http(s) address")
    return value


def _metadata(value: dict[str, str]) -> dict[str, str]:
    if len(json.dumps(value, ensure_ascii=False).encode()) > MAX_METADATA:
        raise ValueError(
            f"has more than {MAX_METADATA} bytes of JSON. Keep the rest with you, by the task's id"
        )
    for pair in value.items():
        for text in pair:
            _storable(text)
    return value


def _storable(value: str) -> str:
    if "\0" in value:
        raise ValueError("holds the character U+0000, which can't be stored")
    return value


def _consent(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty. Say in a few words how those who are shown have agreed")
    return _storable(value.strip())


Picture = Annotated[
    str | bytes, PlainValidator(_picture), WithJsonSchema({"type": "string", "pattern": _PICTURE_PATTERN})
]
FacePictures = Annotated[list[Picture], Field(min_length=1, max_length=5)]
Index = Annotated[int, Field(ge=0, le=MAX_INDEX)]

_FACE_IMAGE = "The picture whose face is put in; given as `image` is."
_FACE_IMAGES = "Up to 5 pictures of one person, instead of `face_image`: more views make a better likeness."
_FACE_INDEX = "Which face of these pictures is put in: 0 is the largest."


class SwapRequested(BaseModel):
    """One of several faces that are changed on the same picture."""

    model_config = ConfigDict(extra="forbid")

    target_index: Index = Field(description="Which face of `image` is changed; a face is changed once.")
    face_image: Picture | None = Field(default=None, description=_FACE_IMAGE)
    face_images: FacePictures | None = Field(default=None, description=_FACE_IMAGES)
    face_index: Index = Field(default=0, description=_FACE_INDEX)


class FaceSwapRequest(BaseModel):
    """Puts the face of one picture onto a face of another.

    Says what contradicts itself with `InvalidRequest`.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "model": "face-swap",
                    "image": "https://example.com/target.jpg",
                    "face_image": "https://example.com/face.jpg",
                    "target_index": 0,
                    "output_format": "png",
                }
            ]
        },
    )

    model: Literal["face-swap"] = Field(description="Always `face-swap`.")
    image: Picture = Field(
        description="The picture to change: an http(s) address or a `data:` URI; in a form also a file."
    )
    face_image: Picture | None = Field(default=None, description=_FACE_IMAGE)
    target_index: Index = Field(
        default=0, description="Which face of `image` is changed: 0 is the largest, by the area of its box."
    )
    output_format: OutputFormat = Field(default="png", description="Format of the result.")
    face_images: FacePictures | None = Field(default=None, description=_FACE_IMAGES)
    face_index: Index = Field(default=0, description=_FACE_INDEX)
    swaps: Annotated[list[SwapRequested], Field(min_length=1, max_length=10)] | None = Field(
        default=None,
        description="Several faces of `image`, each with a face of its own; instead of `face_image`, "
        "`face_images`, `target_index` and `face_index`.",
    )
    quality: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None, description="Of a `jpg` (95 if not given) or `webp` (90) result."
    )
    max_size: Annotated[int, Field(ge=32, le=16_384)] | None = Field(
        default=None, description="Longest side of the result in pixels: a larger one is made smaller."
    )
    label: bool = Field(
        default=False, description="Whether a small visible label says what the result is, away from faces."
    )
    label_language: Language | None = Field(
        default=None, description="Of the label: that of those who will see it; `en` if not given."
    )
    exif: ExifPolicy = Field(
        default="drop",
        description="Whether the result keeps what the camera wrote into `image`: `drop`, `keep` without the "
        "place and what names its owner, or `keep-with-gps` with the place.",
    )
    consent: Annotated[str, Field(max_length=MAX_CONSENT), AfterValidator(_consent)] | None = Field(
        default=None,
        description="How the people who are shown have agreed, in your words, such as the number of a "
        "release. It's kept with the task. The operator may require it.",
    )
    metadata: Annotated[dict[str, str], AfterValidator(_metadata)] | None = Field(
        default=None, description="Texts of your own, up to 4 kB; the task gives them back."
    )
    callback_url: Annotated[str, Field(max_length=MAX_ADDRESS), AfterValidator(_callback)] | None = Field(
        default=None, description="Where a signed webhook is sent when the task has ended."
    )

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.swaps is None:
            _check_faces(self, "")
        else:
            self._check_swaps(self.swaps)
        if len(self.pictures()) - 1 > MAX_FACE_PICTURES:
            raise InvalidRequest(
                f"The request has more than {MAX_FACE_PICTURES} pictures of faces. Send fewer.", param="swaps"
            )
        if self.quality is not None and self.output_format == "png":
            raise InvalidRequest(
                "`quality` does nothing to a PNG, which is lossless. Leave it out, or set `output_format` to "
                "`jpg` or `webp`.",
                param="quality",
            )
        if self.label_language is not None and not self.label:
            raise InvalidRequest(
                "`label_language` does nothing without a label. Leave it out, or set `label` to true.",
                param="label_language",
            )
        return self

    def _check_swaps(self, swaps: Sequence[SwapRequested]) -> None:
        for name in ("face_image", "face_images", "target_index", "face_index"):
            if name in self.model_fields_set:
                raise InvalidRequest(
                    f"`{name}` and `swaps` can't be sent together. Move `{name}` into `swaps`.", param=name
                )
        for number, swap in enumerate(swaps):
            _check_faces(swap, f"swaps[{number}].")
            if swap.target_index in [earlier.target_index for earlier in swaps[:number]]:
                name = f"swaps[{number}].target_index"
                raise InvalidRequest(
                    f"`{name}` is {swap.target_index}, as that of an earlier swap. Change each face once.",
                    param=name,
                )

    @property
    def faces(self) -> int:
        """How many faces are changed, which is what is paid for."""
        return len(self.swaps) if self.swaps else 1

    def pictures(self) -> dict[str, str | bytes]:
        """All pictures, by the request's field that each came in: `image`, `swaps[1].face_images[0]`."""
        found = {"image": self.image}
        for prefix, swap in self._swaps():
            found.update(_face_pictures(swap, prefix))
        return found

    def parameters(self) -> dict[str, Any]:
        """What a task's row keeps: model, output_format, quality, max_size, the label's language (or null
        for none), exif, and swaps, each with target_index, face_index and the fields that its pictures came
        in."""
        return {
            "model": self.model,
            "output_format": self.output_format,
            "quality": self.quality,
            "max_size": self.max_size,
            "label": (self.label_language or "en") if self.label else None,
            "exif": self.exif,
            "swaps": [
                {
                    "target_index": swap.target_index,
                    "face_index": swap.face_index,
                    "pictures": list(_face_pictures(swap, prefix)),
                }
                for prefix, swap in self._swaps()
            ],
        }

    def fingerprint(self) -> bytes:
        """The same for all requests that ask for the same, however they were sent."""
        asked: Mapping[str, Any] = {
            "parameters": self.parameters(),
            "consent": self.consent,
            "metadata": self.metadata or {},
            "callback_url": self.callback_url,
            "pictures": {
                field: picture if isinstance(picture, str) else hashlib.sha256(picture).hexdigest()
                for field, picture in self.pictures().items()
            },
        }
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).digest()

    def _swaps(self) -> Iterator[tuple[str, "SwapRequested | FaceSwapRequest"]]:
        """Each swap with what the names of its fields begin with."""
        if self.swaps is None:
            yield "", self
        else:
            for number, swap in enumerate(self.swaps):
                yield f"swaps[{number}].", swap


def _face_pictures(swap: SwapRequested | FaceSwapRequest, prefix: str) -> dict[str, str | bytes]:
    if swap.face_images is not None:
        return {f"{prefix}face_images[{n}]": picture for n, picture in enumerate(swap.face_images)}
    assert swap.face_image is not None  # noqa: S101 - _check_faces
    return {f"{prefix}face_image": swap.face_image}


def _check_faces(swap: SwapRequested | FaceSwapRequest, prefix: str) -> None:
    one, several = f"{prefix}face_image", f"{prefix}face_images"
    if swap.face_image is None and swap.face_images is None:
        raise InvalidRequest(f"`{one}` is missing.", param=one)
    if swap.face_image is not None and swap.face_images is not None:
        raise InvalidRequest(
            f"`{one}` and `{several}` can't be sent together. Move `{one}` into `{several}`.", param=several
        )

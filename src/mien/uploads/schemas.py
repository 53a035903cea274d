"""What is answered about uploads."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from mien.http.answers import Answer
from mien.resources import Resources
from mien.storage.addresses import signed_path
from mien.uploads.models import Upload

EXAMPLE_ID = "0b9c4f7d2a6e4d5b8c1f3a7e9d2b4c6f_upload"
EXAMPLE_ADDRESS = (
    f"https://swap.example.com/files/1798156800/Zm9yIGV4YW1wbGU/uploads/{EXAMPLE_ID}/picture.jpg"
)


class UploadData(BaseModel):
    upload_id: str = Field(examples=[EXAMPLE_ID])
    image_url: str = Field(
        description="The address to name as `image` or `face_image`, with a key of the same account, until "
        "`expires_at`.",
        examples=[EXAMPLE_ADDRESS],
    )
    format: Literal["jpg", "png", "webp", "avif", "heic"]
    width: int = Field(description="Pixels; of AVIF and HEIC as they are stored, before they are turned.")
    height: int = Field(description="Pixels; of AVIF and HEIC as they are stored, before they are turned.")
    bytes: int
    sha256: str = Field(description="Of the file, in hexadecimal digits.")
    expires_at: datetime


class UploadAnswer(Answer[UploadData]):
    """The picture has been stored."""


def upload_answer(resources: Resources, upload: Upload) -> UploadAnswer:
    path = signed_path(upload.key, upload.expires_at, resources.secret)
    return UploadAnswer(
        data=UploadData.model_validate(
            {
                "upload_id": upload.id,
                "image_url": resources.settings.public_url + path,
                "format": upload.format,
                "width": upload.width,
                "height": upload.height,
                "bytes": upload.bytes,
                "sha256": upload.sha256,
                "expires_at": upload.expires_at,
            }
        )
    )

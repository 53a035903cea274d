"""What a request to find faces holds, and what is answered."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from mien.http.answers import Answer
from mien.tasks.requests import Picture

EXAMPLE_ADDRESS = (
    "https://swap.example.com/files/1798074000/Zm9yIGV4YW1wbGU/annotated/"
    "3d5c7b9a1f2e4d6c8b0a9f8e7d6c5b4a/faces.jpg"
)


class FaceDetectRequest(BaseModel):
    """Finds the faces of one picture."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"image": "https://example.com/target.jpg", "annotate": True}]},
    )

    image: Picture = Field(
        description="The picture: an http(s) address or a `data:` URI; in a form also a file."
    )
    annotate: bool = Field(
        default=False, description="Whether a copy of the picture with numbered boxes is wanted, too."
    )


class FaceSize(BaseModel):
    """Pixels."""

    width: float = Field(description="Of the box.")
    height: float = Field(description="Of the box.")
    eye_distance: float = Field(description="Between the outer corners of the eyes.")


class FaceFound(BaseModel):
    index: int = Field(description="The number that `target_index` and `face_index` take.")
    box: tuple[float, float, float, float] = Field(
        description="Left, top, right and bottom, in pixels from the upper left of the upright picture."
    )
    score: float = Field(description="How sure the detector is, up to 1.")
    landmarks_count: int = Field(description="Points of the face that were found.")
    yaw: float = Field(description="Degrees; positive when the nose points to the picture's right.")
    pitch: float = Field(description="Degrees; positive when the nose points up.")
    roll: float = Field(description="Degrees; positive when the head leans clockwise.")
    size: FaceSize
    usable: bool = Field(description="Whether it can be swapped.")
    problem: str | None = Field(description="Why not, in plain words; null if it can.")


class Annotated(BaseModel):
    """The picture with numbered boxes, as JPEG: those of usable faces are green, others red."""

    image_url: str = Field(
        description="Where it can be read, without a key, until `expires_at`.", examples=[EXAMPLE_ADDRESS]
    )
    expires_at: datetime


class FacesData(BaseModel):
    width: int = Field(description="Pixels of the upright picture.")
    height: int = Field(description="Pixels of the upright picture.")
    faces: list[FaceFound] = Field(description="Largest first; may be empty.")
    annotated: Annotated | None = Field(description="Null unless it was asked for.")


class FacesAnswer(Answer[FacesData]):
    """The faces of a picture."""

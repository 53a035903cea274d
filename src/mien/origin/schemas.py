"""What a request to check a picture's origin holds, and what is answered."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mien.http.answers import Answer
from mien.marks.choices import SignatureState
from mien.tasks.requests import Picture

Verdict = Literal["this_service", "mien", "claimed", "no_evidence"]


class CheckOriginRequest(BaseModel):
    """Looks for the marks that Mien puts into its results."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"image": "https://example.com/picture.jpg"}]}
    )

    image: Picture = Field(
        description="The picture: an http(s) address or a `data:` URI; in a form also a file."
    )


class SignatureFound(BaseModel):
    """The C2PA manifest that came with the file, whoever wrote it."""

    state: SignatureState = Field(
        description="`valid`: nothing has changed since it was signed, by somebody who is trusted. "
        "`untrusted`: nothing has changed, but who signed isn't known. `invalid`: something has changed. "
        "`absent`: there is none."
    )
    own: bool = Field(description="Whether this service signed it.")
    names_mien: bool = Field(description="Whether it says that Mien made the picture.")
    time_stamped: bool = Field(description="Whether a time-stamp authority that is trusted says when.")


class WatermarkFound(BaseModel):
    """A watermark in the pixels. A picture that went through several swaps may have several."""

    own: bool = Field(
        description="Whether it's made with the key of this service; else with none, as anybody can."
    )
    chance: float = Field(
        description="At most so likely is it that a picture without a watermark looks as if it had one this "
        "clear: 0.0000001 or less.",
        examples=[1e-30],
    )
    task_found: bool = Field(description="Whether this service still knows the task that it belongs to.")


class OriginData(BaseModel):
    verdict: Verdict = Field(
        description="`this_service`: made here, by its signature or its watermark. `mien`: made with Mien, "
        "by a signature that is trusted or a watermark without a key. `claimed`: the file says so, as "
        "anybody can write. `no_evidence`: nothing says so, which proves nothing."
    )
    made_at: datetime | None = Field(description="When it was made, as far as anything tells.")
    signature: SignatureFound
    metadata: bool = Field(description="Whether the file's XMP names Mien.")
    watermarks: list[WatermarkFound] = Field(description="The clearest first; mostly none or one.")
    task_id: str | None = Field(
        description="The task that made it here, if it's your own or you're an administrator; else null."
    )


class OriginAnswer(Answer[OriginData]):
    """Where a picture comes from."""

"""Detector processes as an API process sees them."""

from dataclasses import dataclass
from typing import Any

from mien.tasks.inspectors import Inspectors


@dataclass(frozen=True)
class Found:
    picture: dict[str, Any]
    """width, height, and faces in their order, without their indexes"""
    annotated: bytes | None
    """A JPEG file."""


class Detectors(Inspectors):
    """They find the faces of pictures."""

    module = "mien.detection.process"

    async def detect(self, picture: bytes, *, annotate: bool, log: dict[str, str]) -> Found:
        """The faces of the file `picture`. Raises what `ask` raises."""
        head, blobs = await self.ask({"identify": False, "annotate": annotate}, picture, log)
        return Found(head["found"], blobs[0] if blobs else None)

    async def identify(self, picture: bytes, *, log: dict[str, str]) -> bytes:
        """Whose face the file `picture` shows: an embedding, as `mien.safety.likeness.pack` packs it.

        Raises `NoFaceFound`, `FaceUnusable` for a face that isn't clear or isn't the only one, and what `ask`
        raises.
        """
        _, (embedding,) = await self.ask({"identify": True}, picture, log)
        return embedding

"""Did Mien make this picture? What its signature, its metadata and its pixels say."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mien.images.codec import decode
from mien.images.headers import DecodeLimits
from mien.marks import metadata, provenance, watermark
from mien.marks.certificates import NOBODY, Trust
from mien.marks.choices import SignatureState
from mien.marks.watermark import Watermark


@dataclass(frozen=True)
class Origin:
    """What is known about where a picture comes from; nothing about whom it shows or who asked for it.

    `signature` is of the file's manifest, whoever wrote it; `signed_here` says that it's this service's own.
    `manifest` and `metadata` say that they name Mien: both can be forged by anybody, unless the signature is
    valid or made here. `watermarks` are the tags in the pixels, the clearest first, several if the picture
    went through several swaps. `task_id` and `when` are the manifest's or else the metadata's word,
    `time_stamped` a time-stamp authority's; who has the tasks finds them by `watermarks`, too.
    """

    signature: SignatureState
    signed_here: bool
    manifest: bool
    metadata: bool
    watermarks: tuple[Watermark, ...]
    task_id: str | None
    when: datetime | None
    time_stamped: bool = False

    @property
    def made_by_mien(self) -> bool:
        """Whether anything says so."""
        return self.manifest or self.metadata or bool(self.watermarks)


def check(
    data: bytes,
    *,
    trust: Trust = NOBODY,
    watermark_keys: Sequence[bytes] = (b"",),
    limits: DecodeLimits | None = None,
) -> Origin:
    """Return what the picture file `data` tells about its origin. Takes up to a few seconds of one core.

    A watermark's `key` is its number in `watermark_keys`; the empty key is everybody's.
    Raises `ImageInvalid` and `ImageTooLarge`. Nothing is fetched from anywhere.
    """
    pixels = decode(data, limits).rgb
    history = provenance.read(data, trust)
    statement = metadata.read_statement(data)
    stated = statement is not None and statement.creator_tool.startswith(f"{metadata.SOFTWARE} ")
    return Origin(
        signature=history.state,
        signed_here=history.signed_here,
        manifest=history.made_by_mien,
        metadata=stated,
        watermarks=watermark.find(pixels, watermark_keys),
        task_id=history.task_id or (statement.task_id if statement and stated else None),
        when=history.when,
        time_stamped=history.time_stamped,
    )

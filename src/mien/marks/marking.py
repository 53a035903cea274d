"""Everything that makes a result honest, in one go: from pixels to the bytes that leave."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from mien.images.codec import encode
from mien.images.headers import OutputFormat
from mien.marks import metadata, watermark
from mien.marks.choices import ExifPolicy
from mien.marks.label import Box, draw_label
from mien.marks.provenance import Signer, sign
from mien.marks.tags import tag_of


@dataclass(frozen=True)
class Marks:
    """Which marks a result gets. `label` is the visible label's text in the viewer's language; `signing` is
    None to leave the manifest out; `watermark_key` keeps others from reading, forging or erasing watermarks.
    """

    watermark: bool = True
    watermark_key: bytes = field(default=b"", repr=False)
    label: str | None = None
    xmp: bool = True
    exif: ExifPolicy = "drop"
    signing: Signer | None = None
    thumbnails: bool = False


@dataclass(frozen=True)
class Making:
    """How a result came about: which task, when, by which version, from which files. `exif` is the target's,
    as `mien.images.codec.decode` gives it."""

    task_id: str
    when: datetime
    version: str
    target: bytes
    faces: Sequence[bytes]
    exif: bytes = b""


def mark(
    rgb: NDArray[np.uint8],
    format: OutputFormat,
    making: Making,
    marks: Marks,
    *,
    alpha: NDArray[np.uint8] | None = None,
    quality: int | None = None,
    face_boxes: Sequence[Box] = (),
) -> bytes:
    """Mark and encode `uint8[H, W, 3]` RGB with `uint8[H, W]` alpha if given.

    Pixels come first, since the manifest is bound to them: the label, and the watermark over it. `face_boxes`
    (x0, y0, x1, y1) is what the label keeps away from. Raises `SetupError` if signing fails.
    """
    if marks.label:
        rgb, alpha = draw_label(rgb, alpha, marks.label, face_boxes)
    if marks.watermark:
        rgb = watermark.embed(rgb, tag_of(making.task_id), marks.watermark_key)

    data = encode(rgb, format, alpha=alpha, quality=quality)

    height, width = rgb.shape[:2]
    data = metadata.insert(
        data,
        format,
        xmp=metadata.xmp_packet(making.version, making.task_id) if marks.xmp else b"",
        exif=metadata.kept_exif(making.exif, marks.exif, width, height),
    )
    if marks.signing:
        data = sign(
            data,
            format,
            target=making.target,
            faces=making.faces,
            task_id=making.task_id,
            when=making.when,
            version=making.version,
            signer=marks.signing,
            watermarked=marks.watermark,
            thumbnails=marks.thumbnails,
        )
    return data

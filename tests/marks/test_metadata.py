"""XMP and EXIF in the files that leave, read by Pillow as other programs would."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mien.images.codec import decode, encode
from mien.images.headers import OutputFormat
from mien.marks.choices import ExifPolicy
from mien.marks.metadata import SOURCE_TYPE, insert, kept_exif, read_statement, xmp_packet

Pixels = NDArray[np.uint8]

FORMATS: tuple[OutputFormat, ...] = ("png", "jpg", "webp")


def camera_exif() -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    exif[0x0112] = 6
    exif.get_ifd(0x8769).update(
        {0x9003: "2026:08:02 12:00:00", 0xA431: "serial", 0x927C: b"notes", 0xA430: "Me"}
    )
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 0.0)})
    return exif.tobytes().removeprefix(b"Exif\0\0")


def read_back(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("with_alpha", [False, True])
def test_files_with_metadata_show_the_same_picture(
    format: OutputFormat, with_alpha: bool, photo: Pixels
) -> None:
    alpha = np.full(photo.shape[:2], 130, np.uint8) if with_alpha else None
    plain = encode(photo, format, alpha=alpha)
    full = insert(plain, format, xmp=xmp_packet("1", "t"), exif=camera_exif())
    before, after = decode(plain), decode(full)
    upright = np.rot90(after.rgb)  # the EXIF says that it lies on its side
    assert np.array_equal(upright, before.rgb)
    assert (after.alpha is None) == (before.alpha is None)


@pytest.mark.parametrize("format", FORMATS)
def test_other_programs_find_what_was_written(format: OutputFormat, photo: Pixels) -> None:
    image = read_back(insert(encode(photo, format), format, xmp=xmp_packet("1", "t"), exif=camera_exif()))
    assert image.getexif()[0x010F] == "Camera"
    xmp: Any = image.info["xmp"]
    assert SOURCE_TYPE in (xmp if isinstance(xmp, str) else xmp.decode())


@pytest.mark.parametrize("format", FORMATS)
def test_the_statement_comes_back(format: OutputFormat, photo: Pixels) -> None:
    data = insert(encode(photo, format), format, xmp=xmp_packet("1.2", "a'<\"&b"))
    statement = read_statement(data)
    assert statement is not None
    assert (statement.creator_tool, statement.task_id) == ("Mien 1.2", "a'<\"&b")
    assert statement.source_type == SOURCE_TYPE


@pytest.mark.parametrize("format", FORMATS)
def test_without_metadata_a_file_says_nothing(format: OutputFormat, photo: Pixels) -> None:
    assert read_statement(encode(photo, format)) is None


def test_odd_packets_are_no_statements() -> None:
    assert read_statement(b"<x:xmpmeta" * 100_000) is None
    assert read_statement(b"<x:xmpmeta xmp:CreatorTool='Mien 1'></x:xmpmeta>") is None


@pytest.mark.parametrize(
    ("policy", "camera", "place"),
    [("drop", False, False), ("keep", True, False), ("keep-with-gps", True, True)],
)
def test_exif_is_kept_as_told(policy: ExifPolicy, camera: bool, place: bool, photo: Pixels) -> None:
    exif = kept_exif(camera_exif(), policy, 1000, 800)
    kept = read_back(insert(encode(photo, "jpg"), "jpg", exif=exif)).getexif()
    assert (0x010F in kept) == camera
    assert bool(kept.get_ifd(0x8825)) == place
    details = kept.get_ifd(0x8769)
    assert not {0xA431, 0x927C, 0xA430} & set(details)
    if camera:
        assert kept[0x0112] == 1
        assert (details[0x9003], details[0xA002], details[0xA003]) == ("2026:08:02 12:00:00", 1000, 800)


def test_no_preview_is_kept() -> None:
    """It would show the picture as it was before the swap."""
    preview = encode(np.full((64, 64, 3), 77, np.uint8), "jpg")
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    exif.get_ifd(0x8769)[0x9003] = "2026"
    whole = bytearray(exif.tobytes().removeprefix(b"Exif\0\0"))
    assert kept_exif(bytes(whole) + preview, "keep", 10, 10)
    assert preview not in kept_exif(bytes(whole) + preview, "keep", 10, 10)


@pytest.mark.parametrize("broken", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"hello", bytes(5000)])
def test_broken_exif_is_dropped(broken: bytes) -> None:
    kept = kept_exif(broken, "keep", 10, 10)
    assert len(kept) < 200


def test_decoding_hands_the_exif_over(photo: Pixels) -> None:
    for format in FORMATS:
        data = insert(encode(photo, format), format, exif=camera_exif())
        assert decode(data).exif == camera_exif()
    assert decode(encode(photo, "png")).exif == b""

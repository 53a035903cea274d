"""What a picture file says about itself, read before any decoder sees it.

A decoder that is handed a hostile file has already lost: formats let a few hundred bytes promise gigabytes of
pixels, hide thousands of progressive scans, or point one description at every item. So the few fields that
matter are read here, by code that does nothing but step over lengths: format, size, animation, orientation
and colour profile. For JPEG and PNG, whose metadata Pillow would parse while opening, the decoder gets the
file without it.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Format = Literal["jpeg", "png", "webp", "avif", "heic"]

MAX_PROFILE_BYTES = 4 * 2**20
"""Colour profiles above this are ignored; the largest press profiles in use are about 3 MB."""

MAX_EXIF_BYTES = 65_535
"""What fits into the one segment that a JPEG has for it."""

MAX_JPEG_SCANS = 200
"""Every scan of a progressive JPEG costs a pass over all its pixels. Encoders write about ten."""

MAX_JPEG_SEGMENTS = 10_000
"""Large metadata is split into segments of 64 kB, so that an honest file has at most some hundreds."""

MAX_PNG_CHUNKS = 100_000
"""Encoders write chunks of 4 kB and more."""

MAX_HEIC_METADATA = 256 * 2**20
"""Bytes of metadata that the HEIC reader may copy: it does so once for every item that refers to it."""


@dataclass(frozen=True)
class Container:
    """The header of a picture file.

    `width` and `height` are pixels as stored, before orientation; where a file holds several pictures they
    are those of the largest, since a small one may be cut from it. `animated` says that there is more than
    one frame. `orientation` is EXIF's, 1 to 8. `exif` is a TIFF structure as the file has it, at most 64 kB,
    or empty. `stream` is the file for the decoder. AVIF and HEIC have their orientation, profile and EXIF
    resolved by their decoders, which know to which of their items each belongs.
    """

    format: Format
    width: int
    height: int
    stream: bytes
    animated: bool = False
    orientation: int = 1
    icc: bytes | None = None
    exif: bytes = b""


def read_container(data: bytes) -> Container | str:
    """Return the header of `data`, or, where its format is not accepted, what it is in words ("a GIF").

    Raises `ValueError`, `IndexError` or `struct.error` for a file that is cut off or contradicts itself.
    """
    kind = _kind(data)
    match kind:
        case "jpeg":
            return _read_jpeg(data)
        case "png":
            return _read_png(data)
        case "webp":
            return _read_webp(data)
        case "avif" | "heic":
            return _read_isobmff(data, kind)
        case _:
            return kind


def bounded_exif(exif: bytes) -> bytes:
    """Return `exif` as a bare TIFF structure, or nothing if it's larger than any honest one."""
    tiff = exif.removeprefix(b"Exif\0\0")
    return tiff if len(tiff) <= MAX_EXIF_BYTES else b""


def exif_orientation(exif: bytes) -> int:
    """Return the orientation tag (1 to 8) of the first directory of `exif`, 1 where there is none.

    Only this one tag is looked for, since entries may claim any amount of data.
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return 1
    (directory,) = struct.unpack_from(order + "I", tiff, 4)
    entries = tiff[directory : directory + 2 + 65535 * 12]
    if len(entries) < 2:
        return 1
    (count,) = struct.unpack_from(order + "H", entries)
    for offset in range(2, min(2 + 12 * count, len(entries) - 11), 12):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", entries, offset)
        if (tag, kind) == (0x0112, 3):
            return int(value) if 1 <= value <= 8 else 1
    return 1


# What is it? ----------------------------------------------------------------------------------------------

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"II*\0", "a TIFF or camera raw file"),
    (b"MM\0*", "a TIFF or camera raw file"),
    (b"\xff\x0a", "a JPEG XL"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000"),
    (b"\0\0\1\0", "an icon (ICO)"),
    (b"8BPS", "a Photoshop file"),
    (b"%PDF", "a PDF"),
    (b"PK\3\4", "a ZIP archive"),
    (b"\x1aE\xdf\xa3", "a video"),
)
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis"}
_HEVC_SEQUENCE_BRANDS = {b"hevc", b"hevx", b"hevm", b"hevs"}
_SEQUENCE_BRANDS = {*_HEVC_SEQUENCE_BRANDS, b"avis", b"msf1"}


def _kind(data: bytes) -> str:
    """Return a `Format`, or the name of what `data` is instead."""
    if not data:
        return "an empty file"
    for signature, kind in _SIGNATURES:
        if data.startswith(signature):
            return kind
    if data[:4] == b"RIFF":
        return "webp" if data[8:12] == b"WEBP" else "a video or sound"
    if data[4:8] == b"ftyp":
        return _brand(data)
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in start:
        return "an SVG drawing"
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "a web page"
    if start.startswith((b"<?xml", b"{", b"[")):
        return "a text document"
    return "not a picture format that Mien knows"


def _brand(data: bytes) -> str:
    (size,) = struct.unpack_from(">I", data)
    brands = [data[8:12], *(data[i : i + 4] for i in range(16, min(size, len(data), 4096), 4))]
    major = brands[0]
    if major in (b"avif", b"avis"):
        return "avif"
    if major in _HEIC_BRANDS | _HEVC_SEQUENCE_BRANDS:
        return "heic"
    if major in (b"mif1", b"msf1", b"miaf"):  # any codec: the other brands tell
        return "avif" if b"avif" in brands or b"avis" in brands else "heic"
    return "a video"


# JPEG -----------------------------------------------------------------------------------------------------

# Neither an escaped 0xFF of the coded pixels, nor a restart marker, nor padding.
_MARKER = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_METADATA = {*range(0xE1, 0xF0), 0xFE} - {0xEE}  # all but JFIF and Adobe, which say how colours are coded


def _read_jpeg(data: bytes) -> Container:
    size: tuple[int, int] | None = None
    scans = 0
    exif = b""
    profile: dict[int, tuple[int, bytes]] = {}  # part number -> count of parts, part
    kept = [data[:2]]
    position = 2

    for _ in range(MAX_JPEG_SEGMENTS):
        found = _MARKER.search(data, position)
        if scans:  # pixels may stand between any two segments, once there was a scan
            kept.append(data[position : found.start() if found else len(data)])
        if found is None:
            break
        marker, position = data[found.start() + 1], found.end()
        if marker == 0xD9:  # end of the first picture: what follows (previews, gain maps) is not ours
            kept.append(b"\xff\xd9")
            break
        (length,) = struct.unpack_from(">H", data, position)
        body = data[position + 2 : position + length]
        if length < 2 or len(body) != length - 2:
            raise ValueError("a JPEG segment runs past the end of the file")
        position += length
        if marker in _FRAMES:
            if size is not None:
                raise ValueError("a JPEG with two frames")
            height, width = struct.unpack_from(">HH", body, 1)
            size = (width, height)
        elif marker == 0xDA:
            scans += 1
            if scans > MAX_JPEG_SCANS:
                raise ValueError("a JPEG with far too many scans")
        elif marker == 0xE1 and body.startswith(b"Exif\0\0") and not exif:
            exif = body
        elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0") and len(body) > 14:
            profile[body[12]] = (body[13], body[14:])
        if marker not in _METADATA:
            kept.append(data[found.start() : position])
    else:
        raise ValueError("a JPEG with far too many segments")

    if size is None:
        raise ValueError("a JPEG without a frame")
    return Container(
        "jpeg",
        *size,
        stream=b"".join(kept),
        orientation=exif_orientation(exif),
        icc=_join_profile(profile),
        exif=bounded_exif(exif),
    )


def _join_profile(parts: dict[int, tuple[int, bytes]]) -> bytes | None:
    numbers = range(1, len(parts) + 1)
    if not parts or any(number not in parts or parts[number][0] != len(parts) for number in numbers):
        return None
    profile = b"".join(parts[number][1] for number in numbers)
    return profile if len(profile) <= MAX_PROFILE_BYTES else None


# PNG ------------------------------------------------------------------------------------------------------


def _read_png(data: bytes) -> Container:
    if data[12:16] != b"IHDR":
        raise ValueError("a PNG that does not begin with its header")
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    exif = b""
    icc = None
    animated = False
    kept = [data[:8]]

    for name, begin, end in _png_chunks(data):
        match name:
            case b"IHDR" | b"PLTE" | b"IDAT" | b"IEND":
                kept.append(data[begin:end])
            case b"tRNS" if (depth, colour) != (16, 2):
                # Pillow brings 16-bit colours to 8 before it compares them with this 16-bit colour.
                kept.append(data[begin:end])
            case b"acTL":
                animated = struct.unpack_from(">I", data, begin + 8)[0] > 1
            case b"eXIf":
                exif = data[begin + 8 : end - 4]
            case b"iCCP":
                icc = _inflate_profile(data[begin + 8 : end - 4])

    return Container(
        "png",
        width,
        height,
        stream=b"".join(kept),
        animated=animated,
        orientation=exif_orientation(exif),
        icc=icc,
        exif=bounded_exif(exif),
    )


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name of each chunk and where it, with its length and checksum, begins and ends."""
    begin = 8
    for _ in range(MAX_PNG_CHUNKS):
        if begin + 8 > len(data):
            return
        length, name = struct.unpack_from(">I4s", data, begin)
        end = begin + length + 12
        yield name, begin, end
        if name == b"IEND":
            return
        begin = end
    raise ValueError("a PNG with far too many chunks")


def _inflate_profile(chunk: bytes) -> bytes | None:
    _, _, compressed = chunk.partition(b"\0")
    inflate = zlib.decompressobj()
    try:
        profile = inflate.decompress(compressed[1:], MAX_PROFILE_BYTES)
    except zlib.error:
        return None
    return profile if inflate.eof else None


# WebP -----------------------------------------------------------------------------------------------------


def _read_webp(data: bytes) -> Container:
    sizes: list[tuple[int, int]] = []
    exif = b""
    icc = None
    animated = False

    begin = 12
    while begin + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, begin)
        body = memoryview(data)[begin + 8 : begin + 8 + length]
        match name:
            case b"VP8X":
                animated = bool(body[0] & 0x02)
                sizes.append((1 + _u24(body, 4), 1 + _u24(body, 7)))
            case b"VP8 ":
                width, height = struct.unpack_from("<HH", body, 6)
                sizes.append((width & 0x3FFF, height & 0x3FFF))
            case b"VP8L":
                (bits,) = struct.unpack_from("<I", body, 1)
                sizes.append((1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)))
            case b"EXIF":
                exif = bytes(body)
            case b"ICCP" if length <= MAX_PROFILE_BYTES:
                icc = bytes(body)
        begin += 8 + length + (length & 1)

    if not sizes:
        raise ValueError("a WebP without a picture")
    width, height = max(sizes, key=_area)
    return Container(
        "webp",
        width,
        height,
        stream=data,
        animated=animated,
        orientation=exif_orientation(exif),
        icc=icc,
        exif=bounded_exif(exif),
    )


def _u24(data: memoryview, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 3], "little")


# AVIF and HEIC --------------------------------------------------------------------------------------------


def _read_isobmff(data: bytes, kind: Literal["avif", "heic"]) -> Container:
    meta = next((body for name, body in _boxes(memoryview(data)) if name == b"meta"), None)
    sizes: list[tuple[int, int]] = []
    items = descriptions = 0
    for name, body in _boxes(meta[4:]) if meta is not None else ():
        if name == b"iprp":
            sizes = [
                struct.unpack_from(">II", leaf, 4)
                for group, properties in _boxes(body)
                if group == b"ipco"
                for property_name, leaf in _boxes(properties)
                if property_name == b"ispe"
            ]
        elif name == b"iinf":
            items = bytes(body).count(b"infe")
        elif name == b"iref":
            descriptions = bytes(body).count(b"cdsc")
    if kind == "heic" and len(meta or b"") * items + len(data) * descriptions > MAX_HEIC_METADATA:
        raise ValueError("a HEIC with far too much metadata")

    # A file may offer both a still picture and a sequence; its first brand says which is meant. AVIF's
    # decoder goes by it too, and a sequence with one frame is a still picture.
    sequence = data[8:12] in _SEQUENCE_BRANDS
    animated = sequence and (kind == "heic" or not sizes)
    if not sizes and not animated:
        raise ValueError("no picture in the file")
    width, height = max(sizes, key=_area, default=(0, 0))
    return Container(kind, width, height, stream=data, animated=animated)


def _boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield name and body of the boxes that lie one after the other in `data`."""
    begin = 0
    while begin + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, begin)
        header = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, begin + 8)
            header = 16
        elif size == 0:  # to the end of the file
            size = len(data) - begin
        if size < header:
            raise ValueError("a box smaller than its own header")
        yield name, data[begin + header : begin + size]
        begin += size


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]

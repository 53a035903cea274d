"""XMP and EXIF in PNG, JPEG and WebP files: written after encoding, read with nothing but searching.

XMP tells what made the picture, in the words of the IPTC that search engines and social networks look for.
EXIF is the target's, if the caller wants it, without what would tell more than its photographer meant to.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Final
from xml.sax.saxutils import quoteattr

from PIL import Image

from mien.images.headers import OutputFormat
from mien.marks.choices import ExifPolicy

SOFTWARE: Final = "Mien"

SOURCE_TYPE: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's word for a picture that was edited with trained models; `docs/marks.md` says why this one."""

_XMP_IN_JPEG: Final = b"http://ns.adobe.com/xap/1.0/\0"
_MAX_SEGMENT: Final = 65_533
_MAX_EXIF: Final = _MAX_SEGMENT - 6

_ORIENTATION, _WIDTH, _HEIGHT = 0x0112, 0xA002, 0xA003
_EXIF_DIRECTORY, _GPS_DIRECTORY = 0x8769, 0x8825
_PRIVATE: Final = {
    0x927C,  # MakerNote: undocumented, with serial numbers and places in it
    0x9286,  # UserComment
    0xA420,  # ImageUniqueID
    0xA430,  # CameraOwnerName
    0xA431,  # BodySerialNumber
    0xA435,  # LensSerialNumber
}


@dataclass(frozen=True)
class Statement:
    """What a picture's XMP says. `task_id` is None where it names none."""

    creator_tool: str
    source_type: str
    task_id: str | None


# XMP ------------------------------------------------------------------------------------------------------


def xmp_packet(version: str, task_id: str) -> bytes:
    """Return the XMP packet that says that Mien made the picture for a task."""
    return (
        "<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?>"
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'>"
        "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
        "<rdf:Description rdf:about=''"
        " xmlns:xmp='http://ns.adobe.com/xap/1.0/'"
        " xmlns:dc='http://purl.org/dc/elements/1.1/'"
        " xmlns:Iptc4xmpExt='http://iptc.org/std/Iptc4xmpExt/2008-02-29/'"
        f" xmp:CreatorTool={quoteattr(f'{SOFTWARE} {version}')}"
        f" dc:identifier={quoteattr(task_id)}"
        f" Iptc4xmpExt:DigitalSourceType={quoteattr(SOURCE_TYPE)}/>"
        "</rdf:RDF></x:xmpmeta><?xpacket end='r'?>"
    ).encode()


_MAX_PACKET: Final = 65_536


def read_statement(data: bytes) -> Statement | None:
    """Return what the first XMP packet of a picture file says, or None if it names no tool and source.

    Packets that are compressed, or written in another way than as attributes of one description, count as
    none: ours are neither.
    """
    begin = max(0, data.find(b"<x:xmpmeta"))
    end = max(0, data.find(b"</x:xmpmeta>", begin, begin + _MAX_PACKET))
    packet = data[begin:end].decode(errors="replace")
    tool = _attribute(packet, "xmp:CreatorTool")
    source_type = _attribute(packet, "Iptc4xmpExt:DigitalSourceType")
    if tool is None or source_type is None:
        return None
    return Statement(tool, source_type, _attribute(packet, "dc:identifier"))


def _attribute(packet: str, name: str) -> str | None:
    found = re.search(rf"\s{name}=(\"([^\"<]*)\"|'([^'<]*)')", packet)
    return unescape(found[2] or found[3] or "") if found else None


# EXIF -----------------------------------------------------------------------------------------------------


def kept_exif(exif: bytes, policy: ExifPolicy, width: int, height: int) -> bytes:
    """Return what of `exif` (a TIFF structure) goes into an upright result; empty if it can't be read.

    Its preview, which shows the picture as it was, is never kept, nor are serial numbers, the owner's name,
    and notes of the maker and the user; the place only if the policy says so.
    """
    if policy == "drop" or not exif:
        return b""
    source = Image.Exif()
    try:
        source.load(exif)
        kept = {tag: value for tag, value in source.items() if tag not in (_EXIF_DIRECTORY, _GPS_DIRECTORY)}
        details = {
            tag: value for tag, value in source.get_ifd(_EXIF_DIRECTORY).items() if tag not in _PRIVATE
        }
        place = source.get_ifd(_GPS_DIRECTORY) if policy == "keep-with-gps" else {}
        clean = Image.Exif()
        clean.update(kept)
        clean[_ORIENTATION] = 1
        clean.get_ifd(_EXIF_DIRECTORY).update({**details, _WIDTH: width, _HEIGHT: height})
        if place:
            clean.get_ifd(_GPS_DIRECTORY).update(place)
        result: bytes = clean.tobytes().removeprefix(b"Exif\0\0")
    except Exception:
        # What cameras and programs write is whatever it is, and Pillow raises whatever it likes about it.
        return b""
    return result if len(result) <= _MAX_EXIF else b""


# Containers -----------------------------------------------------------------------------------------------


def insert(data: bytes, format: OutputFormat, *, xmp: bytes = b"", exif: bytes = b"") -> bytes:
    """Return a file that `mien.images.codec.encode` wrote with XMP and EXIF in it."""
    if not xmp and not exif:
        return data
    match format:
        case "png":
            return _insert_png(data, xmp, exif)
        case "jpg":
            return _insert_jpeg(data, xmp, exif)
        case "webp":
            return _insert_webp(data, xmp, exif)


def _insert_png(data: bytes, xmp: bytes, exif: bytes) -> bytes:
    after_header = 8 + 25
    chunks = b""
    if exif:
        chunks += _png_chunk(b"eXIf", exif)
    if xmp:  # an international text, not compressed, without language and translation
        chunks += _png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
    return data[:after_header] + chunks + data[after_header:]


def _png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _insert_jpeg(data: bytes, xmp: bytes, exif: bytes) -> bytes:
    start = 2
    if data[2:4] == b"\xff\xe0":  # JFIF comes first
        start += 2 + int.from_bytes(data[4:6])
    segments = b""
    for body in (exif and b"Exif\0\0" + exif, xmp and _XMP_IN_JPEG + xmp):
        if body:
            segments += b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    return data[:start] + segments + data[start:]


_WEBP_XMP, _WEBP_EXIF, _WEBP_ALPHA = 0x04, 0x08, 0x10


def _insert_webp(data: bytes, xmp: bytes, exif: bytes) -> bytes:
    chunks = dict(_webp_chunks(data))
    header = chunks.pop(b"VP8X", None)
    if header is None:
        header = _webp_header(chunks)
    flags = header[0] | (_WEBP_XMP if xmp else 0) | (_WEBP_EXIF if exif else 0)
    chunks = {b"VP8X": bytes([flags]) + header[1:], **chunks}
    if exif:
        chunks[b"EXIF"] = exif
    if xmp:
        chunks[b"XMP "] = xmp
    body = b"".join(
        name + struct.pack("<I", len(chunk)) + chunk + b"\0" * (len(chunk) & 1)
        for name, chunk in chunks.items()
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    begin = 12
    while begin + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, begin)
        yield name, data[begin + 8 : begin + 8 + length]
        begin += 8 + length + (length & 1)


def _webp_header(chunks: dict[bytes, bytes]) -> bytes:
    """Return the VP8X chunk for a file that has only a picture."""
    if b"VP8L" in chunks:
        bits = int.from_bytes(chunks[b"VP8L"][1:5], "little")
        width, height, flags = bits & 0x3FFF, bits >> 14 & 0x3FFF, _WEBP_ALPHA if bits >> 28 & 1 else 0
    else:
        width, height = (side - 1 & 0x3FFF for side in struct.unpack_from("<HH", chunks[b"VP8 "], 6))
        flags = 0
    return bytes([flags, 0, 0, 0]) + width.to_bytes(3, "little") + height.to_bytes(3, "little")

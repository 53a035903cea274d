"""Pictures in, pixels out, and back. All pictures are made here."""

import io
import struct
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image, ImageCms

from mien.errors import ImageInvalid, ImageTooLarge, MienError
from mien.images.codec import DecodeLimits, OutputFormat, decode, encode

Pixels = NDArray[np.uint8]

WIDTH, HEIGHT = 96, 64
"""Not square, so that swapped sides show."""


def scene(width: int = WIDTH, height: int = HEIGHT) -> Pixels:
    """A smooth picture whose four corners differ, so that turns, mirrors and swapped channels show."""
    x = np.linspace(0, 1, width)[None, :] * np.ones((height, 1))
    y = np.linspace(0, 1, height)[:, None] * np.ones((1, width))
    return np.stack((40 + 180 * x, 200 - 150 * y, 60 + 90 * x * y), axis=-1).astype(np.uint8)


def ramp(width: int = WIDTH, height: int = HEIGHT) -> Pixels:
    """An alpha channel from transparent to opaque."""
    return np.broadcast_to(np.linspace(0, 255, width).astype(np.uint8), (height, width)).copy()


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, format, **options)
    return data.getvalue()


def png(pixels: Pixels, **options: object) -> bytes:
    return saved(Image.fromarray(pixels), "PNG", **options)


def heic(pixels: Pixels, quality: int = 95, **info: Any) -> bytes:
    height, width, channels = pixels.shape
    file = pillow_heif.from_bytes({3: "RGB", 4: "RGBA"}[channels], (width, height), pixels.tobytes())
    file[0].info.update(info)
    data = io.BytesIO()
    file.save(data, quality=quality, chroma="444")
    return data.getvalue()


def gap(left: Pixels, right: Pixels) -> float:
    """Mean absolute difference in levels."""
    assert left.shape == right.shape
    return float(np.abs(left.astype(np.int16) - right.astype(np.int16)).mean())


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def with_chunk(png_data: bytes, name: bytes, body: bytes) -> bytes:
    """Insert a chunk right after the PNG's header."""
    return png_data[:33] + chunk(name, body) + png_data[33:]


def raw_png(width: int, height: int, depth: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            extra,
            chunk(b"IDAT", zlib.compress(rows)),
            chunk(b"IEND", b""),
        )
    )


SCENE = scene()
FILES: dict[str, bytes] = {
    "jpeg": saved(Image.fromarray(SCENE), "JPEG", quality=95, subsampling=0),
    "jpeg, progressive": saved(Image.fromarray(SCENE), "JPEG", quality=95, subsampling=0, progressive=True),
    "png": png(SCENE),
    "webp": saved(Image.fromarray(SCENE), "WEBP", quality=95),
    "webp, lossless": saved(Image.fromarray(SCENE), "WEBP", lossless=True),
    "avif": saved(Image.fromarray(SCENE), "AVIF", quality=95, subsampling="4:4:4"),
    "heic": heic(SCENE),
}


class TestFormats:
    @pytest.mark.parametrize("name", FILES)
    def test_accepted_formats_give_their_pixels(self, name: str) -> None:
        picture = decode(FILES[name])
        assert picture.format == name.split(",")[0]
        assert picture.rgb.dtype == np.uint8
        assert picture.rgb.flags.c_contiguous
        assert not picture.rgb.flags.writeable
        assert gap(picture.rgb, SCENE) < 2.5
        assert picture.alpha is None

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (saved(Image.fromarray(SCENE), "GIF"), "a GIF"),
            (saved(Image.fromarray(SCENE), "BMP"), "a BMP"),
            (saved(Image.fromarray(SCENE), "TIFF"), "a TIFF"),
            (saved(Image.fromarray(SCENE), "JPEG2000"), "a JPEG 2000"),
            (saved(Image.fromarray(SCENE), "ICO"), "an icon"),
            (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99), "a JPEG XL"),
            (b'\xef\xbb\xbf<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG"),
            (b"%PDF-1.7\n", "a PDF"),
            (b"\n<!DOCTYPE html><title>Sign in</title>", "a web page"),
            (b'{"error": "not found"}', "a text document"),
            (b"\0\0\0\x18ftypmp42" + bytes(99), "a video"),
            (b"RIFF\x10\0\0\0AVI LIST" + bytes(99), "a video or sound"),
            (b"", "an empty file"),
            (bytes(1000), "not a picture format"),
        ],
    )
    def test_others_are_refused_with_what_they_are_and_what_is_accepted(
        self, data: bytes, words: str
    ) -> None:
        with pytest.raises(ImageInvalid) as caught:
            decode(data, param="face_image")
        assert f"`face_image` is {words}" in caught.value.message
        assert "JPEG, PNG, WebP, AVIF or HEIC" in caught.value.message
        assert caught.value.param == "face_image"

    @pytest.mark.parametrize("format", ["PNG", "WEBP", "AVIF"])
    def test_animations_are_refused(self, format: str) -> None:
        frames = [Image.fromarray(SCENE), Image.fromarray(255 - SCENE)]
        data = saved(frames[0], format, save_all=True, append_images=frames[1:], duration=100)
        with pytest.raises(ImageInvalid, match="is an animated"):
            decode(data)

    def test_a_heic_sequence_is_refused(self) -> None:
        data = FILES["heic"][:8] + b"hevc" + FILES["heic"][12:]
        with pytest.raises(ImageInvalid, match="is an animated HEIC"):
            decode(data)

    @pytest.mark.parametrize("format", ["PNG", "WEBP", "AVIF"])
    def test_an_animation_of_one_frame_is_a_still_picture(self, format: str) -> None:
        data = saved(Image.fromarray(SCENE), format, save_all=True, quality=95)
        assert gap(decode(data).rgb, SCENE) < 2.5

    def test_of_a_multi_picture_jpeg_the_first_is_taken(self) -> None:
        other = Image.fromarray(255 - SCENE)
        data = saved(Image.fromarray(SCENE), "MPO", save_all=True, append_images=[other], quality=95)
        assert gap(decode(data).rgb, SCENE) < 2.5

    def test_of_a_heic_collection_the_primary_is_taken(self) -> None:
        collection = pillow_heif.from_pillow(Image.fromarray(255 - SCENE))
        collection.add_from_pillow(Image.fromarray(SCENE))
        data = io.BytesIO()
        collection.save(data, quality=95, chroma="444", primary_index=1)
        assert gap(decode(data.getvalue()).rgb, SCENE) < 2.5

    def test_the_name_plays_no_part_but_the_content_does(self) -> None:
        assert decode(FILES["png"]).format == "png"
        container_brand = FILES["avif"][:8] + b"mif1" + FILES["avif"][12:]
        assert decode(container_brand).format == "avif"


def grey_16bit() -> tuple[bytes, Pixels]:
    deep = np.linspace(0, 65535, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(np.uint16)
    expected = np.round(deep / 257).astype(np.uint8)
    return saved(Image.fromarray(deep), "PNG"), np.repeat(expected[..., None], 3, axis=-1)


def colours_16bit() -> tuple[bytes, Pixels]:
    deep = np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH, 3), dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    return raw_png(WIDTH, HEIGHT, 16, 2, rows), (deep >> 8).astype(np.uint8)


def grey() -> tuple[bytes, Pixels]:
    return png(SCENE[..., 0]), np.repeat(SCENE[..., :1], 3, axis=-1)


def one_bit() -> tuple[bytes, Pixels]:
    bits = (SCENE[..., 0] > 128).astype(np.uint8) * 255
    return saved(Image.fromarray(bits).convert("1"), "PNG"), np.repeat(bits[..., None], 3, axis=-1)


def palette() -> tuple[bytes, Pixels]:
    image = Image.fromarray(SCENE).quantize(32)
    return saved(image, "PNG"), np.array(image.convert("RGB"))


def grey_jpeg() -> tuple[bytes, Pixels]:
    data, expected = saved(Image.fromarray(SCENE[..., 0]), "JPEG", quality=98), SCENE[..., :1]
    return data, np.repeat(expected, 3, axis=-1)


def cmyk_jpeg() -> tuple[bytes, Pixels]:
    image = Image.fromarray(SCENE).convert("CMYK")
    return saved(image, "JPEG", quality=98, subsampling=0), SCENE


def interlaced() -> tuple[bytes, Pixels]:
    """One Adam7 picture, 32 × 32, of a single colour: each of its seven passes has rows of its own."""
    rows = b""
    for x0, y0, dx, dy in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        rows += (b"\0" + b"\x10\x80\xf0" * len(range(x0, 32, dx))) * len(range(y0, 32, dy))
    data = b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 1)),
            chunk(b"IDAT", zlib.compress(rows)),
            chunk(b"IEND", b""),
        )
    )
    return data, np.full((32, 32, 3), (0x10, 0x80, 0xF0), np.uint8)


class TestModes:
    @pytest.mark.parametrize(
        ("make", "tolerance"),
        [
            (grey_16bit, 0),
            (colours_16bit, 0),
            (grey, 0),
            (one_bit, 0),
            (palette, 0),
            (grey_jpeg, 1),
            (cmyk_jpeg, 1.5),
            (interlaced, 0),
        ],
    )
    def test_every_mode_becomes_8_bit_rgb(
        self, make: Callable[[], tuple[bytes, Pixels]], tolerance: float
    ) -> None:
        data, expected = make()
        picture = decode(data)
        assert gap(picture.rgb, expected) <= tolerance
        assert picture.alpha is None

    @pytest.mark.parametrize("mode", ["L", "RGB"])
    def test_10_bit_heic_becomes_8_bit(self, mode: str) -> None:
        deep = np.array(Image.fromarray(SCENE).convert(mode)).astype(np.uint16) << 8
        file = pillow_heif.from_bytes(
            mode=f"{mode};16", size=(WIDTH, HEIGHT), data=np.ascontiguousarray(deep).tobytes()
        )
        data = io.BytesIO()
        file.save(data, quality=98, chroma="444")
        expected = np.array(Image.fromarray(SCENE).convert(mode).convert("RGB"))
        assert gap(decode(data.getvalue()).rgb, expected) < 2.5


class TestAlpha:
    @pytest.mark.parametrize("format", ["PNG", "WEBP", "AVIF"])
    def test_is_kept_aside_with_the_colours_below_it(self, format: str) -> None:
        image = Image.fromarray(np.dstack((SCENE, ramp())))
        lossless: dict[str, Any] = {
            "PNG": {},
            "WEBP": {"lossless": True, "exact": True},
            "AVIF": {"quality": 98, "subsampling": "4:4:4"},
        }
        picture = decode(saved(image, format, **lossless[format]))
        assert picture.alpha is not None
        assert gap(picture.alpha, ramp()) < 2
        assert gap(picture.rgb, SCENE) < 2.5  # the left side is transparent and still has its colours

    def test_of_heic_is_kept_aside(self) -> None:
        picture = decode(heic(np.dstack((SCENE, ramp()))))
        assert picture.alpha is not None
        assert gap(picture.alpha, ramp()) < 2
        assert gap(picture.rgb, SCENE) < 2.5

    def test_that_is_opaque_everywhere_is_none(self) -> None:
        assert decode(png(np.dstack((SCENE, np.full((HEIGHT, WIDTH), 255, np.uint8))))).alpha is None

    def test_of_grey_pictures(self) -> None:
        picture = decode(png(np.dstack((SCENE[..., 0], ramp()))))
        assert picture.alpha is not None
        assert gap(picture.alpha, ramp()) == 0
        assert gap(picture.rgb, np.repeat(SCENE[..., :1], 3, axis=-1)) == 0

    @pytest.mark.parametrize("transparency", [3, bytes(range(0, 255, 8))])
    def test_of_palettes(self, transparency: int | bytes) -> None:
        image = Image.fromarray(SCENE).quantize(32)
        indexes = np.array(image)
        picture = decode(saved(image, "PNG", transparency=transparency))
        table = np.full(256, 255, np.uint8)
        if isinstance(transparency, int):
            table[transparency] = 0
        else:
            table[: len(transparency)] = list(transparency)
        assert picture.alpha is not None
        assert gap(picture.alpha, table[indexes]) == 0
        assert gap(picture.rgb, np.array(image.convert("RGB"))) == 0

    def test_of_a_transparent_colour(self) -> None:
        pixels = SCENE.copy()
        pixels[:10] = (1, 2, 3)
        picture = decode(saved(Image.fromarray(pixels), "PNG", transparency=(1, 2, 3)))
        assert picture.alpha is not None
        assert (picture.alpha[:10] == 0).all()
        assert (picture.alpha[10:] == 255).all()

    def test_of_a_transparent_16_bit_grey(self) -> None:
        deep = np.full((HEIGHT, WIDTH), 0x1234, ">u2")
        deep[:10] = 0x1235  # the same 8 bits, another colour
        rows = b"".join(b"\0" + row.tobytes() for row in deep)
        data = raw_png(WIDTH, HEIGHT, 16, 0, rows, extra=chunk(b"tRNS", b"\x12\x34"))
        picture = decode(data)
        assert picture.alpha is not None
        assert (picture.alpha[:10] == 255).all()
        assert (picture.alpha[10:] == 0).all()

    def test_a_transparent_16_bit_colour_is_left_opaque(self) -> None:
        rows = (b"\0" + b"\x12\x34" * 3 * WIDTH) * HEIGHT
        data = raw_png(WIDTH, HEIGHT, 16, 2, rows, extra=chunk(b"tRNS", b"\x12\x35" * 3))
        assert decode(data).alpha is None


def exif_with_orientation(value: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    exif[0x010F] = "a camera"
    return exif.tobytes()


TURNED: dict[int, Pixels] = {
    1: SCENE,
    2: SCENE[:, ::-1],
    3: SCENE[::-1, ::-1],
    4: SCENE[::-1],
    5: SCENE.transpose(1, 0, 2),
    6: np.rot90(SCENE, 1),
    7: np.rot90(SCENE, 2).transpose(1, 0, 2),
    8: np.rot90(SCENE, -1),
}
"""What a camera stores under each EXIF orientation, for a viewer to turn back."""


class TestOrientation:
    @pytest.mark.parametrize("orientation", TURNED)
    @pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF"])
    def test_is_applied(self, format: str, orientation: int) -> None:
        stored = Image.fromarray(np.ascontiguousarray(TURNED[orientation]))
        options = {"PNG": {}, "WEBP": {"quality": 95}}.get(format, {"quality": 95, "subsampling": "4:4:4"})
        picture = decode(saved(stored, format, exif=exif_with_orientation(orientation), **options))
        assert gap(picture.rgb, SCENE) < 2.5

    @pytest.mark.parametrize("orientation", TURNED)
    def test_is_applied_once_in_heic(self, orientation: int) -> None:
        """HEIC has a rotation of its own, which the EXIF data beside it repeats."""
        stored = np.ascontiguousarray(TURNED[orientation])
        data = heic(stored, exif=exif_with_orientation(orientation))
        assert gap(decode(data).rgb, SCENE) < 2.5

    def test_turns_alpha_too(self) -> None:
        stored = Image.fromarray(np.ascontiguousarray(np.rot90(np.dstack((SCENE, ramp())), 1)))
        picture = decode(saved(stored, "PNG", exif=exif_with_orientation(6)))
        assert picture.alpha is not None
        assert gap(picture.alpha, ramp()) == 0

    @pytest.mark.parametrize(
        "exif",
        [
            b"",
            b"Exif\0\0",
            b"Exif\0\0II*\0",
            b"Exif\0\0II*\0\xff\xff\xff\xff",
            b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\x03\0\0\0\x01\0\x2a\0\0",
            b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x01\0\0\0\x06\0\0\0",
        ],
    )
    def test_broken_exif_is_ignored(self, exif: bytes) -> None:
        assert gap(decode(with_chunk(FILES["png"], b"eXIf", exif)).rgb, SCENE) == 0
        segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
        assert gap(decode(FILES["jpeg"][:2] + segment + FILES["jpeg"][2:]).rgb, SCENE) < 2.5


# Colour profiles ------------------------------------------------------------------------------------------


def icc(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A version 2 profile of a display, made of the given tags."""
    header_size, table_size = 128, 4 + 12 * len(tags)
    table, bodies = struct.pack(">I", len(tags)), b""
    for name, body in tags.items():
        table += name + struct.pack(">II", header_size + table_size + len(bodies), len(body))
        bodies += body + bytes(-len(body) % 4)
    d50 = struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D)
    header = bytearray(128)
    header[0:4] = struct.pack(">I", header_size + table_size + len(bodies))
    header[8:12] = b"\x02\x10\0\0"
    header[12:24] = (
        (b"prtr" if space == b"CMYK" else b"mntr") + space + (b"Lab " if space == b"CMYK" else b"XYZ ")
    )
    header[36:40] = b"acsp"
    header[68:80] = d50
    return bytes(header) + table + bodies


def xyz(x: float, y: float, z: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">iii", *(round(value * 65536) for value in (x, y, z)))


def gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


WHITE = {b"desc": b"desc" + bytes(8) + bytes(83), b"wtpt": xyz(0.9642, 1, 0.8249)}
DISPLAY_P3 = icc(
    b"RGB ",
    WHITE
    | {
        b"rXYZ": xyz(0.51512, 0.24120, -0.00105),
        b"gXYZ": xyz(0.29198, 0.69225, 0.04189),
        b"bXYZ": xyz(0.15710, 0.06657, 0.78407),
        b"rTRC": gamma(2.2),
        b"gTRC": gamma(2.2),
        b"bTRC": gamma(2.2),
    },
)
LINEAR_GREY = icc(b"GRAY", WHITE | {b"kTRC": gamma(1.0)})


def press_profile() -> bytes:
    """CMYK to Lab by a table with two points per ink: any ink at all is black, no ink is white."""
    corners = b"".join(bytes((255 if not any(inks) else 0, 128, 128)) for inks in np.ndindex(2, 2, 2, 2))
    identity = bytes(range(256))
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + matrix + identity * 4 + corners + identity * 3
    return icc(b"CMYK", WHITE | {b"A2B0": table, b"A2B1": table})


class TestProfiles:
    @pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF"])
    def test_wide_colours_become_srgb(self, format: str) -> None:
        flat = np.full((64, 64, 3), (200, 100, 100), np.uint8)
        options = {"PNG": {}, "WEBP": {"lossless": True}}.get(format, {"quality": 98, "subsampling": "4:4:4"})
        picture = decode(saved(Image.fromarray(flat), format, icc_profile=DISPLAY_P3, **options))
        red, green, blue = picture.rgb.reshape(-1, 3).mean(axis=0)
        assert red == pytest.approx(216, abs=3)  # the same colour has more red and less green in sRGB
        assert green == pytest.approx(94, abs=3)
        assert blue == pytest.approx(97, abs=3)

    def test_wide_colours_of_heic_become_srgb(self) -> None:
        flat = np.full((64, 64, 3), (200, 100, 100), np.uint8)
        red = decode(heic(flat, icc_profile=DISPLAY_P3, icc_profile_type="prof")).rgb[..., 0].mean()
        assert red == pytest.approx(216, abs=3)

    def test_srgb_leaves_every_pixel_as_it_is(self) -> None:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        noise = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        assert gap(decode(png(noise, icc_profile=profile)).rgb, noise) == 0

    def test_grey_profile(self) -> None:
        picture = decode(png(np.full((64, 64), 55, np.uint8), icc_profile=LINEAR_GREY))
        assert picture.rgb.mean() == pytest.approx(
            128, abs=3
        )  # 55 / 255 of the light is half the scale in sRGB

    def test_grey_picture_with_a_colour_profile(self) -> None:
        picture = decode(png(np.full((64, 64), 128, np.uint8), icc_profile=DISPLAY_P3))
        assert picture.rgb.shape == (64, 64, 3)
        assert np.ptp(picture.rgb, axis=-1).max() <= 1

    def test_grey_picture_with_alpha_and_a_grey_profile(self) -> None:
        pixels = np.dstack((np.full((HEIGHT, WIDTH), 55, np.uint8), ramp()))
        picture = decode(png(pixels, icc_profile=LINEAR_GREY))
        assert picture.rgb.mean() == pytest.approx(128, abs=3)
        assert picture.alpha is not None

    def test_press_profile(self) -> None:
        inks = np.zeros((64, 64, 4), np.uint8)
        inks[32:, :, 0] = 255
        data = saved(
            Image.fromarray(inks, "CMYK"), "JPEG", quality=98, subsampling=0, icc_profile=press_profile()
        )
        picture = decode(data)
        assert picture.rgb[:24].mean() > 250
        assert picture.rgb[40:].mean() < 5  # cyan without the profile

    def test_a_profile_in_several_segments(self) -> None:
        big = icc(b"RGB ", {b"pad%d" % i: bytes(60_000) for i in range(3)} | _tags_of_display_p3())
        flat = Image.fromarray(np.full((64, 64, 3), (200, 100, 100), np.uint8))
        data = saved(flat, "JPEG", quality=98, subsampling=0, icc_profile=big)
        assert data.count(b"ICC_PROFILE\0") > 1
        assert decode(data).rgb[..., 0].mean() == pytest.approx(216, abs=3)

    @pytest.mark.parametrize(
        "profile",
        [
            b"not a profile",
            DISPLAY_P3[:200],
            DISPLAY_P3[:128] + bytes(len(DISPLAY_P3) - 128),
            LINEAR_GREY,
            press_profile(),
            DISPLAY_P3 + bytes(5 * 2**20),
        ],
        ids=["noise", "cut off", "no tags", "of grey", "of a press", "far too large"],
    )
    def test_an_unusable_profile_is_ignored(self, profile: bytes) -> None:
        chunk_body = b"name\0\0" + zlib.compress(profile)
        assert gap(decode(with_chunk(FILES["png"], b"iCCP", chunk_body)).rgb, SCENE) == 0

    @pytest.mark.parametrize(
        "body", [b"", b"name", b"name\0\0", b"name\0\0not zlib", b"name\0\0\x78\x9c\x03"]
    )
    def test_a_broken_profile_chunk_is_ignored(self, body: bytes) -> None:
        assert gap(decode(with_chunk(FILES["png"], b"iCCP", body)).rgb, SCENE) == 0


def _tags_of_display_p3() -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", DISPLAY_P3, 128)
    entries = [struct.unpack_from(">4sII", DISPLAY_P3, 132 + 12 * index) for index in range(count)]
    return {name: DISPLAY_P3[offset : offset + size] for name, offset, size in entries}


# Limits ---------------------------------------------------------------------------------------------------


class TestLimits:
    def test_too_many_bytes(self) -> None:
        with pytest.raises(ImageTooLarge, match="at most 20 MB") as caught:
            decode(FILES["png"] + bytes(20 * 2**20), param="image")
        assert caught.value.param == "image"

    @pytest.mark.parametrize(
        "data",
        [
            raw_png(30_000, 30_000, 8, 6, b"\0"),
            FILES["jpeg"].replace(struct.pack(">HH", HEIGHT, WIDTH), struct.pack(">HH", 60_000, 60_000)),
            b"RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\x00\xff\xff\x00",
            b"RIFF\x1a\0\0\0WEBPVP8L\x05\0\0\0\x2f\xff\xff\xff\x0f\0",
            FILES["avif"].replace(struct.pack(">II", WIDTH, HEIGHT), struct.pack(">II", 30_000, 30_000)),
            FILES["heic"].replace(struct.pack(">II", WIDTH, HEIGHT), struct.pack(">II", 30_000, 30_000)),
        ],
        ids=["png", "jpeg", "webp", "webp, lossless", "avif", "heic"],
    )
    def test_too_many_pixels_are_refused_by_the_header_alone(
        self, data: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("mien.images.codec._DECODERS", {})  # none may even be opened
        with pytest.raises(ImageTooLarge, match="at most 40 megapixels"):
            decode(data)

    def test_a_small_picture_cut_from_a_giant_one_counts_as_the_giant(self) -> None:
        """HEIC and AVIF may crop: what is decoded is more than what is shown."""
        extra = b"\0\0\0\x14ispe\0\0\0\0" + struct.pack(">II", 30_000, 30_000)
        data = _grow_boxes(FILES["heic"], (b"meta", b"iprp", b"ipco"), extra)
        with pytest.raises(ImageTooLarge):
            decode(data)

    def test_an_avif_or_heic_that_lies_about_its_size_stays_small(self) -> None:
        giant = Image.new("RGB", (2000, 1500), (90, 120, 30))
        honest, lie = struct.pack(">II", 2000, 1500), struct.pack(">II", 400, 300)
        with pytest.raises(ImageInvalid):
            decode(heic(np.array(giant), quality=30).replace(honest, lie))
        picture = decode(saved(giant, "AVIF", quality=30, speed=10).replace(honest, lie))
        assert picture.rgb.shape == (300, 400, 3)

    @pytest.mark.parametrize(("width", "height"), [(31, 40), (40, 31)])
    def test_too_small(self, width: int, height: int) -> None:
        with pytest.raises(ImageInvalid, match=f"{width} × {height} pixels; each side must have at least 32"):
            decode(png(scene(width, height)))

    @pytest.mark.parametrize(("width", "height"), [(441, 44), (44, 441)])
    def test_too_long(self, width: int, height: int) -> None:
        with pytest.raises(ImageInvalid, match="at most 10 times"):
            decode(png(scene(width, height)))

    def test_the_limits_themselves_are_accepted(self) -> None:
        limits = DecodeLimits(
            max_bytes=len(FILES["png"]), max_pixels=WIDTH * HEIGHT, max_ratio=1.5, min_side=HEIGHT
        )
        assert decode(FILES["png"], limits).rgb.shape == (HEIGHT, WIDTH, 3)

    def test_metadata_of_any_size_costs_nothing(self) -> None:
        bomb = zlib.compress(bytes(50 * 2**20))
        data = with_chunk(FILES["png"], b"zTXt", b"Comment\0\0" + bomb)
        data = with_chunk(data, b"iCCP", b"name\0\0" + bomb)
        data = with_chunk(data, b"eXIf", b"II*\0\x08\0\0\0\xff\xff" + bytes(1000))
        assert gap(decode(data).rgb, SCENE) == 0

    def test_a_jpeg_with_thousands_of_scans_is_refused(self) -> None:
        data = FILES["jpeg, progressive"]
        last = data.rindex(b"\xff\xda")
        with pytest.raises(ImageInvalid):
            decode(data[:-2] + data[last:-2] * 5000 + data[-2:])

    @pytest.mark.parametrize("segment", [b"\xff\xfe\0\2", b"\xff\xdd\0\4\0\0"], ids=["comments", "intervals"])
    def test_a_jpeg_with_endless_segments_is_refused(self, segment: bytes) -> None:
        data = FILES["jpeg"]
        with pytest.raises(ImageInvalid):
            decode(data[:2] + segment * 20_000 + data[2:])

    def test_a_png_with_endless_chunks_is_refused(self) -> None:
        data = FILES["png"]
        with pytest.raises(ImageInvalid):
            decode(data[:33] + chunk(b"tRNS", bytes(6)) * 200_000 + data[33:])

    def test_padding_and_junk_between_the_segments_of_a_jpeg_are_skipped(self) -> None:
        data = FILES["jpeg"]
        assert gap(decode(data[:2] + b"\xff" * 100_000 + data[2:]).rgb, SCENE) < 2.5
        assert gap(decode(data[:20] + b"junk" + data[20:]).rgb, SCENE) < 2.5

    def test_a_heic_whose_metadata_multiplies_is_refused(self) -> None:
        reference = b"\0\0\0\x0ecdsc\0\1\0\1\0\1"
        references = b"\0\0\0\0" + reference * 20_000
        box = struct.pack(">I4s", 8 + len(references), b"iref") + references
        with pytest.raises(ImageInvalid):
            decode(_grow_boxes(FILES["heic"], (b"meta",), box))


def _grow_boxes(data: bytes, path: tuple[bytes, ...], extra: bytes) -> bytes:
    """Append `extra` to the innermost of the nested boxes `path` and add its length to all of them."""
    grown = bytearray(data)
    start = 0
    for name in path:
        start = data.index(name, start) - 4
        (size,) = struct.unpack_from(">I", data, start)
        struct.pack_into(">I", grown, start, size + len(extra))
        end = start + size
        start += 8
    return bytes(grown[:end]) + extra + bytes(grown[end:])


# Hostile bytes --------------------------------------------------------------------------------------------

HOSTILE = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
SMALL = DecodeLimits(max_pixels=250_000)


def decodes_or_says_why(data: bytes) -> None:
    try:
        picture = decode(data, SMALL)
    except MienError as error:
        assert error.message.endswith(".")
    else:
        height, width = picture.rgb.shape[:2]
        assert height * width <= SMALL.max_pixels
        assert picture.alpha is None or picture.alpha.shape == (height, width)


class TestHostileBytes:
    @HOSTILE
    @given(name=st.sampled_from(sorted(FILES)), part=st.floats(0, 1, exclude_max=True))
    def test_a_truncated_file_decodes_or_says_why(self, name: str, part: float) -> None:
        data = FILES[name]
        decodes_or_says_why(data[: int(part * len(data))])

    @HOSTILE
    @given(
        name=st.sampled_from(sorted(FILES)),
        flips=st.lists(
            st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), min_size=1, max_size=20
        ),
    )
    def test_flipped_bits_decode_or_say_why(self, name: str, flips: list[tuple[float, int]]) -> None:
        data = bytearray(FILES[name])
        for place, bit in flips:
            data[int(place * len(data))] ^= 1 << bit
        decodes_or_says_why(bytes(data))

    @HOSTILE
    @given(
        name=st.sampled_from(sorted(FILES)),
        place=st.integers(0, 400),
        patch=st.binary(min_size=1, max_size=8),
    )
    def test_a_patched_header_decodes_or_says_why(self, name: str, place: int, patch: bytes) -> None:
        data = FILES[name]
        decodes_or_says_why(data[:place] + patch + data[place + len(patch) :])

    @HOSTILE
    @given(
        head=st.sampled_from([data[:n] for data in FILES.values() for n in (4, 12, 24, 33)]),
        tail=st.binary(max_size=200),
    )
    def test_noise_behind_a_signature_decodes_or_says_why(self, head: bytes, tail: bytes) -> None:
        decodes_or_says_why(head + tail)

    @pytest.mark.parametrize("name", FILES)
    def test_half_a_file_is_refused(self, name: str) -> None:
        with pytest.raises(ImageInvalid, match="damaged or incomplete"):
            decode(FILES[name][: len(FILES[name]) // 2])


def test_several_threads_decode_at_once() -> None:
    together = threading.Barrier(4)

    def work(name: str) -> float:
        together.wait(timeout=30)
        return max(gap(decode(FILES[name]).rgb, SCENE) for _ in range(5))

    with ThreadPoolExecutor(4) as pool:
        assert max(pool.map(work, ["heic", "avif", "jpeg", "webp"])) < 2.5


# Encoding -------------------------------------------------------------------------------------------------

PIXELS = arrays(np.uint8, st.tuples(st.integers(32, 40), st.integers(32, 40), st.just(3)))


class TestEncode:
    @settings(max_examples=25)
    @given(rgb=PIXELS, with_alpha=st.booleans(), seed=st.integers(0, 9))
    def test_png_gives_back_every_bit(self, rgb: Pixels, with_alpha: bool, seed: int) -> None:
        alpha = None
        if with_alpha:
            alpha = np.random.default_rng(seed).integers(0, 255, rgb.shape[:2], dtype=np.uint8)
        picture = decode(encode(rgb, "png", alpha=alpha))
        assert gap(picture.rgb, rgb) == 0
        if alpha is None:
            assert picture.alpha is None
        else:
            assert picture.alpha is not None
            assert gap(picture.alpha, alpha) == 0

    @pytest.mark.parametrize(("format", "kind"), [("png", "PNG"), ("jpg", "JPEG"), ("webp", "WEBP")])
    def test_others_read_what_was_written(self, format: OutputFormat, kind: str) -> None:
        image = Image.open(io.BytesIO(encode(SCENE, format)))
        assert (image.format, image.mode, image.size) == (kind, "RGB", (WIDTH, HEIGHT))
        assert gap(np.array(image), SCENE) < 2.5
        assert not {"exif", "icc_profile", "xmp", "comment"} & set(image.info)

    def test_webp_keeps_alpha_and_the_colours_below_it(self) -> None:
        picture = decode(encode(SCENE, "webp", alpha=ramp()))
        assert picture.alpha is not None
        assert gap(picture.alpha, ramp()) < 1
        assert gap(picture.rgb, SCENE) < 3

    def test_jpeg_lays_transparent_places_on_white(self) -> None:
        alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
        alpha[:, : WIDTH // 2] = 0
        picture = decode(encode(SCENE, "jpg", alpha=alpha))
        assert picture.rgb[:, : WIDTH // 2 - 8].min() >= 250
        assert gap(picture.rgb[:, WIDTH // 2 + 8 :], SCENE[:, WIDTH // 2 + 8 :]) < 2.5

    def test_half_transparent_is_half_white_in_jpeg(self) -> None:
        flat, half = np.zeros((64, 64, 3), np.uint8), np.full((64, 64), 128, np.uint8)
        assert decode(encode(flat, "jpg", alpha=half)).rgb.mean() == pytest.approx(127, abs=1)

    @pytest.mark.parametrize("format", ["jpg", "webp"])
    def test_quality_trades_bytes(self, format: OutputFormat) -> None:
        noise = np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        sizes = [len(encode(noise, format, quality=quality)) for quality in (10, 50, 90)]
        assert sizes == sorted(sizes)
        assert sizes[0] < sizes[2] / 2

    def test_jpeg_keeps_full_colour(self) -> None:
        """Stripes of red and green, one pixel wide, would turn brown under 4:2:0."""
        stripes = np.zeros((64, 64, 3), np.uint8)
        stripes[:, ::2, 0] = 255
        stripes[:, 1::2, 1] = 255
        for quality in (60, 95):
            assert gap(decode(encode(stripes, "jpg", quality=quality)).rgb, stripes) < 12

    def test_a_slice_of_a_larger_picture_is_fine(self) -> None:
        view = SCENE[8:56, 8:80]
        assert gap(decode(encode(view, "png", alpha=ramp()[8:56, 8:80])).rgb, view) == 0

    def test_wrong_arrays_and_qualities_are_a_programming_error(self) -> None:
        with pytest.raises(ValueError, match="expected uint8"):
            encode(SCENE[..., 0], "png")
        with pytest.raises(ValueError, match="expected alpha"):
            encode(SCENE, "png", alpha=ramp()[:-1])
        with pytest.raises(ValueError, match="quality"):
            encode(SCENE, "jpg", quality=0)

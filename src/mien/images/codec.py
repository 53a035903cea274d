"""Bytes to pixels and back.

Inside Mien a picture is `uint8[H, W, 3]`, RGB in sRGB, upright and C-contiguous, with its alpha kept aside.
What comes in is hostile until proven otherwise: its format is told from its content, its size is checked from
its header before any pixel is decoded, and whatever a decoder says about it ends as one of `mien.errors`.
"""

import io
from dataclasses import dataclass

import cv2
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import AvifImagePlugin, Image, ImageCms, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from mien.errors import TaskError
from mien.images.containers import Container, Format, bounded_exif, exif_orientation
from mien.images.headers import DecodeLimits, OutputFormat, animated, check_size, damaged, read_header

__all__ = ["DecodeLimits", "OutputFormat", "Picture", "decode", "encode"]


@dataclass(frozen=True)
class Picture:
    """A decoded picture: upright, in sRGB.

    `rgb` is `uint8[H, W, 3]`; `alpha` is `uint8[H, W]` (0 transparent, 255 opaque), or None when every pixel
    is opaque. Transparent pixels keep the colours that the file gives them. Both are read-only.
    `exif` is a TIFF structure as the file has it, at most 64 kB and unchecked, or empty.
    """

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None
    format: Format
    exif: bytes = b""


def decode(data: bytes, limits: DecodeLimits | None = None, *, param: str | None = None) -> Picture:
    """Decode a still JPEG, PNG, WebP, AVIF or HEIC file.

    Of a file with several pictures (MPO, a HEIC collection, a gain map) it is the main one. Orientation and
    colour profile are applied; a broken profile is ignored. CMYK, grey, palettes, 1 and 16 bits become 8-bit
    RGB.

    Raises `ImageTooLarge` for too many bytes or pixels and `ImageInvalid` for everything else, with `param`.
    Several threads may decode at once.
    """
    limits = limits or DecodeLimits()
    container = read_header(data, limits, param=param)
    try:
        image = _DECODERS[container.format](io.BytesIO(container.stream))
        # The decoder has the last word on the size, and has decoded no pixel yet.
        check_size(*image.size, limits, param)
        if container.format != "heic" and getattr(image, "is_animated", False):
            raise animated(container, param)
        return _picture(image, container)
    except TaskError:
        raise
    except Exception as error:
        # Decoders raise whatever they like: OSError, SyntaxError, ValueError, RuntimeError, MemoryError, …
        raise damaged(param) from error


def encode(
    rgb: NDArray[np.uint8],
    format: OutputFormat,
    *,
    alpha: NDArray[np.uint8] | None = None,
    quality: int | None = None,
) -> bytes:
    """Encode `uint8[H, W, 3]` RGB in sRGB, with `uint8[H, W]` alpha if given, without any metadata.

    `quality` (1 to 100) is for JPEG (default 95) and WebP (default 90); PNG is lossless whatever it says.
    JPEG has no alpha: transparent places become white.

    The settings are the outcome of `benchmarks/codec.py`, which prints all candidates. On two shared cores,
    per 4 megapixels of portraits:

    - PNG by OpenCV, level 1, filter "up": 141 ms, 5.04 MB. Pillow's default takes 807 ms for 5.00 MB.
    - JPEG with full colour (4:4:4) at every quality: for 4 to 10 % more bytes than 4:2:0 it takes off up to
      half of the colour error at edges (99.9th percentile of ΔE at quality 95: 2.8 against 5.5), which on
      faces is lips and eyes. Optimal Huffman tables save 4 to 22 % of the bytes in 30 ms; progressive coding
      saves a little more in 80 ms on top.
    - WebP with method 2: 202 ms, 1.08 MB. Pillow's default method, 4, takes 410 ms for 1.09 MB.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"expected uint8[H, W, 3], got {rgb.dtype}{list(rgb.shape)}")
    if alpha is not None and (alpha.dtype != np.uint8 or alpha.shape != rgb.shape[:2]):
        raise ValueError(f"expected alpha uint8{list(rgb.shape[:2])}, got {alpha.dtype}{list(alpha.shape)}")
    if quality is not None and not 1 <= quality <= 100:
        raise ValueError(f"quality must be 1 to 100, not {quality}")
    match format:
        case "png":
            return _encode_png(rgb, alpha)
        case "jpg":
            return _encode_jpeg(rgb if alpha is None else _on_white(rgb, alpha), quality or 95)
        case "webp":
            return _encode_webp(rgb, alpha, quality or 90)


# Decoding -------------------------------------------------------------------------------------------------

# Named directly rather than found by `Image.open`, so that neither its registry nor its global pixel limit,
# which warns, has a say. `JpegImageFile` reads the first picture of an MPO.
_DECODERS: dict[Format, type[ImageFile.ImageFile]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "avif": AvifImagePlugin.AvifImageFile,
    "heic": pillow_heif.HeifImageFile,
}


def _picture(image: Image.Image, container: Container) -> Picture:
    icc, exif, orientation = container.icc, container.exif, container.orientation
    if container.format in ("avif", "heic"):
        icc, exif = image.info.get("icc_profile"), bounded_exif(image.info.get("exif") or b"")
    if container.format == "avif":  # Pillow tells its rotation as if it were EXIF's; HEIC comes upright
        orientation = exif_orientation(exif)
    colours, alpha = _split_alpha(image)
    if alpha is not None and alpha.min() == 255:
        alpha = None
    rgb = np.asarray(_to_srgb(colours, icc))
    return Picture(
        rgb=_upright(rgb, orientation),
        alpha=None if alpha is None else _upright(alpha, orientation),
        format=container.format,
        exif=exif,
    )


def _split_alpha(image: Image.Image) -> tuple[Image.Image, NDArray[np.uint8] | None]:
    """Return the colours of `image`, in mode L, RGB or CMYK, and its alpha."""
    if image.mode == "I;16":  # Pillow would clip to 8 bits where it must scale
        deep = np.asarray(image).astype(np.uint32)
        grey = Image.fromarray(((deep * 255 + 32767) // 65535).astype(np.uint8))
        key = image.info.get("transparency")
        return grey, None if key is None else np.where(deep == key, 0, 255).astype(np.uint8)
    if image.mode in ("La", "RGBa"):  # premultiplied
        image = image.convert(image.mode[:-1] + "A")
    grey_like = image.mode in ("1", "L", "LA")
    alpha = None
    if image.has_transparency_data:
        image = _converted(image, "RGBA")
        alpha = np.asarray(image.getchannel("A"))
    if image.mode != "CMYK":
        image = _converted(image, "L" if grey_like else "RGB")
    return image, alpha


def _to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """Return `image` (mode L, RGB or CMYK) as RGB in sRGB. An unusable profile is as good as none."""
    if icc:
        try:
            return _apply_profile(image, icc)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass
    return _converted(image, "RGB")


def _converted(image: Image.Image, mode: str) -> Image.Image:
    """Return `image` in `mode`, without the copy that Pillow makes of what is there already."""
    return image if image.mode == mode else image.convert(mode)


_PROFILE_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}


def _apply_profile(image: Image.Image, icc: bytes) -> Image.Image:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    mode = _PROFILE_MODES.get(profile.profile.xcolor_space)
    if mode == "RGB" and image.mode == "L":
        image = _converted(image, "RGB")
    if mode != image.mode:
        raise ValueError(f"a {profile.profile.xcolor_space} profile on a picture of mode {image.mode}")
    transform = ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if mode == "RGB" and _changes_nothing(transform):
        return image
    return transform.apply(image)


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether `transform` moves no colour by more than one level: its profile is sRGB under whatever name.

    Most profiles are. Leaving their pixels alone saves time, and what a swap doesn't touch stays as it was.
    """
    levels = np.linspace(0, 255, 16).astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(64, 64, 3)
    moved = transform.apply(Image.fromarray(colours))
    return bool(np.abs(np.asarray(moved).astype(np.int16) - colours).max() <= 1)


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation: 1 is upright, 2 to 4 mirror or turn by 180°, 5 to 8 swap the sides too."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    pixels = np.ascontiguousarray(pixels)
    pixels.flags.writeable = False
    return pixels


# Encoding -------------------------------------------------------------------------------------------------


def _encode_png(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None) -> bytes:
    if alpha is None:
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    else:
        bgr = cv2.merge((rgb[..., 2], rgb[..., 1], rgb[..., 0], alpha))
    settings = [
        *(cv2.IMWRITE_PNG_COMPRESSION, 1),
        *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
        # Chunks of 1 MB instead of 8 kB: who reads or signs the file has less to step over.
        *(cv2.IMWRITE_PNG_ZLIBBUFFER_SIZE, 2**20),
    ]
    return bytes(cv2.imencode(".png", bgr, settings)[1])


def _encode_jpeg(rgb: NDArray[np.uint8], quality: int) -> bytes:
    data = io.BytesIO()
    Image.fromarray(rgb).save(data, "JPEG", quality=quality, subsampling="4:4:4", optimize=True)
    return data.getvalue()


def _encode_webp(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None, quality: int) -> bytes:
    data = io.BytesIO()
    pixels = rgb if alpha is None else np.dstack((rgb, alpha))
    Image.fromarray(pixels).save(data, "WEBP", quality=quality, method=2, exact=True)
    return data.getvalue()


def _on_white(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    weight = alpha[..., None].astype(np.uint16)
    mixed: NDArray[np.uint16] = rgb * weight + np.uint16(255) * (255 - weight)
    return ((mixed + 127) // 255).astype(np.uint8)

"""What is accepted, told from a file's header alone: no decoder and no pixel library is needed for it."""

from dataclasses import dataclass
from typing import Final, Literal

from mien.errors import ImageInvalid, ImageTooLarge
from mien.images.containers import Container, read_container

OutputFormat = Literal["png", "jpg", "webp"]

ACCEPTED: Final = "JPEG, PNG, WebP, AVIF or HEIC"


@dataclass(frozen=True)
class DecodeLimits:
    """What is accepted; all of it is checked before any pixel is decoded.

    `max_ratio` is the long side divided by the short side, `min_side` is in pixels.
    """

    max_bytes: int = 20_000_000
    max_pixels: int = 40_000_000
    max_ratio: float = 10.0
    min_side: int = 32


def read_header(data: bytes, limits: DecodeLimits | None = None, *, param: str | None = None) -> Container:
    """What the file says about itself, checked against `limits` without decoding anything.

    Raises as `decode` does, which may still find the pixels damaged, or more of them than the header says.
    """
    limits = limits or DecodeLimits()
    _check_bytes(len(data), limits, param)
    try:
        container = read_container(data)
    except Exception as error:  # whatever comes of stepping over lengths that lie
        raise damaged(param) from error
    if isinstance(container, str):
        raise ImageInvalid(f"{_subject(param)} is {container}. Send a still {ACCEPTED}.", param=param)
    if container.animated:
        raise animated(container, param)
    check_size(container.width, container.height, limits, param)
    return container


def _subject(param: str | None) -> str:
    return f"`{param}`" if param else "The picture"


def _check_bytes(count: int, limits: DecodeLimits, param: str | None) -> None:
    if count > limits.max_bytes:
        raise ImageTooLarge(
            f"{_subject(param)} has {count / 1e6:.1f} MB; at most {limits.max_bytes / 1e6:g} MB are "
            "accepted. Send a smaller or more strongly compressed picture.",
            param=param,
        )


def check_size(width: int, height: int, limits: DecodeLimits, param: str | None) -> None:
    short, long = sorted((width, height))
    found = f"{_subject(param)} is {width} × {height} pixels"
    if width * height > limits.max_pixels:
        raise ImageTooLarge(
            f"{found}; at most {limits.max_pixels / 1e6:g} megapixels are accepted. Send a smaller picture.",
            param=param,
        )
    if short < limits.min_side:
        raise ImageInvalid(
            f"{found}; each side must have at least {limits.min_side}. Send a larger picture.", param=param
        )
    if long > limits.max_ratio * short:
        raise ImageInvalid(
            f"{found}; the long side may be at most {limits.max_ratio:g} times the short one. Crop it.",
            param=param,
        )


def damaged(param: str | None) -> ImageInvalid:
    message = f"{_subject(param)} is damaged or incomplete. Save it again with another program and send that."
    return ImageInvalid(message, param=param)


def animated(container: Container, param: str | None) -> ImageInvalid:
    name = {"png": "PNG", "webp": "WebP", "avif": "AVIF", "heic": "HEIC", "jpeg": "JPEG"}[container.format]
    return ImageInvalid(f"{_subject(param)} is an animated {name}. Send a still {ACCEPTED}.", param=param)

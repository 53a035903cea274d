"""`data:` URIs: pictures that come inside the request itself."""

import base64
import re
from urllib.parse import unquote_to_bytes

from mien.errors import ImageInvalid, ImageTooLarge

_SPACE = dict.fromkeys(map(ord, " \t\n\f\r"))
_BROKEN_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def decode_data_uri(text: str, max_bytes: int = 20_000_000, *, param: str | None = None) -> bytes:
    """Return the bytes that a `data:` URI (RFC 2397) holds, as base64 or percent-encoded.

    The media type is not looked at. Base64 may hold white space and lack its padding, as browsers allow;
    nothing else is forgiven. Raises `ImageTooLarge`, by the length of the text, and `ImageInvalid`.
    """
    subject = f"`{param}`" if param else "The picture"
    header, comma, payload = text.partition(",")
    scheme, _, options = header.partition(":")
    if scheme.lower() != "data" or not comma:
        raise ImageInvalid(f"{subject} is not a data: URI such as data:image/jpeg;base64,…", param=param)
    is_base64 = options.lower().replace(" ", "").endswith(";base64")
    try:
        if is_base64:
            # Some encoders write `+`, `/` and `=` with percent signs, since they stand in an address.
            payload = _unquote(payload).decode("ascii") if "%" in payload else payload
            payload = payload.translate(_SPACE).rstrip("=")
        size = len(payload) * 3 // 4 if is_base64 else len(payload) - 2 * payload.count("%")
        if size > max_bytes:
            raise ImageTooLarge(
                f"{subject} has {size / 1e6:.1f} MB; at most {max_bytes / 1e6:g} MB are accepted. Send a "
                "smaller or more strongly compressed picture.",
                param=param,
            )
        if is_base64:
            return base64.b64decode(payload + "=" * (-len(payload) % 4), validate=True)
        return _unquote(payload)
    except ValueError as error:
        encoding = "base64" if is_base64 else "percent-encoded"
        raise ImageInvalid(
            f"{subject} is a data: URI whose {encoding} data is not valid. Encode the file again.",
            param=param,
        ) from error


def _unquote(payload: str) -> bytes:
    """Like `unquote_to_bytes`, with `ValueError` where that would let mistakes pass."""
    if _BROKEN_PERCENT.search(payload):
        raise ValueError("a percent sign without two hexadecimal digits")
    return unquote_to_bytes(payload.encode("ascii"))

"""Words that requests and answers have for marks; here, so that who only speaks of them needs no pixels."""

from typing import Literal

# fmt: off
Language = Literal[
    "bg", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "hr", "hu", "it", "ja", "lt", "lv", "nl",
    "pl", "pt", "ro", "sk", "sl", "sv", "uk", "zh",
]
# fmt: on
"""Of a visible label."""

ExifPolicy = Literal["drop", "keep", "keep-with-gps"]
"""What becomes of the camera's EXIF."""

SignatureState = Literal["valid", "untrusted", "invalid", "absent"]
"""Of a manifest."""

"""Every text of the site, in each of its languages.

English texts are the keys. `texts/<language>.po` holds the others; they're read when the process starts, so
there is nothing to compile. Scripts in the browser get the texts that they use as JSON.
"""

from collections.abc import Mapping
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from starlette.requests import Request

DEFAULT = "en"
LANGUAGES: Mapping[str, str] = {"en": "English", "es": "Español"}
"""By their code, as their own speakers call them."""

COOKIE = "mien_language"
FOLDER = Path(__file__).parent / "texts"


def language_of(request: Request) -> str:
    """What the visitor chose, or else the best of what their browser asks for."""
    chosen = request.cookies.get(COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    wanted = (_quality(part) for part in request.headers.get("accept-language", "").split(","))
    known = [(quality, language) for quality, language in wanted if language in LANGUAGES and quality > 0]
    return max(known, key=lambda one: one[0])[1] if known else DEFAULT


@cache
def translations(language: str) -> NullTranslations:
    """The texts of a language for templates and Python."""
    if language == DEFAULT:
        return NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, read_catalog(language))
    compiled.seek(0)
    return GNUTranslations(compiled)


@cache
def texts_of_scripts(language: str) -> Mapping[str, str]:
    """The texts that scripts use, and what they show of refusals, by their English."""
    if language == DEFAULT:
        return {}
    return {
        str(message.id): str(message.string)
        for message in read_catalog(language)
        if any(path.endswith((".js", "refusals.py")) for path, _ in message.locations)
    }


def read_catalog(language: str) -> Catalog:
    """The catalogue as it's in the folder."""
    with (FOLDER / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)


def _quality(part: str) -> tuple[float, str]:
    """From `es-MX;q=0.8` to 0.8 and `es`."""
    name, _, parameter = part.partition(";")
    try:
        quality = float(parameter.strip().removeprefix("q=") or 1)
    except ValueError:
        quality = 0.0
    return quality, name.strip().lower().partition("-")[0]

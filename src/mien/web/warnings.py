"""What reports warn of, in the site's languages. Reports say it in English, with a code beside it."""

from collections.abc import Iterator, Mapping
from typing import Any

from babel.numbers import format_decimal, format_percent

from mien.web.languages import translations


def _(text: str) -> str:
    return text


_TEXTS = {
    "stranger": _("Face picture {number} seems to show somebody else. It was left out."),
    "mirrored_right": _(
        "The head in the face picture is turned to the right, so {mirrored} of the new face was mirrored "
        "from its other half. A face picture from the front looks better."
    ),
    "mirrored_left": _(
        "The head in the face picture is turned to the left, so {mirrored} of the new face was mirrored "
        "from its other half. A face picture from the front looks better."
    ),
    "pose_gap": _(
        "The two heads are turned {degrees}° apart. A face picture with a more similar view looks better."
    ),
    "low_resolution": _(
        "The face in the face picture is {times} times smaller than the one in the picture. A larger face "
        "picture brings more detail."
    ),
    "covered": _("Something covers about {covered} of the face in the picture. It was left in front."),
    "beard_kept": _("The beard in the picture was kept: the face picture can't replace it."),
    "weak_likeness": _(
        "The result resembles the face picture only weakly. Try a sharper one from the front."
    ),
}


def patterns(language: str) -> Mapping[str, str]:
    """The sentence for each code, with names in braces for what the report measured."""
    return {code: translations(language).gettext(text) for code, text in _TEXTS.items()}


def sentences(language: str, report: Mapping[str, Any]) -> Iterator[str]:
    """A report's warnings; those without a code that is known as they were said."""
    known = patterns(language)
    strangers = iter(report.get("strangers", ()))
    said: list[str] = report["warnings"]
    codes: list[str] = report.get("warning_codes") or [""] * len(said)
    for sentence, code in zip(said, codes, strict=True):
        if code not in known:
            yield sentence
            continue
        yield known[code].format(
            number=next(strangers, 0) + 1 if code == "stranger" else 0,
            mirrored=format_percent(report["mirrored"], locale=language),
            covered=format_percent(report["covered"], locale=language),
            degrees=format_decimal(round(report["pose_gap"]), locale=language),
            times=format_decimal(round(report["resolution_gap"], 1), locale=language),
        )

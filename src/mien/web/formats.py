"""Numbers, times and amounts as people of a language write them. Times are shown in UTC, and say so."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

from babel.dates import format_date, format_datetime, format_timedelta
from babel.numbers import format_currency, format_decimal, format_percent
from markupsafe import Markup

from mien.money import Money
from mien.web.languages import translations
from mien.web.warnings import sentences


def filters(language: str) -> Mapping[str, Callable[..., Any]]:
    """What templates of a language write behind a `|`."""
    return {
        "number": partial(_number, language),
        "percent": partial(format_percent, format="0%", locale=language),
        "size": partial(_size, language),
        "money": partial(_money, language),
        "day": partial(_day, language),
        "moment": partial(_moment, language),
        "span": partial(_span, language),
        "exponent": _exponent,
        # What the service said, where the catalogue has it.
        "said": translations(language).gettext,
        "warnings": partial(sentences, language),
    }


def _number(language: str, value: float, decimals: int = 0) -> str:
    return str(format_decimal(round(value, decimals), locale=language))


def _size(language: str, bytes: int) -> str:
    """In the unit that leaves a number below a thousand."""
    value, units = float(bytes), ["kB", "MB", "GB", "TB"]
    if bytes < 1000:
        return f"{_number(language, bytes)} B"
    unit = ""
    while value >= 1000 and units:
        value, unit = value / 1000, units.pop(0)
    return f"{_number(language, value, 1)} {unit}"


def _money(language: str, money: Money) -> str:
    return str(format_currency(money.amount, money.currency, locale=language))


def _day(language: str, value: date, format: str = "medium") -> str:
    return str(format_date(value, format, locale=language))


def _moment(language: str, value: datetime) -> Markup:
    moment = value.astimezone(UTC)
    text = format_datetime(moment, "medium", locale=language)
    return Markup('<time datetime="{}" data-local>{} UTC</time>').format(
        moment.isoformat("T", "seconds"), text
    )


def _exponent(chance: float) -> int:
    """The n of 1 in 10ⁿ, which is no less likely."""
    return math.floor(-math.log10(chance))


def _span(language: str, value: timedelta | float) -> str:
    """A length of time; a number counts seconds."""
    span = value if isinstance(value, timedelta) else timedelta(seconds=value)
    return str(format_timedelta(span, threshold=1, locale=language))

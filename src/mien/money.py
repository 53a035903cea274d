"""Amounts of money, counted in a currency's smallest units so that nothing is ever rounded."""

import re
from dataclasses import dataclass
from typing import Self

_AMOUNT = re.compile(r"(\d{1,9})(?:\.(\d{1,3}))?\s+([A-Z]{3})", re.ASCII)

# Digits behind the point, for the smallest units that payment providers count in; 2 for all others. Those of
# ISK and UGX, which have no smaller coins, are hundredths there all the same.
_WITHOUT_DECIMALS = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"}
)
_WITH_THREE = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})


@dataclass(frozen=True, slots=True)
class Money:
    """`units` of the smallest units of a currency (ISO 4217, in capitals): 300 and USD are $3.00."""

    units: int
    currency: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `3 USD`, `3.00 USD` or `500 JPY`. Raises `ValueError` in words for an operator."""
        match = _AMOUNT.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text.strip()!r} must look like 3.00 USD")
        whole, fraction, currency = match.groups(default="")
        digits = _digits(currency)
        if len(fraction) > digits:
            raise ValueError(f"{text.strip()!r} has more than the {digits} decimals of {currency}")
        return cls(int(whole + fraction.ljust(digits, "0")), currency)

    @property
    def amount(self) -> str:
        """The number alone: `3.00`."""
        digits = _digits(self.currency)
        whole, fraction = divmod(self.units, 10**digits)
        return f"{whole}.{fraction:0{digits}}" if digits else str(whole)

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


@dataclass(frozen=True, slots=True)
class Pack:
    """Credits that are sold together."""

    credits: int
    price: Money


def parse_packs(value: object) -> object:
    """Packs from `1500=3.00 USD, 5000=10.00 USD`; what is no text is left as it is."""
    if not isinstance(value, str):
        return value
    packs = []
    for part in filter(str.strip, value.split(",")):
        credits, equals, price = part.partition("=")
        if not (equals and credits.strip().isdecimal() and int(credits) > 0):
            raise ValueError(f"{part.strip()!r} must look like 1500=3.00 USD")
        packs.append(Pack(int(credits), Money.parse(price)))
    if any(pack.price.units == 0 for pack in packs):
        raise ValueError("a pack must have a price; credits are given away with `mien credits grant`")
    if len({pack.credits for pack in packs}) < len(packs):
        raise ValueError("two packs have the same credits")
    return tuple(packs)


def _digits(currency: str) -> int:
    return 0 if currency in _WITHOUT_DECIMALS else 3 if currency in _WITH_THREE else 2

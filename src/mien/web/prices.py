"""What a swap costs in money."""

from decimal import Decimal

from mien.settings import Settings


def price_per_face(settings: Settings) -> str | None:
    """In the smallest pack that is sold: `0.006 USD`; None where swaps are free or nothing is sold."""
    if not (settings.price_per_face and settings.packs):
        return None
    pack = min(settings.packs, key=lambda pack: pack.credits)
    price = Decimal(pack.price.amount) * settings.price_per_face / pack.credits
    return f"{price:.4f}".rstrip("0").rstrip(".") + f" {pack.price.currency}"

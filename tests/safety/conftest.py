"""People whose pictures tests may use."""

from pathlib import Path

import numpy as np
import openpeople
import pytest

from mien.images.codec import encode

PEOPLE = Path(openpeople.__file__).parent / "data" / "curated"


def picture_of(person: str, name: str) -> bytes:
    return (PEOPLE / person / "assets" / f"{name}.jpg").read_bytes()


@pytest.fixture(scope="session")
def ada() -> list[bytes]:
    """Three pictures of one person."""
    return [picture_of("P004", name) for name in ("studio_portrait", "amateur_selfie", "amateur_posture")]


@pytest.fixture(scope="session")
def ben() -> bytes:
    """A picture of somebody else."""
    return picture_of("P001", "studio_portrait")


@pytest.fixture(scope="session")
def crowd() -> bytes:
    """A picture with sixteen faces."""
    return picture_of("P004", "emotions_sheet")


@pytest.fixture(scope="session")
def nobody() -> bytes:
    """A picture without a face."""
    return encode(np.full((64, 64, 3), 128, np.uint8), "png")

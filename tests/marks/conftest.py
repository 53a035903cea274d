"""Pictures and a signer. The functions are fixtures, since test files share no modules."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.marks.certificates import SigningIdentity, make_development_identity, read_development_identity
from mien.marks.provenance import Signer

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="session")
def scene() -> Callable[..., Pixels]:
    """Something like a photograph: soft forms, an edge, and grain in one half."""

    def make(width: int, height: int, seed: int = 0) -> Pixels:
        random = np.random.default_rng(seed)
        y, x = np.mgrid[:height, :width] / max(height, width)
        waves = np.sin(9 * x + 4 * y) + np.sin(23 * y - 7 * x * y)
        light = 120 + 45 * waves + 30 * (x > 0.6) + random.normal(0, 6, (height, width)) * (y > 0.5)
        picture: Pixels = np.stack((light + 15, light, light - 20), axis=-1).clip(0, 255).astype(np.uint8)
        return picture

    return make


@pytest.fixture(scope="session")
def photo(scene: Callable[..., Pixels]) -> Pixels:
    picture = scene(1000, 800)
    picture.flags.writeable = False
    return picture


@pytest.fixture(scope="session")
def identity() -> SigningIdentity:
    return read_development_identity(make_development_identity())


@pytest.fixture(scope="session")
def signer(identity: SigningIdentity) -> Signer:
    return Signer.of(identity)

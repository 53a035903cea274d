"""What the network makes of pictures. No adult picture is at hand: shapes in the colours of skin, arranged so
that the network takes them for one, stand for it."""

import numpy as np
import pytest
from tests.safety.conftest import picture_of
from tests.safety.shapes import taken_for_adult

from mien.engine.swapper import SwapIdentity
from mien.errors import ContentBlocked
from mien.images.codec import decode
from mien.safety.adult import DOUBTFUL_FROM, REFUSED_FROM, AdultContent
from mien.safety.gate import Gate


@pytest.fixture(scope="module")
def adult() -> AdultContent:
    return AdultContent(threads=1)


def test_what_the_network_takes_for_adult_content_is_refused(adult: AdultContent) -> None:
    picture = taken_for_adult()
    assert adult.probability(picture) >= REFUSED_FROM
    gate = Gate(adult, alike_from=0.78)
    with pytest.raises(ContentBlocked) as refused:
        gate.check_target(picture)
    assert refused.value.param == "target"
    with pytest.raises(ContentBlocked):
        gate.check_result(picture)


def test_it_is_let_through_where_the_operator_allows_it() -> None:
    gate = Gate(None, alike_from=0.78)
    assert not gate.check_target(taken_for_adult())
    gate.check_result(taken_for_adult())


def test_portraits_are_far_from_being_refused(adult: AdultContent) -> None:
    for person in ("P001", "P004", "P007", "P010"):
        picture = decode(picture_of(person, "studio_portrait")).rgb
        assert adult.probability(picture) < DOUBTFUL_FROM
        assert not Gate(adult, alike_from=0.78).check_target(picture)


def test_the_size_of_a_picture_hardly_matters(adult: AdultContent, ben: bytes) -> None:
    large = decode(ben).rgb
    assert abs(adult.probability(large) - adult.probability(large[::3, ::3].copy())) < 0.05


def test_a_list_of_nobody_refuses_nobody() -> None:
    someone = np.full(1024, 1 / 32, np.float32)
    Gate(None, alike_from=0.78).check_identities([SwapIdentity(someone, someone)])

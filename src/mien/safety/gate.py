"""What an engine process refuses, before anything of a swap is marked, sent or stored."""

from collections.abc import Iterable
from typing import Final

import structlog

from mien.engine.arrays import RGB, Float
from mien.engine.swapper import SwapIdentity
from mien.errors import ContentBlocked
from mien.safety.adult import DOUBTFUL_FROM, REFUSED_FROM, AdultContent
from mien.safety.likeness import FaceList

logger = structlog.get_logger(__name__)

_ADULT: Final = "seems to show adult content, which this service doesn't allow. Send another one."
_LISTED: Final = (
    "looks like somebody who has asked this service not to swap their face. Send a picture of somebody else."
)


class Gate:
    """adult: None allows all. alike_from: the similarity from which a face is taken for one of `listed`."""

    def __init__(self, adult: AdultContent | None, alike_from: float) -> None:
        self._adult, self._alike_from = adult, alike_from
        self.listed = FaceList.empty()

    def check_target(self, target: RGB) -> bool:
        """Whether the result needs a look as well. Raises `ContentBlocked`."""
        if self._adult is None:
            return False
        probability = self._adult.probability(target)
        if probability >= REFUSED_FROM:
            logger.info("adult content refused", picture="target", probability=round(probability, 2))
            raise ContentBlocked(f"The picture {_ADULT}", param="target")
        return probability >= DOUBTFUL_FROM

    def check_result(self, result: RGB) -> None:
        """Raises `ContentBlocked`."""
        if self._adult is None:
            return
        probability = self._adult.probability(result)
        if probability >= REFUSED_FROM:
            logger.info("adult content refused", picture="result", probability=round(probability, 2))
            raise ContentBlocked(f"The result {_ADULT}", param="target")

    def check_identities(self, identities: Iterable[SwapIdentity]) -> None:
        """Raises `ContentBlocked` for a swap of a listed face or onto one."""
        for swap, identity in enumerate(identities):
            if self._is_listed(identity.source):
                raise ContentBlocked(f"The face to put in {_LISTED}", param="source", swap=swap)
            if self._is_listed(identity.target):
                raise ContentBlocked(f"The face to change {_LISTED}", param="target", swap=swap)

    def _is_listed(self, embedding: Float) -> bool:
        found = self.listed.most_alike(embedding)
        if found is None or found.similarity < self._alike_from:
            return False
        # For the operator alone, who can remove what was listed in bad faith.
        logger.info("listed face refused", listed=found.id, similarity=round(found.similarity, 3))
        return True

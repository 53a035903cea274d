"""Step 7, beards: whose the result wears. Never half a one."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from mien.engine.arrays import Float, Mask
from mien.engine.drawing import area, disc, soften
from mien.engine.hair import Hair
from mien.engine.raster import Raster
from mien.engine.topology import LOWER_FACE, OUTER_LIPS, STRIPS

RIM, SOME, ALL = 0.05, 0.3, 0.6
"""A beard grows over the jaw when it covers some of the jaw's rim, so many face widths wide; what may be a
shadow, when it covers all of it."""

TIP, TIP_CONTRAST = 0.25, 30.0
"""Of hair that differs so much from the skin a mere tip would be seen, as of a moustache. There so little of
it counts."""

HANGING = 0.2
"""A beard hangs when it goes on beyond such a share of the jaw."""

OTHER_HAIR = 10.0
"""From this difference of Lab colour on two beards, each against its own skin, don't match."""


@dataclass(frozen=True)
class Beard:
    """Where a face's beard grows on the result's raster, float32[rows, columns] in [0, 1], and its hair."""

    where: Float
    hair: Hair


def beard_worn(
    raster: Raster, target: Beard, source: Beard, width: float
) -> Literal["source", "target"] | None:
    """Whose beard the result wears up to the jaw and over it; None: nobody's.

    What ends within the face comes and goes with its skin. What of the target's reaches beyond can't be taken
    away; so all of it stays, unless it ends at the jaw and the source's matches it.

    width: of the face, in cells, here and below.
    """
    rim = jaw_rim(raster, width)
    over_jaw = crosses(rim, target)
    tip = has_tip(rim, target)
    ours = crosses(rim, source)
    if not over_jaw and not tip:
        return "source" if ours else None
    hangs = target.hair.beyond > HANGING
    differ = np.linalg.norm(target.hair.colour - source.hair.colour) > OTHER_HAIR
    return "source" if over_jaw and ours and not hangs and not differ else "target"


def jaw_rim(raster: Raster, width: float) -> Mask:
    """bool[rows, columns]: the lower face along its outline."""
    face = area(raster, *STRIPS)
    depth = cv2.distanceTransform(face, cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray((depth > 0) & (depth <= width * RIM) & area(raster, LOWER_FACE).astype(bool))


def crosses(rim: Mask, beard: Beard) -> bool:
    """Whether there is hair on enough of the jaw's rim."""
    share = float((beard.where[rim] > 0.5).mean()) if rim.any() else 0.0
    return share > SOME if beard.hair.is_sure else share > ALL and beard.hair.is_likely


def has_tip(rim: Mask, beard: Beard) -> bool:
    """Whether hair that strikes the eye reaches the jaw's rim anywhere."""
    strikes = beard.hair.is_sure and beard.hair.contrast > TIP_CONTRAST
    return strikes and bool((beard.where[rim] > TIP).any())


def beard_mask(raster: Raster, where: Float, width: float) -> Float:
    """A beard, float32[rows, columns], closed, with the lips that it surrounds."""
    hair = cv2.morphologyEx((where > 0.35).astype(np.uint8), cv2.MORPH_CLOSE, disc(width * 0.06)).astype(bool)
    lips = area(raster, OUTER_LIPS, hull=True).astype(bool)
    surrounded = lips & (soften(hair, width * 0.08) > 0.3)
    return soften(hair | surrounded, width * 0.02)

"""Step 7, glasses: whole ones, or none. All in the square crop of the occlusion network."""

import cv2
import numpy as np

from mien.engine.arrays import Float, Mask
from mien.engine.drawing import face_outline, filled
from mien.engine.geometry import smoothstep
from mien.engine.topology import LEFT_BROW, LEFT_EYE, RIGHT_BROW, RIGHT_EYE

DARK_LENSES = 0.4
"""Lenses of which more than this share is opaque hide the eyes, and so are one piece with their frame."""

FRAME = 4
"""Frames reach so many pixels of the crop into what is found as glasses."""

WORN, SURELY_WORN, LEAST_WORN = 0.3, 0.5, 150
"""Where the network finds glasses, and where surely; if that is fewer pixels of the crop, there are none."""

BRIDGE, MARGIN, DROP = 12, 5.5, 2
"""Gaps twice as wide are closed between lenses, in pixels of the crop; how far what glasses frame reaches
beyond them, with rims, shadows and reflections; and how much lower all of it lies, since the network finds
glasses up to the brows above them."""

ALL_ROUND, NOSEWARD, REACH = 0.97, 50.0, 70
"""A frame is found whole if it is met on this share of the ways out of its lenses: those further than so many
degrees from the way to the other eye, and so many pixels of the crop long at most."""

BROWS, FROWN = 0.3, 4
"""Glasses found over a larger share of the brows have them altogether, and what is between and so many pixels
around."""

SOFT = 5
"""Pixels over which what glasses frame ends."""


def worn_glasses(glasses: Float) -> Mask:
    """bool[h, w]: where they are, with lenses; nowhere if the network isn't sure of them."""
    surely = (glasses > SURELY_WORN).sum() >= LEAST_WORN
    return np.asarray((glasses > WORN) & surely)


def framed_by(worn: Mask, points: Float) -> Float:
    """All that glasses frame, the skin around, and brows that they touch: float32[h, w].

    worn: bool[h, w]. points: [468, 2] in pixels of the crop.
    """
    if not worn.any():
        return np.zeros(worn.shape, np.float32)
    closed = cv2.distanceTransform((~worn).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) <= BRIDGE
    depth = cv2.distanceTransform(closed.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    framed = np.clip((depth - (BRIDGE - MARGIN)) / SOFT, 0, 1)
    framed = np.pad(framed, ((DROP, 0), (0, 0)))[:-DROP]
    if worn[filled(points, len(worn), RIGHT_BROW, LEFT_BROW) > 0.5].mean() > BROWS:
        brows = np.concatenate([RIGHT_BROW, LEFT_BROW])
        hull = cv2.convexHull(points[brows].astype(np.float32), returnPoints=False).ravel()
        frown = cv2.dilate(filled(points, len(worn), brows[hull]), np.ones((2 * FROWN + 1,) * 2, np.uint8))
        framed = np.maximum(framed, cv2.blur(frown, (SOFT, SOFT)))
    return np.asarray(framed, np.float32)


def met_all_round(covers: Float, worn: Mask, points: Float) -> float:
    """Share of the ways from the eyes out of glasses, but not across the nose, on which their frame is met.

    covers: float32[h, w]. worn, points: as in `framed_by`.
    """
    eyes = np.stack([points[ring].mean(axis=0) for ring in (RIGHT_EYE, LEFT_EYE)])
    across = np.degrees(np.arctan2(*(eyes[1] - eyes[0])[::-1]))
    face = face_outline(points, len(worn)) > 0
    met = []
    for eye, noseward in zip(eyes, (across, across + 180), strict=True):
        ways = np.radians(noseward + np.arange(NOSEWARD, 360 - NOSEWARD, 10))
        way = np.stack([np.cos(ways), np.sin(ways)], axis=1)
        steps = np.round(eye + way[:, None] * np.arange(REACH)[:, None]).astype(int).clip(0, len(worn) - 1)
        x, y = steps[..., 0], steps[..., 1]
        inside = np.logical_and.accumulate(worn[y, x], axis=1)
        leaving = np.take_along_axis(
            face[y, x], inside.sum(axis=1, keepdims=True).clip(max=REACH - 1), axis=1
        )
        met.append(((covers[y, x] > 0.5) & inside).any(axis=1)[leaving[:, 0]])
    found = np.concatenate(met)
    return float(found.mean()) if found.size else 1.0


def whole_glasses(covers: Float, glasses: Float) -> Float:
    """`covers` with glasses in one piece: dark lenses altogether, frames without gaps."""
    worn = (glasses > 0.5).astype(np.uint8)
    lenses = cv2.erode(worn, np.ones((2 * FRAME + 1, 2 * FRAME + 1), np.uint8)).astype(bool)
    if not lenses.any():
        return covers
    if covers[lenses].mean() > DARK_LENSES:
        return np.maximum(covers, glasses)
    return np.where(worn, smoothstep(covers, 0.1, 0.5), covers).astype(np.float32)

"""Where things are on the 478-point face mesh (MediaPipe's numbering).

"Right" and "left" are the *person's*: the right eye lies left in a picture that is not mirrored.
Rings run around their hole and close on themselves.
"""

from functools import cache

import numpy as np

from mien.engine.arrays import Float, Index
from mien.engine.models import load_table

MESH_POINTS = 468
"""Points with triangles; the ten behind them are the irises."""


def _index(*points: int) -> Index:
    array = np.array(points, np.intp)
    array.flags.writeable = False
    return array


OVAL = _index(
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip

_MIDLINE = (
    10, 151, 9, 8, 168, 6, 197, 195, 5, 4, 1, 19, 94, 2, 164, 0, 11, 12, 13, 14, 15, 16, 17, 18, 200, 199,
    175, 152,
)  # fmt: skip
_RIGHT_MERIDIAN = (103, 104, 105, 53, 225, 226, 31, 117, 50, 187, 214, 210, 169, 150)
_LEFT_MERIDIAN = (332, 333, 334, 283, 445, 446, 261, 346, 280, 411, 434, 430, 394, 379)

STRIPS = (
    _index(*_RIGHT_MERIDIAN, *OVAL[23:33]),
    _index(*_MIDLINE, *OVAL[19:22], *_RIGHT_MERIDIAN[::-1], *OVAL[34:]),
    _index(*_MIDLINE, *OVAL[17:14:-1], *_LEFT_MERIDIAN[::-1], *OVAL[2:0:-1]),
    _index(*_LEFT_MERIDIAN, *OVAL[13:3:-1]),
)
"""Rings around four strips from forehead to chin, through the cheeks and down the middle. Of a turned head
nose, lips and far cheek stand out over `OVAL`; these together are all that is seen of a face."""

RIGHT_EYE = _index(33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = _index(263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
"""Lid lines, outer corner first, then the lower lid; the inner corner is number 8."""

RIGHT_IRIS = _index(468, 469, 470, 471, 472)
LEFT_IRIS = _index(473, 474, 475, 476, 477)
"""Centre first."""

EYES = ((RIGHT_EYE, RIGHT_IRIS), (LEFT_EYE, LEFT_IRIS))

RIGHT_BROW = _index(70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
LEFT_BROW = _index(300, 293, 334, 296, 336, 285, 295, 282, 283, 276)

OUTER_LIPS = _index(
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185
)  # fmt: skip
INNER_LIPS = _index(
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191
)  # fmt: skip
"""Both run from the right corner over the lower lip to the left corner (number 10) and back over the
upper; point k of one faces point k of the other."""

MOUTH_CORNERS = _index(61, 291)
"""The right one first."""

LOWER_FACE = _index(
    234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454,
    426, 327, 2, 98, 206,
)  # fmt: skip
"""Where a beard grows: cheeks below the ears, around the mouth, chin."""

RIGID = _index(33, 263, 133, 362, 6, 197, 195, 5, 4, 168, 1, 2, 127, 356, 234, 454, 10, 151, 9, 8)
"""Points that hardly move with expression: eye corners, nose, temples, forehead."""

RIGHT_EYE_OUTER, LEFT_EYE_OUTER = 33, 263
FOREHEAD, NOSE_TIP, NOSE_BASE = 10, 4, 2


@cache
def triangles() -> Index:
    """int[898, 3]: a disc without holes, bounded by `OVAL`."""
    return load_table("canonical_face_468.npz")["triangles"].astype(np.intp)


@cache
def mirror() -> Index:
    """int[468]: for each point, the point on the face's other side."""
    vertices = load_table("canonical_face_468.npz")["vertices_cm"].astype(np.float64)
    mirrored = vertices * [-1, 1, 1]
    distance = np.linalg.norm(mirrored[:, None] - vertices[None], axis=2)
    return np.asarray(distance.argmin(axis=1))


@cache
def mirror_with_irises() -> Index:
    """int[478]: the same of all points. An iris is its centre, then what is right, above, left and below
    in the picture."""
    turned = [0, 3, 2, 1, 4]
    return np.concatenate([mirror(), LEFT_IRIS[turned], RIGHT_IRIS[turned]])


@cache
def sideways() -> Float:
    """float[468]: where each point lies across the face, in eye distances, positive on the person's left."""
    x = load_table("canonical_face_468.npz")["vertices_cm"][:, 0].astype(np.float64)
    return np.asarray(x / (x[LEFT_EYE_OUTER] - x[RIGHT_EYE_OUTER]))

"""What stands in front of a face: hair, hands, glasses, masks, anything. And whether it wears a beard.

A small network of our own (`tools/train_occlusion.py`) looks at the face upright in a square crop; its answer
is drawn to the picture's own edges (guided filter, He, Sun & Tang 2010).
"""

from dataclasses import dataclass

import cv2
import numpy as np

from mien.engine.arrays import RGB, Float
from mien.engine.beards import Beard
from mien.engine.drawing import face_outline
from mien.engine.geometry import smoothstep
from mien.engine.glasses import ALL_ROUND, framed_by, met_all_round, whole_glasses, worn_glasses
from mien.engine.hair import Hair, measure_hair
from mien.engine.landmarks import aligned_crop, warp_crop
from mien.engine.models import Network
from mien.engine.raster import Raster
from mien.engine.scaling import Pyramid
from mien.engine.scene import Scene
from mien.engine.topology import (
    LEFT_EYE_OUTER,
    MESH_POINTS,
    RIGHT_EYE_OUTER,
    mirror,
)

CROP = 160
EXTENT = 1.3
"""Side of the network's crop, in lengths of the face."""

EDGE, SOURCE_EDGE, TOLERANCE = 0.025, 8, 0.05
"""How far a cover's edge is drawn to the picture's edges, in face widths of the target, and a fringe's in
pixels of the source's crop; and what difference of colour, in [0, 1], is none."""

SURE = (0.25, 0.75)
"""Below the first nothing is in front, above the second all of it is: better a bit too much of the target
than half of a thing."""

DOUBT, RIM, SOFT = (0.4, 0.75), 5, 5
"""The same for what hides the source; and how many pixels of the crop it is widened by, shadows included, and
softened by."""

FAINT = (0.25, 0.6)
"""The same for a source's fringe, whose tips are thin, and for its beard."""

Sides = tuple[Float, Float]
"""As a cell shows the source, and as it shows the other half of the source's face."""


@dataclass(frozen=True)
class Covering:
    """Of target and source, on the cells of the result's raster; float32[rows, columns] in [0, 1].

    front: what stands before the target's face. framed: what glasses frame that are not found whole; nothing
    if they are. beard: the target's. hidden: what stands before the source's face. source_beards: where its
    beard grows. source_hair: the beard's hair.
    """

    front: Float
    framed: Float
    beard: Beard
    hidden: Sides
    source_beards: Sides
    source_hair: Hair

    @property
    def source_beard(self) -> Beard:
        """On either side, since a half may be mirrored."""
        return Beard(np.maximum(*self.source_beards), self.source_hair)

    @property
    def over_target(self) -> Float:
        """What of the target's face is no bare skin."""
        return np.maximum(self.front, self.beard.where)

    @property
    def over_source(self) -> tuple[Float, Float]:
        """The same of the source's, on its own side and on the other one."""
        here, there = (np.maximum(*both) for both in zip(self.hidden, self.source_beards, strict=True))
        return here, there


@dataclass(frozen=True)
class Occlusion:
    """float32[CROP, CROP] each, in [0, 1]. covers: something opaque in front of the face, with the frames of
    glasses and dark lenses. framed: all that glasses frame, with them; of a target, if `covers` lacks a part
    of their frame, else nothing. beard: hair of the face itself.

    hair: the beard's. crop_from_picture: float64[2, 3].
    """

    covers: Float
    framed: Float
    beard: Float
    hair: Hair
    crop_from_picture: Float

    def on_mesh(self, raster: Raster, points: Float) -> tuple[Float, Float, Float]:
        """`covers`, `framed` and `beard` where a raster's cells show a face whose mesh in the picture is
        `points`, [468, ≥2]: float32[rows, columns] each."""
        x, y = cv2.split(raster.interpolate(moved(points, self.crop_from_picture)))

        def bring(plane: Float) -> Float:
            if not plane.any():
                return np.zeros(raster.ids.shape, np.float32)
            # Triangles seen edge-on, as beside the nose, read far off in single cells.
            return np.asarray(cv2.medianBlur(cv2.remap(plane, x, y, cv2.INTER_LINEAR), 3), np.float32)

        return bring(self.covers), bring(self.framed), bring(self.beard)

    def shows(self, points: Float) -> bool:
        """Whether nothing opaque stands before most of `points`, [N, ≥2], of the picture."""
        x, y = np.round(moved(points, self.crop_from_picture)).astype(int).clip(0, CROP - 1).T
        return bool((self.covers[y, x] < 0.5).mean() > 0.5)


def find_covering(
    scene: Scene, picture: Pyramid, points: Float, network: Network
) -> tuple[Float, Float, Beard]:
    """`front`, `framed` and `beard` of `Covering`: look at the target's face as it is, whoever is put in.

    points: float32[478, 3], its mesh in `picture`.
    """
    raster = scene.raster
    target = find_occlusion(picture, points, network)
    front, framed, beard = target.on_mesh(raster, points[:MESH_POINTS])
    radius = scene.face_width / raster.cell * EDGE
    drawn = follow_edges(front, raster.reduce(scene.face), radius, TOLERANCE)
    return smoothstep(drawn, *SURE).astype(np.float32), framed, Beard(beard, target.hair)


def covering_of_source(raster: Raster, source: Occlusion, points: Float) -> tuple[Sides, Sides]:
    """`hidden` and `source_beards` of `Covering`: bring what is known of the source to the result's cells.

    source: from `find_source_occlusion`, of the face with the mesh `points`, float32[478, 3]. What its
    glasses hide on one side they hide on both, or the one side would bring the other's rim back.
    """
    points = points[:MESH_POINTS]
    here, there = (source.on_mesh(raster, side) for side in (points, points[mirror()]))
    glasses = np.maximum(here[1], there[1])
    return (np.maximum(here[0], glasses), np.maximum(there[0], glasses)), (here[2], there[2])


def find_source_occlusion(picture: Pyramid, points: Float, network: Network) -> Occlusion:
    """What hides a source's face, whose mesh is `points`, float32[478, ≥2].

    Nothing is lost where a little more is thought hidden, and the tips of a fringe would show, so it is wider
    than a target's. A beard hides nothing, however near it is to what lies beyond the jaw.
    """
    seen = _look_at(picture, points, network)
    worn = worn_glasses(seen.glasses)
    others = np.where(worn, 0, seen.covers)
    fringe = follow_edges(others, seen.crop, SOURCE_EDGE, TOLERANCE)
    eyes = seen.points[[RIGHT_EYE_OUTER, LEFT_EYE_OUTER], 1].mean()
    fringe[max(0, int(eyes)) :] = 0
    hidden = np.maximum(smoothstep(others, *DOUBT), smoothstep(fringe, *FAINT)).astype(np.float32)
    wide = cv2.dilate(hidden, np.ones((RIM, RIM), np.uint8))
    shaven = 1 - smoothstep(seen.beard, *FAINT)
    opaque = np.where(worn, whole_glasses(seen.covers, seen.glasses), 0)
    covers = np.maximum(cv2.blur(wide, (SOFT, SOFT)) * shaven, opaque).astype(np.float32)
    framed = framed_by(worn, seen.points)
    return Occlusion(covers, framed, seen.beard, seen.hair, seen.crop_from_picture)


def find_occlusion(picture: Pyramid, points: Float, network: Network) -> Occlusion:
    """What stands before a target's face, whose mesh is `points`, float32[478, ≥2].

    Better all that glasses frame is the target's than half a frame: thin and clear ones aren't found whole.
    """
    seen = _look_at(picture, points, network)
    covers = whole_glasses(seen.covers, seen.glasses)
    worn = worn_glasses(seen.glasses)
    torn = worn.any() and met_all_round(covers, worn, seen.points) < ALL_ROUND
    framed = framed_by(worn & torn, seen.points)
    return Occlusion(covers, framed, seen.beard, seen.hair, seen.crop_from_picture)


@dataclass(frozen=True)
class _Seen:
    """The network's answer, float32[CROP, CROP] each, to `crop`, uint8[CROP, CROP, 3], that shows a mesh at
    `points`, [468, 2]."""

    covers: Float
    glasses: Float
    beard: Float
    hair: Hair
    crop: RGB
    points: Float
    crop_from_picture: Float


def _look_at(picture: Pyramid, points: Float, network: Network) -> _Seen:
    crop_from_picture = aligned_crop(points, CROP, EXTENT)
    crop = warp_crop(picture, crop_from_picture, CROP)
    mesh = moved(points[:MESH_POINTS], crop_from_picture)
    planes = np.concatenate(
        [crop.transpose(2, 0, 1).astype(np.float32) / 255, face_outline(mesh, CROP)[None]]
    )
    covers, glasses, beard = network(planes[None])["layers"][0]
    beard, hair = measure_hair(crop, beard, covers, mesh)
    return _Seen(covers, glasses, beard, hair, crop, mesh, crop_from_picture)


def moved(points: Float, matrix: Float) -> Float:
    """[N, ≥2] by float64[2, 3]."""
    return np.asarray(points[:, :2] @ matrix[:, :2].T + matrix[:, 2])


def follow_edges(mask: Float, guide: RGB, radius: float, tolerance: float) -> Float:
    """Guided filter: a mask, float32[h, w] in [0, 1], drawn to the edges of `guide`, uint8[h, w, 3].

    radius: in pixels. tolerance: differences of colour in [0, 1] well below it are no edges. What the mask is
    as a linear function of colour is found at half the resolution (He & Sun 2015).
    """
    size = (mask.shape[1], mask.shape[0])
    half = (-(-size[0] // 2), -(-size[1] // 2))
    small, colours = (cv2.resize(image, half, interpolation=cv2.INTER_AREA) for image in (mask, guide))
    r, g, b = cv2.split(colours.astype(np.float32) / 255)
    window = (2 * round(radius / 2) + 1,) * 2

    def mean(values: Float) -> Float:
        return np.asarray(cv2.blur(values, window), np.float32)

    mean_mask, mean_r, mean_g, mean_b = (mean(plane) for plane in (small, r, g, b))
    own = tolerance**2
    rr, gg, bb = (mean(p * p) - m * m + own for p, m in ((r, mean_r), (g, mean_g), (b, mean_b)))
    rg, rb, gb = (
        mean(p * q) - m * n
        for p, q, m, n in ((r, g, mean_r, mean_g), (r, b, mean_r, mean_b), (g, b, mean_g, mean_b))
    )
    x, y, z = (mean(p * small) - m * mean_mask for p, m in ((r, mean_r), (g, mean_g), (b, mean_b)))
    # Cramer's rule for the symmetric 3 × 3 system of each pixel.
    a00, a01, a02 = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    a11, a12, a22 = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    determinant = rr * a00 + rg * a01 + rb * a02
    slope_r = (a00 * x + a01 * y + a02 * z) / determinant
    slope_g = (a01 * x + a11 * y + a12 * z) / determinant
    slope_b = (a02 * x + a12 * y + a22 * z) / determinant
    offset = mean_mask - slope_r * mean_r - slope_g * mean_g - slope_b * mean_b
    function = cv2.merge([mean(plane) for plane in (slope_r, slope_g, slope_b, offset)])
    slope_r, slope_g, slope_b, offset = cv2.split(cv2.resize(function, size, interpolation=cv2.INTER_LINEAR))
    r, g, b = cv2.split(guide.astype(np.float32) / 255)
    return np.asarray(np.clip(slope_r * r + slope_g * g + slope_b * b + offset, 0, 1), np.float32)

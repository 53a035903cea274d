"""Step 4: where the head is and how it is turned.

*Canonical frame*: x to the picture's right, y up, z towards the viewer, the mean face upright and frontal,
one unit between the outer eye corners.
"""

from dataclasses import dataclass

import numpy as np

from mien.engine.arrays import Float
from mien.engine.models import load_table
from mien.engine.topology import RIGID

FLIP = np.array([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class Pose:
    """A similarity transform: canonical = scale · rotation · (FLIP · image) + translation."""

    scale: float
    rotation: Float  # 3,3
    translation: Float  # 3

    def canonical_from_image(self, points: Float) -> Float:
        """[N, 3] of the picture to the canonical frame."""
        return np.asarray(self.scale * (points * FLIP) @ self.rotation.T + self.translation)

    def image_from_canonical(self, points: Float) -> Float:
        """The way back."""
        upright = (points - self.translation) / self.scale @ self.rotation
        return np.asarray(upright * FLIP, np.float32)

    @property
    def yaw(self) -> float:
        """Degrees; positive: the nose points to the picture's right."""
        forward = self._forward
        return float(np.degrees(np.arctan2(forward[0], forward[2])))

    @property
    def pitch(self) -> float:
        """Degrees; positive: the nose points up."""
        forward = self._forward
        return float(np.degrees(np.arctan2(forward[1], np.hypot(forward[0], forward[2]))))

    @property
    def roll(self) -> float:
        """Degrees; positive: the head leans clockwise in the picture."""
        across = self.rotation[0]
        return float(np.degrees(np.arctan2(-across[1], across[0])))

    @property
    def _forward(self) -> Float:
        """Where the canonical z axis points in the picture (x right, y up, z to the viewer)."""
        forward: Float = self.rotation[2]
        return forward


def estimate_pose(points: Float) -> Pose:
    """Pose of float32[478, 3] landmarks from the points that hardly move with expression."""
    mean_face = load_table("expression_basis.npz")["mean_face"]
    return Pose(*umeyama(points[RIGID] * FLIP, mean_face[RIGID]))


def angle_between(first: Pose, second: Pose) -> float:
    """Degrees between two head directions, roll left out."""
    cosine = float(first._forward @ second._forward)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def umeyama(source: Float, target: Float) -> tuple[float, Float, Float]:
    """Scale, rotation and translation that bring `source` [N, 3] closest to `target` (Umeyama 1991)."""
    mean_s, mean_t = source.mean(axis=0), target.mean(axis=0)
    centred_s, centred_t = source - mean_s, target - mean_t
    u, d, vt = np.linalg.svd(centred_t.T @ centred_s / len(source))
    sign = np.ones(3)
    if np.linalg.det(u) * np.linalg.det(vt) < 0:  # eq. 39: no reflections
        sign[-1] = -1
    rotation = u @ np.diag(sign) @ vt
    scale = float((d * sign).sum() / centred_s.var(axis=0).sum())
    return scale, rotation, mean_t - scale * rotation @ mean_s

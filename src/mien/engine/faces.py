"""Steps 2 to 4 together: a picture's faces, ready to be swapped, or the reason why not."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mien.engine.arrays import RGB, Float
from mien.engine.detection import Detections, detect, detect_largest, look_again, turned_back
from mien.engine.landmarks import eye_distance, find_landmarks
from mien.engine.models import Network
from mien.engine.pose import Pose, estimate_pose
from mien.engine.scaling import Pyramid
from mien.engine.topology import LEFT_EYE, MESH_POINTS, NOSE_TIP, RIGHT_EYE, mirror
from mien.errors import FaceUnusable, NoFaceFound, TargetIndexOutOfRange

Role = Literal["target", "source"]

UNCLEAR = "it is not clear enough: eyes, nose and mouth must be visible."

HIDDEN = "too much of it is hidden."

MIN_BOX = 32.0
MIN_EYE_DISTANCE = 16.0
MAX_YAW = 70.0
TURNED = 45.0
MAX_TURNED_UNREST = 0.03
MAX_MISMATCH = 0.25
MAX_UNREST = 0.08
DOUBTFUL_UNREST = 0.04
MIN_SHOWN = 0.5
"""Limits in pixels, degrees and eye distances. Mesh and detector err by about 0.06 eye distances on clear
faces; on faces that the mesh misses they disagree by 0.3 and more. A mesh whose passes lie more than 0.08
apart has found nothing to hold on to; from 0.04 on, as one face in eight has it, it may lie askew on a face
that isn't upright, so that other ways up are tried. Behind another face the mesh may jump over to that one:
then less than a third of its points lie in its own box, otherwise two thirds and more.

Yaw beyond `TURNED` is read too low, so it can't tell a full profile, on which the mesh is guesswork. What
tells is whether the mirrored picture gives the mirrored mesh: of 94 turned faces, those that differed by more
than 0.03 were full profiles, or had mouth or nose beside the face."""

SAME_FACE = 0.3
"""Boxes whose centres lie closer, in sides of a box, show one face, found in a picture and in it turned."""


@dataclass(frozen=True)
class Face:
    """A face in a picture. Angles in degrees, lengths in pixels, origin at the picture's upper left.

    box: x0, y0, x1, y1. landmarks: float32[478, 3]. yaw is positive when the nose points to the picture's
    right, pitch when it points up, roll when the head leans clockwise.
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: Float
    pose: Pose
    shown: float
    """Share of the landmarks that lie in the box, which ends where something hides the face."""
    problem: str | None
    """Why the face can't be swapped, in words; None when it can."""

    @property
    def usable(self) -> bool:
        return self.problem is None

    @property
    def clear(self) -> bool:
        """Whether the landmarks can be trusted, even if the face can't be swapped."""
        return self.problem not in (UNCLEAR, HIDDEN)

    @property
    def yaw(self) -> float:
        return self.pose.yaw

    @property
    def pitch(self) -> float:
        return self.pose.pitch

    @property
    def roll(self) -> float:
        return self.pose.roll

    @property
    def eye_distance(self) -> float:
        """Between the outer eye corners."""
        return eye_distance(self.landmarks)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON, without the landmarks."""
        return {
            "box": [round(value, 1) for value in self.box],
            "score": round(self.score, 4),
            "yaw": round(self.yaw, 1),
            "pitch": round(self.pitch, 1),
            "roll": round(self.roll, 1),
            "usable": self.usable,
            "problem": self.problem,
        }


class PictureFaces:
    """The faces of one picture, largest first: found at once, looked at closely only when asked for."""

    def __init__(self, image: RGB, detector: Network, mesh: Network, only_largest: bool = False) -> None:
        """image: uint8[H, W, 3] RGB. only_largest: face number 0 is all that will be asked for."""
        self.picture = Pyramid(image)
        self._detector, self._mesh = detector, mesh
        self._found = (detect_largest if only_largest else detect)(self.picture, detector)
        self._only_largest = only_largest
        self._looked_at: dict[int, Face] = {}
        self._turned: dict[int, PictureFaces] = {}

    def __len__(self) -> int:
        return len(self._found)

    @property
    def boxes(self) -> Float:
        """float32[N, 4] as x0, y0, x1, y1."""
        return self._found.boxes

    def __getitem__(self, index: int) -> Face:
        if index not in self._looked_at:
            self._looked_at[index] = _look_at(self.picture, self._found, index, self._detector, self._mesh)
        return self._looked_at[index]

    def all(self) -> tuple[Face, ...]:
        return tuple(self[index] for index in range(len(self)))

    def usable(self, index: int, role: Role, swap: int | None = None, picture: int | None = None) -> Face:
        """Face number `index`. Raises `NoFaceFound`, `TargetIndexOutOfRange` or `FaceUnusable`, which say
        that it is picture number `picture` of swap number `swap`."""
        name = f"{role} picture" if picture is None else f"{role} picture number {picture}"
        if not len(self):
            raise NoFaceFound(
                f"No face was found in the {name}. Use one that shows a face clearly, "
                "at least 32 pixels high.",
                param=role,
                swap=swap if role == "source" else None,
                picture=picture,
            )
        if not 0 <= index < len(self):
            count = len(self)
            many = "is 1 face" if count == 1 else f"are {count} faces"
            raise TargetIndexOutOfRange(
                f"There is no face number {index} in the {name}: there {many}, counted from 0 by size.",
                count=count,
                param=role,
                swap=swap,
                picture=picture,
            )
        face = self[index]
        if face.problem:
            raise FaceUnusable(
                f"The face in the {name} can't be used: {face.problem}",
                param=role,
                swap=swap,
                picture=picture,
            )
        return face

    def upright(self, index: int) -> "UprightFace":
        """Face number `index` of the picture turned by quarters until it's upright, and looked at again: so
        that it doesn't matter how a picture is turned."""
        turns = round(self[index].roll / 90) % 4
        if turns:
            turned = self._turned_by(turns)
            back = turned_back(turned._found, turns, turned.picture.image.shape[:2]).boxes
            apart = np.linalg.norm(_centres(back) - _centres(self.boxes[[index]]), axis=1)
            number = int(apart.argmin()) if len(back) else 0
            limit = SAME_FACE * float((self.boxes[index, 2:] - self.boxes[index, :2]).max())
            if len(back) and apart[number] < limit and turned[number].usable:
                return UprightFace(turned, number, turns)
        return UprightFace(self, index, 0)

    def _turned_by(self, turns: int) -> "PictureFaces":
        if turns not in self._turned:
            image = np.ascontiguousarray(np.rot90(self.picture.image, turns))
            self._turned[turns] = PictureFaces(image, self._detector, self._mesh, self._only_largest)
        return self._turned[turns]


@dataclass(frozen=True)
class UprightFace:
    """Face number `number` of a picture turned by `quarter_turns`, as `np.rot90` does."""

    faces: PictureFaces
    number: int
    quarter_turns: int

    @property
    def face(self) -> Face:
        return self.faces[self.number]

    @property
    def picture(self) -> Pyramid:
        return self.faces.picture


def _look_at(picture: Pyramid, found: Detections, index: int, detector: Network, mesh: Network) -> Face:
    box, score = found.boxes[index], float(found.scores[index])
    face, unrest = _fit(picture, box, box, score, found.keypoints[index], mesh)
    if face.problem != UNCLEAR and unrest < DOUBTFUL_UNREST:
        return face
    for quarter_turns in (0, 2, 1, 3):
        again = look_again(picture.image, box, quarter_turns, detector)
        if len(again):
            turned, less = _fit(picture, box, again.boxes[0], score, again.keypoints[0], mesh)
            if turned.usable and (face.problem == UNCLEAR or less < unrest):
                face, unrest = turned, less
        if face.usable and unrest < DOUBTFUL_UNREST:
            break
    return face


def _centres(boxes: Float) -> Float:
    return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2)


def _fit(
    picture: Pyramid, box: Float, around: Float, score: float, keypoints: Float, mesh: Network
) -> tuple[Face, float]:
    """The face in `box`, with its mesh sought in the box `around`, and how far that still moved."""
    landmarks, unrest = find_landmarks(picture, around, keypoints, mesh)
    pose = estimate_pose(landmarks)
    shown = _shown(box, landmarks, picture.image.shape)
    problem = _problem(box, keypoints, landmarks, unrest, pose, shown)
    if problem is None and abs(pose.yaw) > TURNED:
        apart = _turned_unrest(picture.image, around, keypoints, landmarks, mesh)
        problem = _turned_too_far(pose) if apart > MAX_TURNED_UNREST else None
    x0, y0, x1, y1 = (float(value) for value in box)
    face = Face(
        box=(x0, y0, x1, y1),
        score=score,
        landmarks=landmarks,
        pose=pose,
        shown=shown,
        problem=problem,
    )
    return face, unrest


def _shown(box: Float, landmarks: Float, shape: tuple[int, ...]) -> float:
    limit = np.array([shape[1], shape[0]], np.float32)
    points = np.clip(
        landmarks[:MESH_POINTS, :2], 0, limit
    )  # the border hides nothing of what the picture has
    return float(((points >= box[:2] - 1) & (points <= box[2:] + 1)).all(axis=1).mean())


def _problem(
    box: Float, keypoints: Float, landmarks: Float, unrest: float, pose: Pose, shown: float
) -> str | None:
    # The mesh network's own score stays near 1 on anything, so its result is held against the detector's.
    distance = eye_distance(landmarks)
    if (box[2:] - box[:2]).max() < MIN_BOX or distance < MIN_EYE_DISTANCE:
        return f"it is too small ({box[2] - box[0]:.0f} × {box[3] - box[1]:.0f} pixels)."
    if abs(pose.yaw) > MAX_YAW:
        return _turned_too_far(pose)
    expected = np.stack(
        [landmarks[RIGHT_EYE, :2].mean(axis=0), landmarks[LEFT_EYE, :2].mean(axis=0), landmarks[NOSE_TIP, :2]]
    )
    mismatch = np.linalg.norm(expected - keypoints[:3], axis=1).mean() / distance
    if mismatch > MAX_MISMATCH or unrest > MAX_UNREST:
        return UNCLEAR
    if shown < MIN_SHOWN:
        return HIDDEN
    return None


def _turned_too_far(pose: Pose) -> str:
    side = "right" if pose.yaw > 0 else "left"
    return f"it is turned too far to the {side} (about {abs(pose.yaw):.0f}°)."


def _turned_unrest(image: RGB, box: Float, keypoints: Float, landmarks: Float, mesh: Network) -> float:
    """How far the mesh is from the mirrored mesh of the mirrored picture, in eye distances."""
    extent = float((box[2:] - box[:2]).max())
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(box[:2] - extent).astype(int), 0, [width, height])
    right, bottom = np.clip(np.ceil(box[2:] + extent).astype(int), 0, [width, height])
    mirrored = np.ascontiguousarray(image[top:bottom, left:right][:, ::-1])
    turn = np.array([right - 1, top], np.float32)

    def there(points: Float) -> Float:
        return (points - turn) * np.array([-1, 1], np.float32)

    corners = there(box.reshape(2, 2))
    mirrored_box = np.array([corners[1, 0], corners[0, 1], corners[0, 0], corners[1, 1]], np.float32)
    points, _ = find_landmarks(Pyramid(mirrored), mirrored_box, there(keypoints)[[1, 0, 2, 4, 3]], mesh)
    apart = points[:MESH_POINTS, :2][mirror()] - there(landmarks[:MESH_POINTS, :2])
    return float(np.linalg.norm(apart, axis=1).mean() / eye_distance(landmarks))

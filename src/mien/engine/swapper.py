"""The swap, step by step, in the order of the steps' modules."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.engine.blending import blend
from mien.engine.faces import Face, find_face, find_faces
from mien.engine.geometry import FADE, ResultShape, bend, result_shape
from mien.engine.grain import match_detail
from mien.engine.identity import embed
from mien.engine.inner import OPEN_MOUTH, mouth_inside, mouth_openness, tuck_lips, place_irises
from mien.engine.lighting import Light, Skin, estimate_light, relight, skin_of
from mien.engine.masks import Masks, face_masks
from mien.engine.models import Float, Network
from mien.engine.pose import angle_between
from mien.engine.report import Step, Stopwatch, SwapReport, warnings_for
from mien.engine.texture import Raster, SourcePatch, cut_source, normals, rasterise, sample, visibility
from mien.engine.topology import MESH_POINTS, OVAL, mirror

RGB = NDArray[np.uint8]

MIRROR_FROM = 0.02
"""Share of the visible face that the source must hide before mirroring is worth its time."""


@dataclass(frozen=True)
class SwapOptions:
    """shape: how much of the source's proportions the result takes; 0 keeps the target's, 1 is natural, up to
    1.5 for a stronger likeness."""

    shape: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.shape <= 1.5:
            raise ValueError(f"shape must lie between 0 and 1.5, not {self.shape}")


@dataclass(frozen=True)
class SwapResult:
    """image: uint8[H, W, 3] RGB of the target's size; outside the changed region bit-identical to it."""

    image: RGB
    report: SwapReport


class FaceSwapper:
    """Swaps faces on the CPU. Loads its networks once; one instance serves several threads at a time.

    threads: for the networks; None leaves the choice to the runtime. OpenCV's threads are the process's
    affair (`cv2.setNumThreads`).
    """

    def __init__(self, threads: int | None = None) -> None:
        self._detector = Network("centerface.onnx", threads or 0)
        self._mesh = Network("face_landmarks_478.onnx", threads or 0)
        self._embedder = Network("faceres_embedder.onnx", threads or 0)

    def detect(self, image: RGB) -> tuple[Face, ...]:
        """All faces of uint8[H, W, 3] RGB, largest first: the order that `target_index` counts in."""
        return find_faces(_checked(image, "image"), self._detector, self._mesh)

    def swap(
        self,
        target: RGB,
        source: RGB,
        target_index: int = 0,
        source_index: int = 0,
        options: SwapOptions = SwapOptions(),
        on_step: Callable[[Step], None] | None = None,
    ) -> SwapResult:
        """The face of `source` in the scene of `target`, both uint8[H, W, 3] RGB.

        `on_step` hears of each step before it begins; what it raises stops the swap.
        Raises `NoFaceFound`, `TargetIndexOutOfRange` or `FaceUnusable`, whose `param` is "target" or "source".
        """
        target, source = _checked(target, "target"), _checked(source, "source")
        clock = Stopwatch(on_step)

        clock.start("detecting")
        target_face, faces = find_face(target, target_index, "target", self._detector, self._mesh)
        source_face, _ = find_face(source, source_index, "source", self._detector, self._mesh)

        clock.start("shaping")
        shape = result_shape(
            source_face.landmarks,
            target_face.landmarks,
            source_face.pose,
            target_face.pose,
            options.shape,
        )
        scene = _scene(target, target_face, shape)

        clock.start("texturing")
        patch = cut_source(source, source_face.landmarks, scene.eye_distance / source_face.eye_distance)
        layers = _texture(scene, patch, source_face, target_face)

        clock.start("lighting")
        skin = skin_of(scene.raster, scene.face_width)
        target_light = estimate_light(scene.face, normals(target_face.landmarks), skin)
        face, source_light = _relit(layers, target_light, skin, scene)

        clock.start("masking")
        masks = face_masks(
            scene.raster,
            scene.points,
            target_face.landmarks,
            source_face.landmarks,
            target_light,
            source_light,
            skin,
            layers.seen,
            scene.face_width,
        )

        clock.start("blending")
        image = _composed(target, scene, face, masks, target_face)

        clock.start("reporting")
        return SwapResult(
            image,
            self._report(image, target, source, scene, target_face, source_face, faces, layers, masks, clock),
        )

    def _report(
        self,
        image: RGB,
        target: RGB,
        source: RGB,
        scene: "Scene",
        target_face: Face,
        source_face: Face,
        faces: int,
        layers: "Layers",
        masks: Masks,
        clock: Stopwatch,
    ) -> SwapReport:
        before = embed(target, target_face.landmarks, self._embedder)
        wanted = embed(source, source_face.landmarks, self._embedder)
        after = embed(image, scene.shape.points, self._embedder)
        similarity = float(after @ wanted)
        pose_gap = angle_between(source_face.pose, target_face.pose)
        resolution_gap = scene.eye_distance / source_face.eye_distance
        found = {"mirrored": layers.mirrored, "covered": masks.covered}
        kept = {"beard_kept": masks.beard, "eyes_kept": masks.eyes_kept}
        warnings = warnings_for(
            similarity_to_source=similarity,
            source_yaw=source_face.yaw,
            pose_gap=pose_gap,
            resolution_gap=resolution_gap,
            **found,
            **kept,
        )
        clock.stop()
        return SwapReport(
            similarity_to_source=round(similarity, 4),
            similarity_to_target=round(float(after @ before), 4),
            faces=faces,
            pose_gap=round(pose_gap, 1),
            expression_gap=round(float(np.linalg.norm(scene.shape.expression, axis=1).mean()), 4),
            resolution_gap=round(resolution_gap, 3),
            mirrored=round(layers.mirrored, 3),
            covered=round(masks.covered, 3),
            beard_kept=masks.beard,
            eyes_kept=masks.eyes_kept,
            warnings=warnings,
            milliseconds=clock.milliseconds,
        )


@dataclass(frozen=True)
class Scene:
    """The part of the target that changes.

    window: where it lies in the target. bent: uint8[h, w, 3], the window after the face's surroundings
    followed its new shape. inner: the face within the window. face: `bent` there. points: the result's mesh in
    pixels of `inner`. shape: the same in pixels of the target.
    """

    window: tuple[slice, slice]
    bent: RGB
    inner: tuple[slice, slice]
    points: Float
    raster: Raster
    shape: ResultShape
    eye_distance: float
    face_width: float

    @property
    def face(self) -> RGB:
        return self.bent[self.inner]


def _scene(target: RGB, target_face: Face, shape: ResultShape) -> Scene:
    eye_distance = target_face.eye_distance
    both = np.concatenate([target_face.landmarks[OVAL], shape.points[OVAL]])
    window = _window(both, FADE * eye_distance + 2, target.shape[:2])
    origin = np.array([window[1].start, window[0].start, 0], np.float32)
    bent = bend(target[window], target_face.landmarks - origin, shape.points - origin, eye_distance)
    inner = _window(shape.points[:MESH_POINTS] - origin, 4, bent.shape[:2])
    points = shape.points - origin - np.array([inner[1].start, inner[0].start, 0], np.float32)
    outline = points[OVAL, :2]
    # The longer side, since a turned face is narrow but no smaller.
    face_width = 0.85 * float((outline.max(axis=0) - outline.min(axis=0)).max())
    size = (inner[0].stop - inner[0].start, inner[1].stop - inner[1].start)
    raster = rasterise(points, size, face_width)
    return Scene(window, bent, inner, points, raster, shape, eye_distance, face_width)


def _window(points: Float, margin: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns around points, within the picture."""
    low = np.floor(points[:, :2].min(axis=0) - margin).astype(int)
    high = np.ceil(points[:, :2].max(axis=0) + margin).astype(int) + 1
    limit = np.array([shape[1], shape[0]])
    low, high = np.clip(low, 0, limit - 2), np.clip(high, 2, limit)
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


@dataclass(frozen=True)
class Layers:
    """The source's texture on the result's mesh.

    own, mirrored_side: uint8[h, w, 3] as seen, and from the other half of the face (None when not needed).
    own_share: float32[h, w] in [0, 1]. seen: float[468], how well each point is known from either side.
    mirrored: share of the visible face that comes from the other half.
    """

    own: RGB
    own_normals: NDArray[np.float64]
    mirrored_side: RGB | None
    own_share: Float
    seen: NDArray[np.floating]
    mirrored: float


def _texture(scene: Scene, patch: SourcePatch, source_face: Face, target_face: Face) -> Layers:
    raster, size = scene.raster, scene.face.shape[:2]
    opening = mouth_openness(target_face.landmarks)
    points = tuck_lips(patch.points, mouth_openness(patch.points), opening)

    coordinates = raster.interpolate(points[:MESH_POINTS])
    place_irises(coordinates, raster, scene.points, patch.points)
    own = sample(patch.image, raster.enlarge(coordinates, size))

    own_normals = normals(source_face.landmarks)
    here = visibility(own_normals)
    there = here[mirror()]
    share = (here + 0.05) / (here + there * (1 - here) + 0.05)
    wanted = visibility(normals(target_face.landmarks))
    mirrored = float(np.average(1 - share, weights=wanted))
    if mirrored < MIRROR_FROM:
        return Layers(own, own_normals, None, np.ones(size, np.float32), np.ones(MESH_POINTS), 0.0)
    coordinates = raster.interpolate(points[:MESH_POINTS][mirror()])
    other = sample(patch.image, raster.enlarge(coordinates, size))
    spread = raster.interpolate(share[:, None])[..., 0].clip(0, 1)
    seen = np.minimum(1, (np.maximum(here, there) + 0.3) / (wanted + 0.05))
    return Layers(own, own_normals, other, raster.enlarge(spread, size), seen, mirrored)


def _relit(layers: Layers, wanted: Light, skin: Skin, scene: Scene) -> tuple[Float, Light]:
    """Each half is lit by its own light in the source, so each is relit by itself."""
    own_light = estimate_light(layers.own, layers.own_normals, skin)
    face = relight(layers.own, own_light, wanted, skin)
    if layers.mirrored_side is not None:
        turned = layers.own_normals[mirror()] * [-1, 1, 1]
        other_light = estimate_light(layers.mirrored_side, turned, skin)
        other = relight(layers.mirrored_side, other_light, wanted, skin)
        share = layers.own_share[..., None]
        face = face * share + other * (1 - share)
    return face, own_light


def _composed(target: RGB, scene: Scene, face: Float, masks: Masks, target_face: Face) -> RGB:
    size = scene.face.shape[:2]
    mask = scene.raster.enlarge(masks.face, size)
    if mouth_openness(target_face.landmarks) > OPEN_MOUTH:
        inside, where = mouth_inside(scene.points, size, scene.face_width)
        mask = mask.copy()
        mask[where] *= 1 - inside
    face = match_detail(face, scene.face, mask > 0.9)
    bent = scene.bent.copy()
    bent[scene.inner] = blend(face, scene.face, mask)
    image = target.copy()
    image[scene.window] = bent
    return image


def _checked(image: RGB, name: str) -> RGB:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"{name} must be uint8[H, W, 3] RGB, not {image.dtype}{list(image.shape)}")
    return np.ascontiguousarray(image)

"""The swap, step by step, in the order of the steps' modules."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mien.engine.arrays import RGB
from mien.engine.blending import blend
from mien.engine.faces import Face, find_face, find_faces
from mien.engine.geometry import normals, result_shape
from mien.engine.grain import match_detail
from mien.engine.identity import embed
from mien.engine.inner import mouth_inside
from mien.engine.lighting import estimate_light, is_grey, relight_layers, skin_of, without_colour
from mien.engine.masks import face_masks
from mien.engine.models import Network
from mien.engine.pose import angle_between
from mien.engine.report import Step, Stopwatch, SwapReport, with_warnings
from mien.engine.scene import set_scene
from mien.engine.texture import cut_source, texture_layers


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

        `on_step` hears of each step before it begins; what it raises stops the swap. Raises `NoFaceFound`,
        `TargetIndexOutOfRange` or `FaceUnusable`, whose `param` is "target" or "source".
        """
        target, source = _checked(target, "target"), _checked(source, "source")
        clock = Stopwatch(on_step)

        clock.start("detecting")
        theirs, faces = find_face(target, target_index, "target", self._detector, self._mesh)
        ours, _ = find_face(source, source_index, "source", self._detector, self._mesh)

        clock.start("shaping")
        shape = result_shape(ours.landmarks, theirs.landmarks, ours.pose, theirs.pose, options.shape)
        scene = set_scene(target, theirs.landmarks, shape.points)

        clock.start("texturing")
        patch = cut_source(source, ours.landmarks, scene.eye_distance / ours.eye_distance)
        layers = texture_layers(scene.raster, scene.points, theirs.landmarks, patch)

        clock.start("lighting")
        skin = skin_of(scene.raster, scene.face_width)
        their_light = estimate_light(scene.face, normals(theirs.landmarks), skin)
        face, our_light = relight_layers(layers, their_light, skin)
        if is_grey(scene.bent):
            face = without_colour(face)

        clock.start("masking")
        masks = face_masks(
            scene.raster,
            skin,
            theirs.landmarks,
            ours.landmarks,
            their_light,
            our_light,
            layers.seen,
            scene.face_width,
        )
        mask = scene.raster.enlarge(masks.face)
        mouth = mouth_inside(
            scene.points, theirs.landmarks, ours.landmarks, scene.raster.shape, scene.face_width
        )
        mask = mask * (1 - mouth)

        clock.start("blending")
        face = match_detail(face, scene.face, mask > 0.9)
        image = scene.put_back(target, blend(face, scene.face, mask))

        clock.start("reporting")
        before, wanted, after = (
            embed(picture, points, self._embedder)
            for picture, points in (
                (target, theirs.landmarks),
                (source, ours.landmarks),
                (image, shape.points),
            )
        )
        clock.stop()
        report = SwapReport(
            similarity_to_source=round(float(after @ wanted), 4),
            similarity_to_target=round(float(after @ before), 4),
            faces=faces,
            pose_gap=round(angle_between(ours.pose, theirs.pose), 1),
            expression_gap=round(float(np.linalg.norm(shape.expression, axis=1).mean()), 4),
            resolution_gap=round(patch.scale, 3),
            mirrored=round(layers.mirrored, 3),
            covered=round(masks.covered, 3),
            beard_kept=masks.beard_kept,
            eyes_kept=masks.eyes_kept,
            warnings=(),
            milliseconds=clock.milliseconds,
        )
        return SwapResult(image, with_warnings(report, ours.yaw))


def _checked(image: RGB, name: str) -> RGB:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"{name} must be uint8[H, W, 3] RGB, not {image.dtype}{list(image.shape)}")
    return np.ascontiguousarray(image)

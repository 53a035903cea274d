"""The swap, step by step, in the order of the steps' modules."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mien.engine.arrays import RGB, Float
from mien.engine.blending import blend
from mien.engine.explanation import OnPicture, show_steps
from mien.engine.eyes import keep_eyes
from mien.engine.faces import Face, PictureFaces
from mien.engine.geometry import normals, result_shape
from mien.engine.grain import match_detail
from mien.engine.identity import embed
from mien.engine.lighting import bare_skin, estimate_light, is_grey, relight_layers, skin_of, without_colour
from mien.engine.masks import Masks, face_masks
from mien.engine.models import Network
from mien.engine.mouth import mouth_inside
from mien.engine.neighbours import Neighbour, neighbours_of
from mien.engine.occlusion import find_covering
from mien.engine.pose import angle_between
from mien.engine.report import Step, Stopwatch, SwapReport, assessed
from mien.engine.scaling import Pyramid
from mien.engine.scene import Scene, set_scene
from mien.engine.sources import Source, SourcePicture, find_source
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
class FaceSwap:
    """One face of the target and whose face it gets.

    sources: uint8[H, W, 3] RGB each, one picture of a person or several of the same. source_index: which face
    of the first one; of the others the face most like it is taken.
    """

    sources: tuple[RGB, ...]
    target_index: int = 0
    source_index: int = 0


@dataclass(frozen=True)
class SwapResult:
    """image: uint8[H, W, 3] RGB of the target's size; outside the changed region bit-identical to it."""

    image: RGB
    report: SwapReport


@dataclass(frozen=True)
class SwapIdentity:
    """Whom a swap is about: float32[1024] of unit length, of who is put in and of who is replaced."""

    source: Float
    target: Float


@dataclass(frozen=True)
class SwapsResult:
    """image: as in `SwapResult`. reports: one for each swap, in their order. boxes: float32[N, 4] of x0, y0,
    x1, y1, of all faces of the picture, also those that weren't swapped. identities: one for each swap."""

    image: RGB
    reports: tuple[SwapReport, ...]
    boxes: Float
    identities: tuple[SwapIdentity, ...]


class FaceSwapper:
    """Swaps faces on the CPU. Loads its networks once; one instance serves several threads at a time.

    threads: for the networks; None leaves the choice to the runtime. OpenCV's threads are the process's
    affair (`cv2.setNumThreads`).
    """

    def __init__(self, threads: int | None = None) -> None:
        self._detector = Network("centerface.onnx", threads or 0)
        self._mesh = Network("face_landmarks_478.onnx", threads or 0)
        self._embedder = Network("faceres_embedder.onnx", threads or 0)
        self._occlusion = Network("face_occlusion.onnx", threads or 0)

    def detect(self, image: RGB) -> tuple[Face, ...]:
        """All faces of uint8[H, W, 3] RGB, largest first: the order that `target_index` counts in."""
        return self._faces(_checked(image, "image")).all()

    def identify(self, image: RGB, face: Face) -> Float:
        """Whose face that is: float32[1024] of unit length; compare two by their dot product."""
        return embed(Pyramid(image), face.landmarks, self._embedder)

    def swap(
        self,
        target: RGB,
        source: RGB | Sequence[RGB],
        target_index: int = 0,
        source_index: int = 0,
        options: SwapOptions = SwapOptions(),
        on_step: Callable[[Step], None] | None = None,
        on_picture: OnPicture | None = None,
    ) -> SwapResult:
        """The face of `source` in the scene of `target`, both uint8[H, W, 3] RGB.

        `source` may be several pictures of one person. All else is as in `swap_faces`, for one face.
        """
        sources = (source,) if isinstance(source, np.ndarray) else tuple(source)
        swaps = [FaceSwap(sources, target_index, source_index)]
        result = self.swap_faces(target, swaps, options, on_step, on_picture)
        return SwapResult(result.image, result.reports[0])

    def swap_faces(
        self,
        target: RGB,
        swaps: Sequence[FaceSwap],
        options: SwapOptions = SwapOptions(),
        on_step: Callable[[Step], None] | None = None,
        on_picture: OnPicture | None = None,
    ) -> SwapsResult:
        """Several faces of `target`, uint8[H, W, 3] RGB, at once. The order of `swaps` doesn't matter.

        Each face is made from the untouched target, and each pixel belongs to one face, so that neighbours
        don't show in each other. `on_step` hears of each step before it begins: of the detection once, of the
        others for each face; what it raises stops the swap. `on_picture` is shown each face's intermediate
        pictures. Raises `NoFaceFound`, `TargetIndexOutOfRange` or `FaceUnusable`, whose `param` is "target"
        or "source"; `swap` and `picture` say more.
        """
        target = _checked(target, "target")
        _check_swaps(swaps)
        clock = Stopwatch(on_step)
        clock.start("detecting")
        theirs = self._faces(target)
        faces = [theirs.usable(swap.target_index, "target", number) for number, swap in enumerate(swaps)]
        sources = self._find_sources(swaps)
        clock.stop()
        clocks = [Stopwatch(on_step, clock.milliseconds) for _ in swaps]
        swapped = [
            swap_face(
                target,
                face,
                neighbours_of(swap.target_index, theirs),
                source,
                options,
                self._occlusion,
                clock,
                on_picture,
            )
            for swap, face, source, clock in zip(swaps, faces, sources, clocks, strict=True)
        ]
        image = target.copy()
        for one in swapped:
            one.scene.put_into(image, one.face)
        reported = [
            self._report(theirs.picture, image, one, len(theirs), clock)
            for one, clock in zip(swapped, clocks, strict=True)
        ]
        reports, identities = tuple(zip(*reported, strict=True))
        return SwapsResult(image, reports, theirs.boxes, identities)

    def _faces(self, image: RGB, only_largest: bool = False) -> PictureFaces:
        return PictureFaces(image, self._detector, self._mesh, only_largest)

    def _find_sources(self, swaps: Sequence[FaceSwap]) -> list[Source]:
        """Each picture is looked at once, and each source made once, however many faces it goes to."""
        looked_at: dict[tuple[int, bool], PictureFaces] = {}
        found: dict[tuple[int, ...], Source] = {}
        sources = []
        for number, swap in enumerate(swaps):
            wanted = [
                (id(picture), swap.source_index == 0 and n == 0) for n, picture in enumerate(swap.sources)
            ]
            for picture, look in zip(swap.sources, wanted, strict=True):
                if look not in looked_at:
                    looked_at[look] = self._faces(_checked(picture, "source"), only_largest=look[1])
            key = (*map(id, swap.sources), swap.source_index)
            if key not in found:
                pictures = [looked_at[look] for look in wanted]
                found[key] = find_source(pictures, swap.source_index, self._embedder, self._occlusion, number)
            sources.append(found[key])
        return sources

    def _report(
        self, target: Pyramid, image: RGB, swapped: "SwappedFace", faces: int, clock: Stopwatch
    ) -> tuple[SwapReport, SwapIdentity]:
        clock.start("reporting")
        before = embed(target, swapped.theirs.landmarks, self._embedder)
        after = embed(Pyramid(image), swapped.points, self._embedder)
        clock.stop()
        ours = swapped.ours.face
        report = SwapReport(
            quality=0.0,
            similarity_to_source=round(float(after @ swapped.source.embedding), 4),
            similarity_to_target=round(float(after @ before), 4),
            faces=faces,
            pose_gap=round(angle_between(ours.pose, swapped.theirs.pose), 1),
            expression_gap=round(swapped.expression_gap, 4),
            resolution_gap=round(swapped.theirs.eye_distance / ours.eye_distance, 3),
            mirrored=round(swapped.mirrored, 3),
            covered=round(swapped.masks.covered, 3),
            beard_kept=swapped.masks.beard_kept,
            pictures=tuple(picture.number for picture in swapped.source.pictures),
            texture_from=swapped.ours.number,
            strangers=swapped.source.strangers,
            warnings=(),
            warning_codes=(),
            milliseconds=clock.milliseconds,
        )
        return assessed(report, ours.yaw), SwapIdentity(swapped.source.embedding, before)


@dataclass(frozen=True)
class SwappedFace:
    """A face of the target with another face in it.

    points: float32[478, 3], its mesh in pixels of the target. face: uint8[h, w, 3], what `scene` puts in.
    expression_gap, mirrored: as in `SwapReport`.
    """

    theirs: Face
    source: Source
    ours: SourcePicture
    points: Float
    scene: Scene
    face: RGB
    masks: Masks
    expression_gap: float
    mirrored: float


def swap_face(
    target: RGB,
    theirs: Face,
    neighbours: Sequence[Neighbour],
    source: Source,
    options: SwapOptions,
    network: Network,
    clock: Stopwatch,
    on_picture: OnPicture | None,
) -> SwappedFace:
    """Steps 5 to 10."""
    ours = source.nearest(theirs)
    mesh = ours.face.landmarks

    clock.start("shaping")
    shape = result_shape(
        mesh, theirs.landmarks, ours.face.pose, theirs.pose, options.shape, source.proportions
    )
    scene = set_scene(target, theirs.landmarks, shape.points, neighbours)

    covering = find_covering(scene, ours.occlusion, mesh, network)

    clock.start("texturing")
    patch = cut_source(ours.picture, mesh, scene.eye_distance / ours.face.eye_distance)
    layers = texture_layers(scene.raster, theirs.landmarks, patch, covering.hidden)

    clock.start("lighting")
    skin = skin_of(scene.raster, scene.face_width)
    skin = replace(skin, candidates=skin.candidates & scene.ground_cells(skin.candidates.shape))
    skin = bare_skin(skin, covering.not_skin)
    their_light = estimate_light(scene.face, normals(theirs.landmarks), skin)
    relit, our_light = relight_layers(layers, their_light, skin)

    clock.start("masking")
    masks = face_masks(
        scene.raster,
        skin,
        their_light,
        our_light,
        layers.seen,
        covering,
        scene.face_width,
    )
    mask = scene.raster.enlarge(masks.face)
    mouth = mouth_inside(scene.points, theirs.landmarks, mesh, scene.raster.shape, scene.face_width)
    mask = mask * (1 - mouth)
    if scene.ground is not None:
        mask = np.minimum(mask, scene.ground)

    clock.start("blending")
    matched = match_detail(relit, scene.face, mask > 0.9)
    keep_eyes(matched, scene.raster, scene.points, target, theirs.landmarks, ours.picture.image, mesh)
    if is_grey(scene.bent):
        matched = without_colour(matched)
    face = blend(matched, scene.face, mask)
    clock.stop()
    if on_picture is not None:
        show_steps(
            on_picture,
            target,
            theirs.landmarks,
            shape.points,
            scene,
            patch,
            layers,
            {"light of the picture": their_light, "light of the face picture": our_light},
            relit,
            masks.layers,
            mask,
            matched,
            face,
        )
    return SwappedFace(
        theirs=theirs,
        source=source,
        ours=ours,
        points=shape.points,
        scene=scene,
        face=face,
        masks=masks,
        expression_gap=float(np.linalg.norm(shape.expression, axis=1).mean()),
        mirrored=layers.mirrored,
    )


def _checked(image: RGB, name: str) -> RGB:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"{name} must be uint8[H, W, 3] RGB, not {image.dtype}{list(image.shape)}")
    return np.ascontiguousarray(image)


def _check_swaps(swaps: Sequence[FaceSwap]) -> None:
    if not swaps or not all(swap.sources for swap in swaps):
        raise ValueError("a swap needs at least one source picture, and there must be at least one swap")
    indices = [swap.target_index for swap in swaps]
    if len(set(indices)) < len(indices):
        raise ValueError(f"each face of the target can be swapped only once, not {indices}")

"""The swap, step by step, in the order of the steps' modules."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mien.cores import available_cores
from mien.engine.arrays import RGB, Float
from mien.engine.blending import blend, lend_tones
from mien.engine.explanation import OnPicture, show_steps
from mien.engine.expression import kept_expression
from mien.engine.eyes import kept_eyes, put_back
from mien.engine.faces import Face, PictureFaces, UprightFace
from mien.engine.geometry import normals, result_shape
from mien.engine.grain import detail, match_detail
from mien.engine.identity import embed, embed_result
from mien.engine.lighting import bare_skin, estimate_light, skin_of
from mien.engine.masks import Masks, face_masks
from mien.engine.models import Network
from mien.engine.mouth import mouth_inside
from mien.engine.neighbours import Neighbour, neighbours_of
from mien.engine.occlusion import Covering, Sides, covering_of_source, find_covering
from mien.engine.parallel import Cores, one_at_a_time
from mien.engine.pose import angle_between
from mien.engine.relighting import relight_layers
from mien.engine.report import Step, Stopwatch, SwapReport, assessed
from mien.engine.scaling import Pyramid
from mien.engine.scene import Scene, set_scene
from mien.engine.sources import Source, SourcePicture, find_source
from mien.engine.texture import Layers, cut_source, shadows, texture_layers
from mien.engine.tone import tone_of, toned
from mien.engine.topology import LEFT_IRIS, RIGHT_IRIS


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

    threads: how many a swap may use; None: one for each core that the process may use. OpenCV's threads
    are the process's affair (`cv2.setNumThreads`).
    """

    def __init__(self, threads: int | None = None) -> None:
        threads = threads or available_cores()
        self._cores = Cores(threads)
        each = max(1, threads // 2)  # since two of them run side by side
        self._detector = Network("centerface.onnx", each)
        self._mesh = Network("face_landmarks_478.onnx", each)
        self._embedder = Network("faceres_embedder.onnx", each)
        self._occlusion = Network("face_occlusion.onnx", each)

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
        others for each face, of several in any order; what it raises stops the swap. `on_picture` is shown
        each face's intermediate pictures. Raises `NoFaceFound`, `TargetIndexOutOfRange` or `FaceUnusable`,
        whose `param` is "target" or "source"; `swap` and `picture` say more.
        """
        target = _checked(target, "target")
        _check_swaps(swaps)
        clock = Stopwatch(on_step)
        clock.start("detecting")
        (theirs, upright), sources = self._cores.both(
            lambda: self._find_targets(target, swaps), lambda: self._find_sources(swaps)
        )
        clock.stop()
        announce = on_step and one_at_a_time(on_step)
        jobs = [
            FaceJob(
                picture=face.picture,
                face=face.face,
                quarter_turns=face.quarter_turns,
                neighbours=neighbours_of(face.number, face.faces),
                source=source,
                clock=Stopwatch(announce, clock.milliseconds),
            )
            for face, source in zip(upright, sources, strict=True)
        ]
        # Whoever looks at the pictures gets them face by face.
        faces_at_a_time = self._cores if on_picture is None else Cores(1)
        swapped, image = self._cores.both(
            lambda: faces_at_a_time.each(
                lambda job: swap_face(job, options, self._occlusion, self._cores, on_picture), jobs
            ),
            target.copy,
        )
        for one in swapped:
            one.scene.put_into(np.rot90(image, one.job.quarter_turns), one.face)
        reported = self._cores.each(lambda one: self._report(image, one, len(theirs)), swapped)
        reports, identities = zip(*reported, strict=True)
        return SwapsResult(image, reports, theirs.boxes, identities)

    def _find_targets(self, target: RGB, swaps: Sequence[FaceSwap]) -> tuple[PictureFaces, list[UprightFace]]:
        theirs = self._faces(target)

        def find(number: int) -> UprightFace:
            index = swaps[number].target_index
            theirs.usable(index, "target", number)
            return theirs.upright(index)

        return theirs, self._cores.each(find, range(len(swaps)))

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
                source = find_source(pictures, swap.source_index, self._embedder, self._occlusion, number)
                if len(swaps) > 1:
                    _ = source.embedding  # once, before several faces ask for it at a time
                found[key] = source
            sources.append(found[key])
        return sources

    def _report(self, image: RGB, swapped: "SwappedFace", faces: int) -> tuple[SwapReport, SwapIdentity]:
        job = swapped.job
        job.clock.start("reporting")
        upright = np.ascontiguousarray(np.rot90(image, job.quarter_turns))
        after, before = self._cores.both(
            lambda: embed_result(upright, swapped.points, self._embedder),
            lambda: embed(job.picture, job.face.landmarks, self._embedder),
        )
        job.clock.stop()
        identity = SwapIdentity(job.source.embedding, before)
        ours = swapped.ours.face
        report = SwapReport(
            quality=0.0,
            similarity_to_source=round(float(after @ identity.source), 4),
            similarity_to_target=round(float(after @ identity.target), 4),
            faces=faces,
            pose_gap=round(angle_between(ours.pose, job.face.pose), 1),
            expression_gap=round(swapped.expression_gap, 4),
            resolution_gap=round(job.face.eye_distance / ours.eye_distance, 3),
            mirrored=round(swapped.mirrored, 3),
            covered=round(swapped.masks.covered, 3),
            beard_kept=swapped.masks.beard_kept,
            pictures=tuple(picture.number for picture in job.source.pictures),
            texture_from=swapped.ours.number,
            strangers=job.source.strangers,
            warnings=(),
            warning_codes=(),
            milliseconds=job.clock.milliseconds,
        )
        return assessed(report, ours.yaw), identity


@dataclass(frozen=True)
class FaceJob:
    """A face of the target, turned by quarters until it's upright, the faces near it, and whose face it gets.
    All lies in pixels of `picture`, the turned one."""

    picture: Pyramid
    face: Face
    quarter_turns: int
    neighbours: Sequence[Neighbour]
    source: Source
    clock: Stopwatch


@dataclass(frozen=True)
class SwappedFace:
    """A face of the target with another face in it.

    points: float32[478, 3], the new one's mesh in pixels of the job's picture. face: uint8[h, w, 3], what
    `scene` puts in. expression_gap, mirrored: as in `SwapReport`.
    """

    job: FaceJob
    ours: SourcePicture
    points: Float
    scene: Scene
    face: RGB
    masks: Masks
    expression_gap: float
    mirrored: float


def swap_face(
    job: FaceJob, options: SwapOptions, occlusion: Network, cores: Cores, on_picture: OnPicture | None
) -> SwappedFace:
    """Steps 5 to 9."""
    target, theirs, source, clock = job.picture.image, job.face, job.source, job.clock
    ours = source.nearest(theirs)
    mesh = ours.face.landmarks
    their_normals = normals(theirs.landmarks)

    clock.start("shaping")
    shape = result_shape(
        mesh, theirs.landmarks, ours.face.pose, theirs.pose, options.shape, source.proportions
    )
    scene, (patch, our_occlusion) = cores.both(
        lambda: set_scene(target, theirs.landmarks, shape.points, job.neighbours),
        lambda: (
            cut_source(ours.picture, mesh, theirs.eye_distance / ours.face.eye_distance),
            ours.occlusion,
        ),
    )

    clock.start("texturing")

    def texture() -> tuple[Layers, Sides, Sides]:
        hidden, beards = covering_of_source(scene.raster, our_occlusion, mesh)
        dark = shadows(scene.face, scene.points, their_normals)
        return texture_layers(scene.raster, theirs.landmarks, patch, hidden, dark), hidden, beards

    (layers, hidden, our_beards), ((front, framed, their_beard), eyes) = cores.both(
        texture,
        lambda: (
            find_covering(scene, job.picture, theirs.landmarks, occlusion),
            kept_eyes(
                scene.raster,
                scene.points,
                target,
                theirs.landmarks,
                ours.picture.image if our_occlusion.shows(mesh[[*RIGHT_IRIS, *LEFT_IRIS]]) else None,
                mesh,
            ),
        ),
    )
    covering = Covering(front, framed, their_beard, hidden, our_beards, our_occlusion.hair)

    clock.start("lighting")
    skin = skin_of(scene.raster, scene.face_width)
    skin = replace(skin, candidates=skin.candidates & scene.ground_cells(skin.candidates.shape))
    their_skin = bare_skin(skin, covering.over_target)
    our_skin, other_skin = (bare_skin(skin, over) for over in covering.over_source)
    our_light, (their_light, around_mouth) = cores.both(
        lambda: estimate_light(layers.own, layers.own_normals, our_skin),
        lambda: (
            estimate_light(scene.face, their_normals, their_skin),
            kept_expression(scene.raster, target, theirs.landmarks, mesh, shape.expression, our_beards[0]),
        ),
    )
    relit, (masks, their_detail, tone) = cores.both(
        lambda: relight_layers(layers, our_light, their_light, our_skin, other_skin, our_beards),
        lambda: (
            face_masks(scene.raster, layers.seen, covering, scene.face_width),
            detail(scene.face),
            tone_of(scene.bent),
        ),
    )

    clock.start("masking")
    mask = scene.raster.enlarge(masks.face)
    mouth = mouth_inside(scene.points, theirs.landmarks, mesh, scene.raster.shape, scene.face_width)
    mask = mask * (1 - mouth)
    if scene.ground is not None:
        mask = np.minimum(mask, scene.ground)

    clock.start("blending")

    def put_in() -> tuple[Float, RGB]:
        matched = match_detail(relit, their_detail, mask > 0.9)
        put_back(matched, around_mouth + eyes)
        if tone is not None:
            matched = toned(matched, tone)
        around = lend_tones(scene.face, matched, masks.face, masks.gaps)
        return matched, blend(matched, around, mask)

    # Nothing is left to be done beside it but what the report will ask for.
    (matched, face), _ = cores.both(put_in, lambda: source.embedding)
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
        job=job,
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

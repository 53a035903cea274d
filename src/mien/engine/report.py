"""Step 11: how well the swap went, in figures and in words."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import Any, Literal

Step = Literal["detecting", "shaping", "texturing", "lighting", "masking", "blending", "reporting"]
"""The steps of a swap, in order."""

WarningCode = Literal[
    "stranger",
    "mirrored_right",
    "mirrored_left",
    "pose_gap",
    "low_resolution",
    "covered",
    "beard_kept",
    "weak_likeness",
]
"""What a warning is about, in the order in which they are given."""

LOW_RESOLUTION = 2.0
WIDE_POSE_GAP = 25.0
MUCH_MIRRORED = 0.15
MUCH_COVERED = 0.12
WEAK_SIMILARITY = 0.35


QUALITY = {
    "similarity_to_source": 0.83,
    "pose_gap": -0.0045,
    "expression_gap": -2.1,
    "covered": -0.32,
}
QUALITY_OFFSET = 0.15
"""Fitted to what independent networks measured on results (likeness, mouth, eyes, pose): docs/engine.md says
how well it agrees. The gaps are in degrees and eye distances."""


@dataclass(frozen=True)
class SwapReport:
    """quality: in [0, 1], how good the result is likely to look: 0.6 and more is good, below 0.4 poor.

    similarity_to_source, similarity_to_target: cosine in [−1, 1] of the result's face to both faces; two
    pictures of one person reach 0.67 and more. faces: how many the target picture has. pose_gap: degrees
    between the two head directions. expression_gap: mean displacement by expression between the faces, in eye
    distances; a broad smile against a neutral face reads about 0.05. resolution_gap: result pixels per source
    pixel; above 1 the source is coarser than the result. mirrored: share of the face that came from the
    source's other side. covered: share that something in the target stands in front of. Both in [0, 1].
    beard_kept: the target's beard stayed. pictures: numbers of the source pictures that gave the face its
    proportions; texture_from: which of them gave its skin. strangers: those that seem to show somebody else
    and were left out. warnings: plain sentences for the person who asked.
    warning_codes: what each of them is about, for programs; they don't change.
    milliseconds: time of each step; that of detecting is for all swaps of a picture together.
    """

    quality: float
    similarity_to_source: float
    similarity_to_target: float
    faces: int
    pose_gap: float
    expression_gap: float
    resolution_gap: float
    mirrored: float
    covered: float
    beard_kept: bool
    pictures: tuple[int, ...]
    texture_from: int
    strangers: tuple[int, ...]
    warnings: tuple[str, ...]
    warning_codes: tuple[WarningCode, ...]
    milliseconds: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        names = ("pictures", "strangers", "warnings", "warning_codes")
        lists = {name: list(getattr(self, name)) for name in names}
        return {**asdict(self), **lists}


def assessed(report: SwapReport, source_yaw: float) -> SwapReport:
    """The same report with its quality and its warnings. `source_yaw`: in degrees."""
    quality = QUALITY_OFFSET + sum(weight * getattr(report, name) for name, weight in QUALITY.items())
    warnings = list(_warnings(report, source_yaw))
    return replace(
        report,
        quality=round(min(1.0, max(0.0, quality)), 3),
        warnings=tuple(sentence for _, sentence in warnings),
        warning_codes=tuple(code for code, _ in warnings),
    )


def _warnings(report: SwapReport, source_yaw: float) -> Iterator[tuple[WarningCode, str]]:
    # For people who see a picture and a face picture, and know nothing of sources and targets.
    for number in report.strangers:
        yield "stranger", f"Face picture {number + 1} seems to show somebody else. It was left out."
    if report.mirrored > MUCH_MIRRORED:
        is_right = source_yaw > 0
        yield (
            "mirrored_right" if is_right else "mirrored_left",
            f"The head in the face picture is turned to the {'right' if is_right else 'left'}, so "
            f"{report.mirrored:.0%} of the new face was mirrored from its other half. A face picture from "
            "the front looks better.",
        )
    if report.pose_gap > WIDE_POSE_GAP:
        yield (
            "pose_gap",
            f"The two heads are turned {report.pose_gap:.0f}° apart. A face picture with a more similar view "
            "looks better.",
        )
    if report.resolution_gap > LOW_RESOLUTION:
        yield (
            "low_resolution",
            f"The face in the face picture is {report.resolution_gap:.1f} times smaller than the one in the "
            "picture. A larger face picture brings more detail.",
        )
    if report.covered > MUCH_COVERED:
        yield (
            "covered",
            f"Something covers about {report.covered:.0%} of the face in the picture. It was left in front.",
        )
    if report.beard_kept:
        yield "beard_kept", "The beard in the picture was kept: the face picture can't replace it."
    if report.similarity_to_source < WEAK_SIMILARITY:
        yield (
            "weak_likeness",
            "The result resembles the face picture only weakly. Try a sharper one from the front.",
        )


class Stopwatch:
    """Announces each step and takes its time. `before`: what earlier steps took."""

    def __init__(
        self, on_step: Callable[[Step], None] | None, before: Mapping[str, float] | None = None
    ) -> None:
        self._on_step = on_step
        self._started: tuple[Step, float] | None = None
        self.milliseconds: dict[str, float] = dict(before or {})

    def start(self, step: Step) -> None:
        """The step before ends here. Whatever `on_step` raises ends the swap."""
        self.stop()
        if self._on_step:
            self._on_step(step)
        self._started = (step, perf_counter())

    def stop(self) -> None:
        if self._started:
            step, since = self._started
            self.milliseconds[step] = round((perf_counter() - since) * 1000, 2)
            self._started = None

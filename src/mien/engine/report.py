"""Step 11: how well the swap went, in figures and in words."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import Any, Literal

Step = Literal["detecting", "shaping", "texturing", "lighting", "masking", "blending", "reporting"]
"""The steps of a swap, in order."""

LOW_RESOLUTION = 2.0
WIDE_POSE_GAP = 25.0
MUCH_MIRRORED = 0.15
MUCH_COVERED = 0.12
WEAK_SIMILARITY = 0.35


@dataclass(frozen=True)
class SwapReport:
    """similarity_to_source, similarity_to_target: cosine in [−1, 1] of the result's face to both faces; two
    pictures of one person reach 0.67 and more. faces: how many the target picture has. pose_gap: degrees
    between the two head directions. expression_gap: mean displacement by expression between the faces, in eye
    distances; a broad smile against a neutral face reads about 0.05. resolution_gap: result pixels per source
    pixel; above 1 the source is coarser than the result. mirrored: share of the face that came from the
    source's other side. covered: share that something in the target stands in front of. Both in [0, 1].
    beard_kept: the target's beard stayed, because the source has none. eyes_kept: eyes that stayed the
    target's. warnings: plain sentences for the person who asked. milliseconds: time of each step; that of
    detecting is for all swaps of a picture together.
    """

    similarity_to_source: float
    similarity_to_target: float
    faces: int
    pose_gap: float
    expression_gap: float
    resolution_gap: float
    mirrored: float
    covered: float
    beard_kept: bool
    eyes_kept: int
    warnings: tuple[str, ...]
    milliseconds: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**asdict(self), "warnings": list(self.warnings)}


def with_warnings(report: SwapReport, source_yaw: float) -> SwapReport:
    """The same report with what a person should know about this result. `source_yaw`: degrees."""
    side = "right" if source_yaw > 0 else "left"
    checks = [
        (
            report.mirrored > MUCH_MIRRORED,
            f"The source looks {abs(source_yaw):.0f}° to the {side}: {report.mirrored:.0%} of the face "
            "was mirrored.",
        ),
        (
            report.pose_gap > WIDE_POSE_GAP,
            f"The two heads are turned {report.pose_gap:.0f}° apart: a source picture with a more similar "
            "view looks better.",
        ),
        (
            report.resolution_gap > LOW_RESOLUTION,
            f"The source face is {report.resolution_gap:.1f} times smaller than the target's: "
            "a larger picture of it brings more detail.",
        ),
        (
            report.covered > MUCH_COVERED,
            f"About {report.covered:.0%} of the target's face is covered and was left as it is.",
        ),
        (report.beard_kept, "The target's beard was kept, since the source has none."),
        (report.eyes_kept > 0, "Closed eyes: the eyes of the target were kept as they are."),
        (
            report.similarity_to_source < WEAK_SIMILARITY,
            "The result resembles the source only weakly. Try a sharper, frontal source picture.",
        ),
    ]
    return replace(report, warnings=tuple(text for applies, text in checks if applies))


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

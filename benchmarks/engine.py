"""How long a swap takes, step by step, and how much memory it needs.

    python benchmarks/engine.py [--runs 30] [--threads 2] [--json]

One person's studio portrait (2048 × 2048) is the source, another's selfie the target (2528 × 1696, its face
about 600 pixels high). Both are decoded before, and everything is warm. Memory is the peak of a fresh process
that decodes both pictures and swaps once: of the process, not of the swap.

Bar: a median of at most 300 ms for the whole swap, detection in both pictures included.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import openpeople

from mien import FaceSwapper
from mien.engine.arrays import RGB
from mien.images.codec import decode

SOURCE = "P003/assets/studio_portrait.jpg"
TARGET = "P007/assets/amateur_selfie.jpg"
WARM_UP = 3
BAR = 300.0  # milliseconds


@dataclass(frozen=True)
class Timing:
    """Milliseconds."""

    median: float
    p95: float


@dataclass(frozen=True)
class Measured:
    """swap: with detection in both pictures. steps: medians within it. detect: all faces of the target."""

    runs: int
    threads: int
    target: str
    face_height: int
    swap: Timing
    detect: Timing
    steps: dict[str, float]
    peak_megabytes: float


def read(name: str) -> RGB:
    folder = Path(openpeople.__file__).parent / "data" / "curated"
    return decode((folder / name).read_bytes()).rgb


def measure(runs: int, threads: int) -> Measured:
    cv2.setNumThreads(threads)
    swapper = FaceSwapper(threads=threads)
    source, target = read(SOURCE), read(TARGET)
    _, top, _, bottom = swapper.detect(target)[0].box
    steps: dict[str, list[float]] = {}

    def swap() -> None:
        for step, milliseconds in swapper.swap(target, source).report.milliseconds.items():
            steps.setdefault(step, []).append(milliseconds)

    return Measured(
        runs=runs,
        threads=threads,
        target=f"{target.shape[0]} × {target.shape[1]}",
        face_height=round(bottom - top),
        swap=timed(swap, runs),
        detect=timed(lambda: swapper.detect(target), runs),
        steps={step: round(statistics.median(taken[WARM_UP:]), 1) for step, taken in steps.items()},
        peak_megabytes=peak_in_a_fresh_process(threads),
    )


def timed(action: Callable[[], object], runs: int) -> Timing:
    for _ in range(WARM_UP):
        action()
    milliseconds = []
    for _ in range(runs):
        started = time.perf_counter()
        action()
        milliseconds.append((time.perf_counter() - started) * 1000)
    return Timing(round(statistics.median(milliseconds), 1), round(percentile_95(milliseconds), 1))


def percentile_95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[18] if len(values) > 1 else values[0]


def peak_in_a_fresh_process(threads: int) -> float:
    """Megabytes."""
    command = [sys.executable, __file__, "--threads", str(threads), "--swap-once"]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def swap_once(threads: int) -> None:
    """Prints the peak of this process's memory in megabytes."""
    cv2.setNumThreads(threads)
    FaceSwapper(threads=threads).swap(read(TARGET), read(SOURCE))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1))  # macOS counts bytes, Linux kilobytes


def table(measured: Measured) -> str:
    rows = [
        ("", "median", "p95"),
        ("whole swap", measured.swap.median, measured.swap.p95),
        *((f"  {step}", median, "") for step, median in measured.steps.items()),
        ("all faces of the target", measured.detect.median, measured.detect.p95),
    ]
    lines = [f"{name:<26}{median:>8}{p95:>8}" for name, median, p95 in rows]
    verdict = "within" if measured.swap.median <= BAR else "ABOVE"
    return "\n".join(
        [
            f"Target {measured.target}, its face {measured.face_height} pixels high; "
            f"{measured.threads} threads, {measured.runs} runs; milliseconds",
            *lines,
            f"{'peak memory':<26}{measured.peak_megabytes:>8} MB",
            f"The median is {verdict} the bar of {BAR:.0f} ms.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2, help="of the networks and of OpenCV")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--swap-once", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.swap_once:
        swap_once(options.threads)
        return
    measured = measure(options.runs, options.threads)
    print(json.dumps(asdict(measured), ensure_ascii=False, indent=2) if options.json else table(measured))


if __name__ == "__main__":
    main()

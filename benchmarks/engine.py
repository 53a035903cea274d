"""How long a swap takes, step by step, and how much memory it needs.

    python benchmarks/engine.py [--runs 30] [--threads 2] [--json]

One person's studio portrait (2048 × 2048) is the source, another's selfie the target (2528 × 1696, its face
about 600 pixels high). Both are decoded before, and everything is warm. Memory is the peak of a fresh process
that decodes both pictures and swaps once: of the process, not of the swap.

Further faces are timed on three such selfies side by side: what each takes beyond the first, with the same
source. The stand-in (stand_in.py) is a network of the size that other face swap tools run, with random
weights; it is timed alone, without the detection, landmarks, recognition and pasting that such tools also do.

Bars: a median of at most 120 ms for the whole swap, detection in both pictures included; at most 60 ms for
each further face; at most 600 MB; a tenth of the stand-in's time.
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
import numpy as np
import openpeople

import stand_in
from mien import FaceSwap, FaceSwapper
from mien.engine.arrays import RGB
from mien.images.codec import decode

SOURCE = "P003/assets/studio_portrait.jpg"
TARGET = "P007/assets/amateur_selfie.jpg"
OTHERS = ("P001/assets/amateur_selfie.jpg", "P009/assets/amateur_selfie.jpg")
WARM_UP = 3
STAND_IN_RUNS = 7
SWAP_BAR, FURTHER_BAR = 120.0, 60.0  # milliseconds
MEMORY_BAR = 600.0  # megabytes
RATIO_BAR = 10.0


@dataclass(frozen=True)
class Timing:
    """Milliseconds."""

    median: float
    p95: float


@dataclass(frozen=True)
class Measured:
    """swap: with detection in both pictures. steps: medians within it. detect: all faces of the target.
    further: milliseconds for each face after the first. stand_in: a usual network, alone."""

    runs: int
    threads: int
    target: str
    face_height: int
    swap: Timing
    detect: Timing
    steps: dict[str, float]
    further: float
    stand_in: Timing
    peak_megabytes: float

    @property
    def ratio(self) -> float:
        """How many swaps fit into one run of the stand-in."""
        return self.stand_in.median / self.swap.median


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
        further=further_faces(swapper, target, source, max(3, runs // 3)),
        stand_in=Timing(**in_a_fresh_process(threads, "--stand-in")),
        peak_megabytes=in_a_fresh_process(threads, "--swap-once")["megabytes"],
    )


def further_faces(swapper: FaceSwapper, target: RGB, source: RGB, runs: int) -> float:
    canvas = np.hstack([target, *(fitted(read(name), target.shape) for name in OTHERS)])
    swaps = [FaceSwap((source,), index) for index in range(1 + len(OTHERS))]
    one = timed(lambda: swapper.swap_faces(canvas, swaps[:1]), runs)
    all_of_them = timed(lambda: swapper.swap_faces(canvas, swaps), runs)
    return round((all_of_them.median - one.median) / len(OTHERS), 1)


def fitted(picture: RGB, shape: tuple[int, ...]) -> RGB:
    return np.asarray(cv2.resize(picture, (shape[1], shape[0]), interpolation=cv2.INTER_AREA))


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


def in_a_fresh_process(threads: int, what: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--threads", str(threads), what]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(answer))


def swap_once(threads: int) -> dict[str, float]:
    """The peak of this process's memory."""
    cv2.setNumThreads(threads)
    FaceSwapper(threads=threads).swap(read(TARGET), read(SOURCE))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, Linux kilobytes
    return {"megabytes": round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)}


def time_stand_in(threads: int) -> dict[str, float]:
    session, inputs = stand_in.stand_in(threads), stand_in.inputs()
    return asdict(timed(lambda: session.run(None, inputs), STAND_IN_RUNS))


def table(measured: Measured) -> str:
    swap, detect, network = measured.swap, measured.detect, measured.stand_in
    rows = [
        ("", "median", "p95", ""),
        ("whole swap", swap.median, swap.p95, bar(swap.median, SWAP_BAR)),
        *((f"  {step}", median, "", "") for step, median in measured.steps.items()),
        ("each further face", measured.further, "", bar(measured.further, FURTHER_BAR)),
        ("all faces of the target", detect.median, detect.p95, ""),
        ("a usual network, alone", network.median, network.p95, ""),
    ]
    ratio = "reached" if measured.ratio >= RATIO_BAR else "MISSED"
    lines = [f"{name:<26}{median:>9}{p95:>9}  {verdict}" for name, median, p95, verdict in rows]
    return "\n".join(
        [
            f"Target {measured.target}, its face {measured.face_height} pixels high; "
            f"{measured.threads} threads, {measured.runs} runs; milliseconds",
            *(line.rstrip() for line in lines),
            f"{'peak memory, MB':<26}{measured.peak_megabytes:>9}           "
            f"{bar(measured.peak_megabytes, MEMORY_BAR)}",
            f"{'times the network':<26}{measured.ratio:>9.1f}           at least {RATIO_BAR:.0f}: {ratio}",
        ]
    )


def bar(value: float, limit: float) -> str:
    return f"at most {limit:.0f}: {'reached' if value <= limit else 'MISSED'}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2, help="of the networks and of OpenCV")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--swap-once", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--stand-in", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.swap_once or options.stand_in:
        part = swap_once if options.swap_once else time_stand_in
        print(json.dumps(part(options.threads)))
        return
    measured = measure(options.runs, options.threads)
    if options.json:
        answer = {**asdict(measured), "ratio": round(measured.ratio, 2)}
        print(json.dumps(answer, ensure_ascii=False, indent=2))
    else:
        print(table(measured))


if __name__ == "__main__":
    main()

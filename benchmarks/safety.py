"""What is refused by mistake, what is missed, and what refusing costs.

    python benchmarks/safety.py [adult] [faces] [cost] [--strangers FOLDER]

The pictures are `openpeople`'s: ten people who don't exist, on four everyday pictures each and on sheets of
small faces with grimaces. `--strangers` names a folder of more pictures, each of somebody else. Each part
prints tables for `docs/safety.md`:

- adult: the network's probabilities on pictures that aren't adult, and how little a swap changes them. There
  is no adult picture here, so what it misses stays unmeasured.
- faces: at several thresholds, how often two people are taken for one, and how often one isn't recognised, by
  the number of pictures that were registered; and how many strangers a longer list refuses.
- cost: milliseconds of processor time, and memory.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openpeople
import psutil
from numpy.typing import NDArray

from mien import FaceSwapper
from mien.images.codec import decode
from mien.safety.adult import DOUBTFUL_FROM, REFUSED_FROM, AdultContent
from mien.safety.likeness import SIZE, FaceList, combine, pack

Vectors = NDArray[np.float32]

FOLDER = Path(openpeople.__file__).parent / "data" / "curated"
EVERYDAY = ("amateur_posture", "amateur_selfie", "studio_portrait", "studio_posture")
SHEETS = ("character_sheet", "emotions_sheet")
PEOPLE = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
THRESHOLDS = (0.70, 0.72, 0.74, 0.76, 0.78, 0.80, 0.82)
LISTS = (10, 100, 500)
DRAWS = 200


def picture(path: Path) -> NDArray[np.uint8]:
    return decode(path.read_bytes()).rgb


def path_of(person: str, name: str) -> Path:
    return FOLDER / person / "assets" / f"{name}.jpg"


# Adult content --------------------------------------------------------------------------------------------


def adult(strangers: Sequence[Path]) -> None:
    network = AdultContent(threads=1)
    sets = {
        "openpeople": [path_of(person, name) for person in PEOPLE for name in (*EVERYDAY, *SHEETS)],
        "strangers": strangers,
    }
    print(f"\n| pictures | number | highest | ≥ {DOUBTFUL_FROM} | ≥ 0.5 | ≥ {REFUSED_FROM}, refused |")
    print("|---|---|---|---|---|---|")
    for name, paths in sets.items():
        if paths:
            found = np.array([network.probability(picture(path)) for path in paths])
            above = " | ".join(
                str(int((found >= limit).sum())) for limit in (DOUBTFUL_FROM, 0.5, REFUSED_FROM)
            )
            print(f"| {name} | {len(found)} | {found.max():.2f} | {above} |")
    changes = [abs(before - after) for before, after in _swapped(network)]
    print(
        f"\nOf {len(changes)} swaps, the most that one changed the probability was {max(changes):.3f}; half "
        f"changed it by less than {statistics.median(changes):.3f}."
    )


def _swapped(network: AdultContent) -> Iterator[tuple[float, float]]:
    """The probabilities of targets and results."""
    swapper = FaceSwapper(threads=2)
    faces = {person: picture(path_of(person, "studio_portrait")) for person in PEOPLE}
    for number, person in enumerate(PEOPLE):
        for name in EVERYDAY:
            target = picture(path_of(person, name))
            before = network.probability(target)
            for step in (1, 4, 7):
                source = faces[PEOPLE[(number + step) % len(PEOPLE)]]
                yield before, network.probability(swapper.swap(target, source).image)


# Faces ----------------------------------------------------------------------------------------------------


def faces(strangers: Sequence[Path]) -> None:
    swapper = FaceSwapper(threads=2)
    everyday = {
        person: [_embedded(swapper, path_of(person, name))[0] for name in EVERYDAY] for person in PEOPLE
    }
    hard = {
        person: [face for name in SHEETS for face in _embedded(swapper, path_of(person, name))]
        for person in PEOPLE
    }
    others = [found[0] for path in strangers if (found := _embedded(swapper, path))]
    _recognition(everyday, hard)
    _confusion(everyday, others)
    if others:
        _lists(np.stack(others))


def _embedded(swapper: FaceSwapper, path: Path) -> list[Vectors]:
    image = picture(path)
    return [swapper.identify(image, face) for face in swapper.detect(image) if face.usable]


def _recognition(everyday: dict[str, list[Vectors]], hard: dict[str, list[Vectors]]) -> None:
    print("\n| registered with | looked for on | pairs |" + "".join(f" {each} |" for each in THRESHOLDS))
    print("|---|---|---|" + "---|" * len(THRESHOLDS))
    for count in (1, 2, 3):
        for where in ("another everyday picture", "a small face with a grimace"):
            found = np.array(
                [
                    _unpacked(combine([pack(pictures[n]) for n in chosen])) @ probe
                    for person, pictures in everyday.items()
                    for chosen in itertools.combinations(range(len(EVERYDAY)), count)
                    for probe in (
                        [each for n, each in enumerate(pictures) if n not in chosen]
                        if where.startswith("another")
                        else hard[person]
                    )
                ]
            )
            missed = "".join(f" {100 * (found < each).mean():.1f} % |" for each in THRESHOLDS)
            print(f"| {count} | {where} | {len(found):,} |{missed}")


def _confusion(everyday: dict[str, list[Vectors]], others: list[Vectors]) -> None:
    ten = np.stack([each for pictures in everyday.values() for each in pictures])
    person = np.repeat(np.arange(len(everyday)), len(EVERYDAY))
    sets = {"openpeople, everyday": (ten @ ten.T)[np.triu(person[:, None] != person)]}
    if others:
        many = np.stack(others)
        sets["strangers"] = (many @ many.T)[np.triu_indices(len(many), 1)]
        sets["openpeople with strangers"] = (ten @ many.T).ravel()
    print("\n| people taken for each other | pairs |" + "".join(f" {each} |" for each in THRESHOLDS))
    print("|---|---|" + "---|" * len(THRESHOLDS))
    for name, found in sets.items():
        rates = "".join(f" {(found >= each).mean():.1e} |" for each in THRESHOLDS)
        print(f"| {name} | {len(found):,} |{rates}")


def _lists(others: Vectors) -> None:
    """Of swaps between two people who aren't listed, how many are refused."""
    drawing = np.random.default_rng(0)
    similarities = others @ others.T
    print("\n| faces on the list |" + "".join(f" {each} |" for each in THRESHOLDS))
    print("|---|" + "---|" * len(THRESHOLDS))
    for length in LISTS:
        if length > len(others) // 2:
            continue
        refused = np.zeros(len(THRESHOLDS))
        for _ in range(DRAWS):
            drawn = drawing.permutation(len(others))
            nearest = similarities[np.ix_(drawn[length:], drawn[:length])].max(axis=1)
            source, target = np.array_split(nearest[: len(nearest) // 2 * 2], 2)
            refused += [(np.maximum(source, target) >= each).mean() for each in THRESHOLDS]
        shares = "".join(f" {100 * each / DRAWS:.2f} % |" for each in refused)
        print(f"| {length} |{shares}")


def _unpacked(packed: bytes) -> Vectors:
    return np.asarray(FaceList.unpack(["one"], packed).embeddings[0])


# Cost -----------------------------------------------------------------------------------------------------


def cost(_: Sequence[Path]) -> None:
    cv2.setNumThreads(1)
    process = psutil.Process()
    target = picture(path_of("P007", "amateur_selfie"))
    swapper = FaceSwapper(threads=1)
    swapper.swap(target, picture(path_of("P003", "studio_portrait")))
    before = process.memory_info().rss
    network = AdultContent(threads=1)
    spent = _median(lambda: network.probability(target))
    print(
        f"\nAdult content: {spent:.1f} ms a picture of {target.shape[1]} × {target.shape[0]}, "
        f"{(process.memory_info().rss - before) / 1e6:.0f} MB"
    )
    print("\n| faces on the list | milliseconds a face | MB |\n|---|---|---|")
    drawing = np.random.default_rng(0)
    for length in (100, 1000, 10_000, 20_000):
        drawn = drawing.standard_normal((length, SIZE)).astype(np.float32)
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        listed = FaceList.unpack([str(n) for n in range(length)], drawn.astype("<f2").tobytes())
        spent = _median(lambda listed=listed, one=drawn[0]: listed.most_alike(one))  # type: ignore[misc]
        print(f"| {length:,} | {spent:.2f} | {listed.embeddings.nbytes / 1e6:.1f} |")


def _median(work: Callable[[], Any], times: int = 30) -> float:
    """Milliseconds of processor time, so that what else runs here matters less."""
    work()
    spent = []
    for _ in range(times):
        started = time.process_time()
        work()
        spent.append(1000 * (time.process_time() - started))
    return statistics.median(spent)


def main() -> None:
    parts = {"adult": adult, "faces": faces, "cost": cost}
    parser = argparse.ArgumentParser(description="What is refused by mistake, and what is missed.")
    parser.add_argument("parts", nargs="*", default=[*parts], help=", ".join(parts))
    parser.add_argument("--strangers", type=Path, help="folder of pictures, each of somebody else")
    arguments = parser.parse_args()
    strangers = sorted(arguments.strangers.glob("*.jpg")) if arguments.strangers else []
    for part in arguments.parts:
        parts[part](strangers)


if __name__ == "__main__":
    main()

"""What marking costs, and what it survives.

    python benchmarks/marks.py [quality] [survival] [chance] [cost] [--crops 10000]

The pictures are `openpeople`'s, 60 of about 4 megapixels: portraits, whole figures, and sheets of small faces
on white. Each part prints a table for `docs/marks.md`:

- quality: PSNR and SSIM of the watermark.
- survival: in how many pictures watermark and manifest are found after each of 15 changes. What a change
  doesn't say is saved as JPEG 95.
- chance: watermarks found in unmarked crops, of which there mustn't be any. On all cores.
- cost: milliseconds and bytes that every mark adds, and by how much all of them together slow down a swap
  of 4 megapixels from bytes to PNG. Bar: 20 %. On two threads.
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import openpeople
from numpy.typing import NDArray
from PIL import Image

from mien import FaceSwapper
from mien.images.codec import decode, encode
from mien.images.headers import OutputFormat
from mien.marks import provenance, watermark
from mien.marks.certificates import (
    SigningIdentity,
    Trust,
    make_development_identity,
    read_development_identity,
)
from mien.marks.marking import Making, Marks, mark
from mien.marks.tags import tag_of

Pixels = NDArray[np.uint8]
Change = Callable[[Pixels], bytes]

FOLDER = Path(openpeople.__file__).parent / "data" / "curated"
SOURCE = "P003/assets/studio_portrait.jpg"
TARGET = "P007/assets/amateur_selfie.jpg"
BAR = 0.20


def pictures() -> Iterator[tuple[str, Pixels]]:
    for path in sorted(FOLDER.glob("*/assets/*.jpg")):
        yield str(path.relative_to(FOLDER)), decode(path.read_bytes()).rgb


# Changes --------------------------------------------------------------------------------------------------


def saved(rgb: Pixels, format: str = "JPEG", quality: int = 95) -> bytes:
    data = io.BytesIO()
    Image.fromarray(rgb).save(data, format, quality=quality)
    return data.getvalue()


def opened(data: bytes) -> Pixels:
    return np.array(Image.open(io.BytesIO(data)).convert("RGB"))


def as_pixels(values: cv2.typing.MatLike) -> Pixels:
    pixels: Pixels = values.astype(np.uint8, copy=False)
    return pixels


def resized(rgb: Pixels, factor: float) -> Pixels:
    height, width = rgb.shape[:2]
    size = (round(width * factor), round(height * factor))
    return np.array(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))


def cropped(rgb: Pixels, kept: float) -> Pixels:
    """Keep a part of the area, a bit off the middle."""
    height, width = (round(side * kept**0.5) for side in rgb.shape[:2])
    top, left = (rgb.shape[0] - height) // 3, (rgb.shape[1] - width) // 3
    return np.ascontiguousarray(rgb[top : top + height, left : left + width])


def turned(rgb: Pixels, degrees: float) -> Pixels:
    height, width = rgb.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return as_pixels(cv2.warpAffine(rgb, matrix, (width, height), flags=cv2.INTER_CUBIC))


def brighter(rgb: Pixels) -> Pixels:
    return as_pixels(np.clip((rgb.astype(np.float32) - 128) * 1.3 + 143, 0, 255))


def warmer(rgb: Pixels) -> Pixels:
    return as_pixels(np.clip(rgb * np.array([1.1, 1, 0.85]) + [5, 0, -5], 0, 255))


def grey(rgb: Pixels) -> Pixels:
    return as_pixels(cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB))


def on_screen(rgb: Pixels) -> Pixels:
    """Shown smaller, with a window around it."""
    shown = resized(rgb, 0.43)
    framed = cv2.copyMakeBorder(shown, 90, 70, 110, 110, cv2.BORDER_CONSTANT, value=(245, 245, 245))
    return as_pixels(framed)


def passed_on(rgb: Pixels) -> bytes:
    """Cropped to 80 %, resized to 60 %, WebP 80, resized to 83 %, JPEG 75."""
    once = opened(saved(resized(cropped(rgb, 0.8), 0.6), "WEBP", 80))
    return saved(resized(once, 0.83), "JPEG", 75)


CHANGES: dict[str, Change] = {
    "JPEG 70": lambda rgb: saved(rgb, "JPEG", 70),
    "JPEG 50": lambda rgb: saved(rgb, "JPEG", 50),
    "WebP 80": lambda rgb: saved(rgb, "WEBP", 80),
    "resized to 50 %": lambda rgb: saved(resized(rgb, 0.5)),
    "resized to 50 %, JPEG 70": lambda rgb: saved(resized(rgb, 0.5), "JPEG", 70),
    "resized to 25 %, JPEG 80": lambda rgb: saved(resized(rgb, 0.25), "JPEG", 80),
    "10 % cropped off": lambda rgb: saved(cropped(rgb, 0.9)),
    "50 % cropped off, JPEG 80": lambda rgb: saved(cropped(rgb, 0.5), "JPEG", 80),
    "90 % cropped off": lambda rgb: saved(cropped(rgb, 0.1)),
    "brightness + 15, contrast × 1.3": lambda rgb: saved(brighter(rgb)),
    "colours shifted": lambda rgb: saved(warmer(rgb)),
    "made grey, mirrored": lambda rgb: saved(np.ascontiguousarray(grey(rgb)[:, ::-1])),
    "turned by 1.5°, JPEG 80": lambda rgb: saved(turned(rgb, 1.5), "JPEG", 80),
    "screenshot (43 %, framed), JPEG 80": lambda rgb: saved(on_screen(rgb), "JPEG", 80),
    "cropped, resized, WebP 80, resized, JPEG 75": passed_on,
}


# Parts ----------------------------------------------------------------------------------------------------


def quality() -> None:
    ratios, similarities = [], []
    for name, rgb in pictures():
        marked = watermark.embed(rgb, tag_of(name))
        error = marked.astype(np.float32) - rgb
        ratios.append(10 * np.log10(255**2 / float((error**2).mean())))
        similarities.append(ssim(rgb, marked))
    print(f"\n| watermark, {len(ratios)} pictures | lowest | median | highest |\n|---|---|---|---|")
    print(f"| PSNR in dB | {min(ratios):.1f} | {statistics.median(ratios):.1f} | {max(ratios):.1f} |")
    lowest, median, highest = min(similarities), statistics.median(similarities), max(similarities)
    print(f"| SSIM of luma | {lowest:.4f} | {median:.4f} | {highest:.4f} |", flush=True)


def ssim(one: Pixels, other: Pixels) -> float:
    """Wang, Bovik, Sheikh & Simoncelli, "Image quality assessment" (2004), with their Gaussian window."""

    def blurred(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return cv2.GaussianBlur(values, (11, 11), 1.5).astype(np.float32, copy=False)

    x, y = (cv2.cvtColor(each, cv2.COLOR_RGB2GRAY).astype(np.float32) for each in (one, other))
    mean_x, mean_y = blurred(x), blurred(y)
    variance_x, variance_y = blurred(x * x) - mean_x**2, blurred(y * y) - mean_y**2
    covariance = blurred(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    above = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float((above / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))).mean())


def survival(identity: SigningIdentity) -> None:
    untouched = "unchanged"
    watermarks = dict.fromkeys([untouched, *CHANGES], 0)
    manifests = dict.fromkeys(watermarks, 0)
    count = 0
    for name, rgb in pictures():
        count += 1
        tag = tag_of(name)
        making = Making(name, datetime.now(UTC), "benchmark", target=b"", faces=[])
        file = mark(rgb, "png", making, Marks(signing=provenance.Signer.of(identity)))
        marked = decode(file).rgb
        for change, data in ((untouched, file), *((name, make(marked)) for name, make in CHANGES.items())):
            found = watermark.find(decode(data).rgb)
            watermarks[change] += bool(found) and found[0].tag == tag
            manifests[change] += provenance.read(data, Trust.of(identity)).signed_here
        print(f"  {count}: {sum(watermarks.values())} watermarks of {count * len(watermarks)}", flush=True)
    print("\n| change | watermark found | manifest found |\n|---|---|---|")
    for change in watermarks:
        print(f"| {change} | {watermarks[change]} of {count} | {manifests[change]} of {count} |")
    print(end="", flush=True)


def chance(crops: int) -> None:
    began = time.perf_counter()
    paths = sorted(FOLDER.glob("*/assets/*.jpg"))
    shares = [crops // len(paths) + (index < crops % len(paths)) for index in range(len(paths))]
    found = seen = 0
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as processes:
        for share, more in zip(shares, processes.map(found_in_crops, paths, shares), strict=True):
            found, seen = found + more, seen + share
            print(f"  {found} watermarks in {seen} unmarked crops", flush=True)
    minutes = (time.perf_counter() - began) / 60
    print(
        f"\n{found} watermarks in {seen} unmarked crops of 128 to 256 pixels ({minutes:.1f} min).", flush=True
    )


def found_in_crops(path: Path, crops: int) -> int:
    cv2.setNumThreads(1)
    random = np.random.default_rng([*str(path.relative_to(FOLDER)).encode()])
    rgb, key = decode(path.read_bytes()).rgb, random.bytes(32)
    return sum(bool(watermark.find(crop, [key])) for crop in random_crops(rgb, crops, random))


def random_crops(rgb: Pixels, count: int, random: np.random.Generator) -> Iterator[Pixels]:
    for _ in range(count):
        side = int(random.integers(128, 257))
        cut = round(side / float(random.choice([0.25, 0.5, 1.0])))
        top, left = (int(random.integers(0, length - cut + 1)) for length in rgb.shape[:2])
        crop = np.ascontiguousarray(rgb[top : top + cut, left : left + cut])
        yield as_pixels(cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA))


def cost(identity: SigningIdentity) -> None:
    swapper = FaceSwapper(threads=2)
    target, source = ((FOLDER / name).read_bytes() for name in (TARGET, SOURCE))
    rgb = decode(target).rgb
    making = Making("benchmark", datetime.now(UTC), "0", target, [source])
    every = Marks(label="AI-generated", exif="keep", signing=provenance.Signer.of(identity))
    megapixels = rgb.shape[0] * rgb.shape[1] / 1e6

    print(f"\n| per picture of {megapixels:.1f} megapixels | ms | bytes |\n|---|---|---|")
    print(f"| watermark (pixels) | {best(lambda: watermark.embed(rgb, 1)):.0f} | |")
    formats: tuple[OutputFormat, ...] = ("png", "jpg", "webp")
    for format in formats:
        plain = encode(rgb, format)
        none = Marks(watermark=False, xmp=False)
        for name, marks in (
            ("nothing", none),
            ("watermark", Marks(xmp=False)),
            ("XMP", Marks(watermark=False)),
            ("manifest", Marks(watermark=False, xmp=False, signing=provenance.Signer.of(identity))),
            ("all, with label", every),
        ):
            size = len(mark(rgb, format, making, marks))
            taken = best(lambda format=format, marks=marks: mark(rgb, format, making, marks))  # type: ignore[misc]
            print(f"| {format}: {name} | {taken:.0f} | {size - len(plain):+d} of {len(plain)} |", flush=True)

    def swap(marks: Marks) -> None:
        result = swapper.swap(decode(target).rgb, decode(source).rgb)
        mark(result.image, "png", making, marks)

    variants = {
        "without marks": Marks(watermark=False, xmp=False),
        "by default (watermark, XMP, manifest)": Marks(signing=provenance.Signer.of(identity)),
        "with every mark (label and EXIF, too)": every,
    }
    taken_by: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
    for _ in range(12):  # in turns, so that a busy machine is as unfair to all of them
        for name, marks in variants.items():
            cpu = time.process_time()
            wall = milliseconds(lambda marks=marks: swap(marks))  # type: ignore[misc]
            taken_by[name].append((wall, (time.process_time() - cpu) * 1e3))
    print("\n| swap from bytes to PNG | median ms | slower | median CPU ms | slower |\n|---|---|---|---|---|")
    walls, cpus = (
        {name: statistics.median(pair[of] for pair in taken_by[name]) for name in variants} for of in (0, 1)
    )
    for name in variants:
        slower = [all_of[name] / all_of["without marks"] - 1 for all_of in (walls, cpus)]
        print(f"| {name} | {walls[name]:.0f} | {slower[0]:+.1%} | {cpus[name]:.0f} | {slower[1]:+.1%} |")
    print(f"\nThe bar is {BAR:.0%}.", flush=True)


def milliseconds(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return (time.perf_counter() - begin) * 1e3


def best(action: Callable[[], object]) -> float:
    return min(milliseconds(action) for _ in range(7))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    everything = ["quality", "survival", "chance", "cost"]
    parser.add_argument("parts", nargs="*", default=everything, choices=everything)
    parser.add_argument("--crops", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    identity = read_development_identity(make_development_identity())
    if "quality" in options.parts:
        quality()
    if "survival" in options.parts:
        survival(identity)
    if "chance" in options.parts:
        chance(options.crops)
    if "cost" in options.parts:
        cost(identity)


if __name__ == "__main__":
    main()

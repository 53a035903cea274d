"""Which encoder, with which settings: milliseconds and bytes of the candidates on real pictures.

    python benchmarks/codec.py [png|jpg|webp …]

The pictures are `openpeople`'s, about 4 megapixels each. They were JPEGs, so PNG is also tried with grain on
top, and JPEG and WebP get them at half the size, where every pixel has a colour of its own again; otherwise
the candidates that repeat the old JPEG's choices would look perfect. Times are the best of three runs,
averaged over pictures, per 4 megapixels, on one thread where the encoder lets us choose. ΔE is CIE76 against
the input, as the mean and the 99.9th percentile, which is where subsampled colour shows: lips, eyes, hair
against skin.
`mien.images.codec.encode` is in the table as "ours".
"""

import io
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import openpeople
from numpy.typing import NDArray
from PIL import Image

from mien.images.codec import OutputFormat, encode

Pixels = NDArray[np.uint8]
Encoder = Callable[[Pixels], bytes]

PICTURES = (
    "P001/assets/amateur_selfie.jpg",
    "P002/assets/studio_portrait.jpg",
    "P003/assets/amateur_posture.jpg",
)


def with_pillow(format: str, **options: object) -> Encoder:
    def encode_it(rgb: Pixels) -> bytes:
        data = io.BytesIO()
        Image.fromarray(rgb).save(data, format, **options)
        return data.getvalue()

    return encode_it


def with_opencv(suffix: str, *settings: int) -> Encoder:
    def encode_it(rgb: Pixels) -> bytes:
        return cv2.imencode(suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), settings)[1].tobytes()

    return encode_it


def ours(format: OutputFormat) -> Encoder:
    return lambda rgb: encode(rgb, format)


def png_candidates() -> dict[str, Encoder]:
    candidates = {"ours": ours("png"), "Pillow, default": with_pillow("PNG")}
    for level in (1, 2, 3):
        candidates[f"Pillow, level {level}"] = with_pillow("PNG", compress_level=level)
    candidates["OpenCV, default"] = with_opencv(".png")
    for level in (1, 2):
        for name in ("SUB", "UP", "AVG", "PAETH"):
            candidates[f"OpenCV, level {level}, {name.lower()}"] = with_opencv(
                ".png",
                *(cv2.IMWRITE_PNG_COMPRESSION, level),
                *(cv2.IMWRITE_PNG_FILTER, getattr(cv2, f"IMWRITE_PNG_FILTER_{name}")),
            )
        candidates[f"OpenCV, level {level}, fast filters"] = with_opencv(
            ".png",
            *(cv2.IMWRITE_PNG_COMPRESSION, level),
            *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FAST_FILTERS),
        )
    for strategy in ("RLE", "HUFFMAN_ONLY"):
        candidates[f"OpenCV, {strategy.lower()}, up"] = with_opencv(
            ".png",
            *(cv2.IMWRITE_PNG_STRATEGY, getattr(cv2, f"IMWRITE_PNG_STRATEGY_{strategy}")),
            *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
        )
    return candidates


def jpeg_candidates() -> dict[str, Encoder]:
    candidates = {"ours": ours("jpg")}
    for quality in (80, 85, 90, 95):
        for chroma in ("4:2:0", "4:4:4"):
            candidates[f"Pillow, {quality}, {chroma}, optimized"] = with_pillow(
                "JPEG", quality=quality, subsampling=chroma, optimize=True
            )
    candidates["Pillow, 95, 4:4:4"] = with_pillow("JPEG", quality=95, subsampling="4:4:4")
    candidates["Pillow, 95, 4:4:4, progressive"] = with_pillow(
        "JPEG", quality=95, subsampling="4:4:4", progressive=True
    )
    candidates["OpenCV, 95, 4:4:4, optimized"] = with_opencv(
        ".jpg",
        *(cv2.IMWRITE_JPEG_QUALITY, 95),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
        *(cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    )
    return candidates


def webp_candidates() -> dict[str, Encoder]:
    candidates = {"ours": ours("webp")}
    for method in range(6):
        candidates[f"Pillow, 90, method {method}"] = with_pillow("WEBP", quality=90, method=method)
    for quality in (80, 95):
        candidates[f"Pillow, {quality}, method 2"] = with_pillow("WEBP", quality=quality, method=2)
    candidates["Pillow, 90, method 2, sharp colour"] = with_pillow(
        "WEBP", quality=90, method=2, use_sharp_yuv=True
    )
    candidates["OpenCV, 90"] = with_opencv(".webp", cv2.IMWRITE_WEBP_QUALITY, 90)
    return candidates


def lab(rgb: Pixels) -> NDArray[np.float32]:
    return cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2Lab).astype(np.float32, copy=False)


def measure(title: str, candidates: dict[str, Encoder], pictures: list[Pixels]) -> None:
    print(f"\n{title:38}  ms/4MP  MB/4MP   ΔE mean    99.9%")
    references = [lab(rgb) for rgb in pictures]
    for name, encode_it in candidates.items():
        milliseconds, megabytes, mean, worst = [], [], [], []
        for rgb, reference in zip(pictures, references, strict=True):
            per_4mp = 4e6 / (rgb.shape[0] * rgb.shape[1])
            seconds = []
            for _ in range(3):
                begin = time.perf_counter()
                data = encode_it(rgb)
                seconds.append(time.perf_counter() - begin)
            back = np.array(Image.open(io.BytesIO(data)).convert("RGB"))
            error = np.linalg.norm(lab(back) - reference, axis=-1)
            milliseconds.append(min(seconds) * 1e3 * per_4mp)
            megabytes.append(len(data) / 1e6 * per_4mp)
            mean.append(float(error.mean()))
            worst.append(float(np.percentile(error, 99.9)))
        averages = [float(np.mean(column)) for column in (milliseconds, megabytes, mean, worst)]
        print("{:38}{:8.0f}{:8.2f}{:10.2f}{:9.2f}".format(name, *averages), flush=True)


def main() -> None:
    cv2.setNumThreads(1)
    folder = Path(openpeople.__file__).parent / "data" / "curated"
    pictures = [np.array(Image.open(folder / name).convert("RGB")) for name in PICTURES]
    halves = [cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for rgb in pictures]
    random = np.random.default_rng(0)
    grainy = [
        np.clip(rgb + random.normal(0, 2, rgb.shape[:2])[..., None], 0, 255).astype(np.uint8)
        for rgb in pictures
    ]
    wanted = sys.argv[1:] or ["png", "jpg", "webp"]
    if "png" in wanted:
        measure("PNG", png_candidates(), pictures)
        measure("PNG, with grain", png_candidates(), grainy)
    if "jpg" in wanted:
        measure("JPEG", jpeg_candidates(), [half.astype(np.uint8) for half in halves])
    if "webp" in wanted:
        measure("WebP", webp_candidates(), [half.astype(np.uint8) for half in halves])


if __name__ == "__main__":
    main()

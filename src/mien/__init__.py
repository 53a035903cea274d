"""Mien: natural face swaps, without a GPU and without a download.

    from mien import FaceSwapper

    result = FaceSwapper().swap(target, source)     # uint8[H, W, 3] RGB arrays
    result.image, result.report

Importing it pulls in no web or database code. Errors are in `mien.errors`.
"""

from mien.engine.faces import Face
from mien.engine.report import SwapReport
from mien.engine.swapper import FaceSwapper, SwapOptions, SwapResult
from mien.errors import FaceUnusable, MienError, NoFaceFound, TargetIndexOutOfRange

__all__ = [
    "Face",
    "FaceSwapper",
    "FaceUnusable",
    "MienError",
    "NoFaceFound",
    "SwapOptions",
    "SwapReport",
    "SwapResult",
    "TargetIndexOutOfRange",
]

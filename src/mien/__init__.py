"""Mien: natural face swaps, without a GPU and without a download.

    from mien import FaceSwapper

    swapper = FaceSwapper()
    result = swapper.swap(target, source)     # uint8[H, W, 3] RGB arrays
    result.image, result.report
    swapper.swap_faces(target, [FaceSwap((source,), target_index=0), FaceSwap((other,), target_index=1)])

Importing it pulls in no web or database code, and the engine only when it is asked for: the command line and
the API live in this package, too. Errors are in `mien.errors`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from mien.errors import FaceUnusable, MienError, NoFaceFound, TargetIndexOutOfRange

if TYPE_CHECKING:
    from mien.engine.faces import Face
    from mien.engine.report import SwapReport
    from mien.engine.swapper import FaceSwap, FaceSwapper, SwapOptions, SwapResult, SwapsResult

__all__ = [
    "Face",
    "FaceSwap",
    "FaceSwapper",
    "FaceUnusable",
    "MienError",
    "NoFaceFound",
    "SwapOptions",
    "SwapReport",
    "SwapResult",
    "SwapsResult",
    "TargetIndexOutOfRange",
]

_ENGINE = {
    "Face": "mien.engine.faces",
    "FaceSwap": "mien.engine.swapper",
    "FaceSwapper": "mien.engine.swapper",
    "SwapOptions": "mien.engine.swapper",
    "SwapReport": "mien.engine.report",
    "SwapResult": "mien.engine.swapper",
    "SwapsResult": "mien.engine.swapper",
}


def __getattr__(name: str) -> object:
    if name not in _ENGINE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ENGINE[name]), name)

"""Names for arrays. OpenCV's stubs carry no dtypes, so these tell the reader more than the type checker."""

from typing import Any, TypeAlias

from numpy.typing import NDArray

RGB: TypeAlias = NDArray[Any]
"""uint8[H, W, 3], red first."""

Float: TypeAlias = NDArray[Any]
"""float32, or float64 where geometry needs it; pixels in 0–255, masks in [0, 1]."""

Mask: TypeAlias = NDArray[Any]
"""bool or uint8 of 0 and 1."""

Index: TypeAlias = NDArray[Any]
"""Integers that point into something."""

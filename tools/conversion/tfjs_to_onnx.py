"""Convert TensorFlow.js graph models to ONNX: as much of the format as MobileNet needs.

*Convention.* Every tensor of four dimensions is N, C, H, W, as in `tflite_to_onnx`.
"""

import base64
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from conversion import BuildError, unknown_operator
from conversion.onnx_writer import OnnxWriter

Weights = dict[str, npt.NDArray[np.generic]]

_PADDING = {"SAME": "SAME_UPPER", "VALID": "VALID"}


@dataclass(frozen=True)
class Node:
    """One operator of the source graph; `inputs` are names of nodes."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    attributes: dict[str, Any]

    def integers(self, attribute: str) -> list[int]:
        return [int(i) for i in self.attributes[attribute]["list"]["i"]]

    def text(self, attribute: str) -> str:
        return base64.b64decode(self.attributes[attribute]["s"]).decode()


def read_weights(manifest: list[dict[str, Any]], content: bytes) -> Weights:
    """Weights by name, widened to float32 where they are stored in half precision."""
    weights: Weights = {}
    position = 0
    for entry in (entry for group in manifest for entry in group["weights"]):
        stored = entry.get("quantization", entry)["dtype"]
        if stored not in ("float16", "float32", "int32"):
            raise BuildError(f"weight {entry['name']} is stored as {stored}, which isn't read yet")
        dtype = np.dtype(stored).newbyteorder("<")
        values = np.frombuffer(content, dtype, math.prod(entry["shape"]), position)
        weights[entry["name"]] = values.reshape(entry["shape"]).astype(entry["dtype"])
        position += values.nbytes
    if position != len(content):
        raise BuildError(f"the weight file has {len(content)} bytes, its manifest describes {position}")
    return weights


class TfjsConversion:
    """A graph on its way to ONNX. `image` is the ONNX value that stands for the graph's placeholder."""

    def __init__(self, description: bytes, weights: bytes, writer: OnnxWriter, image: str) -> None:
        model = json.loads(description)
        self.writer = writer
        self.weights = read_weights(model["weightsManifest"], weights)
        self.nodes = {
            node["name"]: Node(node["name"], node["op"], tuple(node.get("input", ())), node.get("attr", {}))
            for node in model["modelTopology"]["node"]
        }
        self._image = image
        self._values: dict[str, str] = {}

    def value(self, name: str) -> str:
        """ONNX name of a node's output; the node, and what it depends on, is converted on first use."""
        if name not in self._values:
            node = self.nodes[name]
            if node.kind == "Placeholder":
                return self._image
            if node.kind not in _OPERATORS:
                raise unknown_operator(node.kind)
            self._values[name] = _OPERATORS[node.kind](self, node)
        return self._values[name]


def _constant(conversion: TfjsConversion, node: Node) -> str:
    """A scalar, or one number for each channel."""
    weight = conversion.weights[node.name]
    if weight.ndim > 1:
        raise BuildError(f"constant {node.name} has {weight.ndim} dimensions, which has no conversion yet")
    return conversion.writer.weight(weight.astype(np.float32).reshape(weight.shape + (1, 1) * weight.ndim))


def _convolution(conversion: TfjsConversion, node: Node) -> str:
    return _convolve(conversion, node, order=(3, 2, 0, 1), depthwise=False)


def _depthwise_convolution(conversion: TfjsConversion, node: Node) -> str:
    return _convolve(conversion, node, order=(2, 3, 0, 1), depthwise=True)


def _convolve(conversion: TfjsConversion, node: Node, order: tuple[int, ...], depthwise: bool) -> str:
    image, kernel = node.inputs
    weights = conversion.weights[kernel].astype(np.float32).transpose(order)
    if depthwise and weights.shape[1] != 1:
        raise BuildError(f"{node.name} makes several channels of one, which has no conversion yet")
    return conversion.writer.add(
        "Conv",
        conversion.value(image),
        conversion.writer.weight(weights),
        auto_pad=_PADDING[node.text("padding")],
        strides=node.integers("strides")[1:3],
        dilations=node.integers("dilations")[1:3],
        group=weights.shape[0] if depthwise else 1,
    )


def _elementwise(onnx_operator: str) -> Callable[[TfjsConversion, Node], str]:
    def handler(conversion: TfjsConversion, node: Node) -> str:
        return conversion.writer.add(onnx_operator, *map(conversion.value, node.inputs))

    return handler


def _clip(conversion: TfjsConversion, node: Node) -> str:
    """The outer half of `clip_by_value`, max(min(x, high), low), with both halves as one."""
    inner = conversion.nodes[node.inputs[0]]
    if inner.kind != "Minimum":
        raise BuildError(f"{node.name} isn't the outer half of clip_by_value; alone it has no conversion yet")
    value, high = inner.inputs
    return conversion.writer.add("Clip", *map(conversion.value, (value, node.inputs[1], high)))


def _spatial_mean(conversion: TfjsConversion, node: Node) -> str:
    image, axes = node.inputs
    if sorted(conversion.weights[axes].tolist()) != [1, 2] or node.attributes["keep_dims"]["b"]:
        raise BuildError(f"{node.name} isn't a mean over height and width; others have no conversion yet")
    pooled = conversion.writer.add("GlobalAveragePool", conversion.value(image))
    return conversion.writer.add("Flatten", pooled)


_OPERATORS: dict[str, Callable[[TfjsConversion, Node], str]] = {
    "Add": _elementwise("Add"),
    "Const": _constant,
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _depthwise_convolution,
    "Maximum": _clip,
    "Mean": _spatial_mean,
    "Mul": _elementwise("Mul"),
    "Relu": _elementwise("Relu"),
}

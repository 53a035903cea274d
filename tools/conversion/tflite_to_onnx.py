"""Convert TensorFlow Lite graphs to ONNX.

*Convention.* TensorFlow Lite keeps images as N, H, W, C; ONNX as N, C, H, W. Here every tensor of four
dimensions is N, C, H, W from the moment it enters the graph; all others keep their order. The batch is free.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tflite

from conversion import BuildError, unknown_operator
from conversion.onnx_writer import OnnxWriter
from conversion.tflite_reader import Operator, TfliteGraph

INPUT = "input"

_CHANNELS_FIRST = (0, 3, 1, 2)
_CHANNELS_LAST = (0, 2, 3, 1)

# Both frameworks put the odd pixel of "same" at the lower right.
_PADDING = {tflite.Padding.SAME: "SAME_UPPER", tflite.Padding.VALID: "VALID"}


class TfliteConversion:
    """A graph on its way to ONNX: where each of its tensors is found in the writer's graph."""

    def __init__(self, graph: TfliteGraph) -> None:
        self.graph = graph
        self.writer = OnnxWriter()
        (image,) = graph.inputs
        self.values = {image: self.writer.add("Transpose", INPUT, perm=_CHANNELS_FIRST)}

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Shape in TensorFlow Lite's order, with a batch of one."""
        return self.graph.tensors[tensor].shape

    def constant(self, tensor: int) -> npt.NDArray[np.generic]:
        """Content of a tensor that must be constant, in TensorFlow Lite's order."""
        content = self.graph.tensors[tensor].constant
        if content is None:
            raise BuildError(f"tensor {self.graph.tensors[tensor].name} must be constant and isn't")
        return content

    def floats(self, tensor: int) -> npt.NDArray[np.float32]:
        """Like `constant`, for weights."""
        return self.constant(tensor).astype(np.float32)

    def value(self, tensor: int) -> str:
        """ONNX name of a tensor, constant or not."""
        if tensor not in self.values:
            weight = self.floats(tensor)
            self.values[tensor] = self.writer.weight(
                weight.transpose(_CHANNELS_FIRST) if weight.ndim == 4 else weight
            )
        return self.values[tensor]

    def channels_last(self, tensor: int) -> str:
        """ONNX name of a tensor in TensorFlow Lite's order."""
        value = self.value(tensor)
        if len(self.shape(tensor)) != 4:
            return value
        return self.writer.add("Transpose", value, perm=_CHANNELS_LAST)

    def output(self, name: str) -> int:
        """Index of one of the graph's outputs."""
        for tensor in self.graph.outputs:
            if self.graph.tensors[tensor].name == name:
                return tensor
        raise BuildError(f"the source model has no output {name}")


Handler = Callable[[TfliteConversion, Operator], str]


def convert(graph: TfliteGraph, custom_operators: Mapping[str, Handler] | None = None) -> TfliteConversion:
    """Convert all operators. A handler returns the ONNX name of its operator's one output."""
    handlers = {**_OPERATORS, **(custom_operators or {})}
    conversion = TfliteConversion(graph)
    for operator in graph.operators:
        if operator.kind not in handlers:
            raise unknown_operator(operator.kind)
        (output,) = operator.outputs
        conversion.values[output] = handlers[operator.kind](conversion, operator)
    return conversion


def _convolution(conversion: TfliteConversion, operator: Operator) -> str:
    return _convolve(conversion, operator, order=(0, 3, 1, 2), groups=1)


def _depthwise_convolution(conversion: TfliteConversion, operator: Operator) -> str:
    return _convolve(conversion, operator, order=(3, 0, 1, 2), groups=conversion.shape(operator.inputs[0])[3])


def _convolve(
    conversion: TfliteConversion, operator: Operator, order: tuple[int, int, int, int], groups: int
) -> str:
    image, kernel, bias = operator.inputs
    options = operator.options
    value = conversion.writer.add(
        "Conv",
        conversion.value(image),
        conversion.writer.weight(conversion.floats(kernel).transpose(order)),
        conversion.writer.constant(conversion.floats(bias)),
        auto_pad=_PADDING[options.Padding()],
        strides=[options.StrideH(), options.StrideW()],
        dilations=[options.DilationHFactor(), options.DilationWFactor()],
        group=groups,
    )
    return _activated(conversion, value, options)


def _unary(onnx_operator: str) -> Handler:
    def handler(conversion: TfliteConversion, operator: Operator) -> str:
        (tensor,) = operator.inputs
        return conversion.writer.add(onnx_operator, conversion.value(tensor))

    return handler


def _binary(onnx_operator: str) -> Handler:
    def handler(conversion: TfliteConversion, operator: Operator) -> str:
        rank = len(conversion.shape(operator.outputs[0]))
        for shape in map(conversion.shape, operator.inputs):
            if rank == 4 and len(shape) != 4 and shape != (1,):
                raise BuildError(f"{operator.kind} of an image and {shape} has no conversion yet")
        value = conversion.writer.add(onnx_operator, *map(conversion.value, operator.inputs))
        return _activated(conversion, value, operator.options)

    return handler


def _parametric_relu(conversion: TfliteConversion, operator: Operator) -> str:
    """slope · x + (1 − slope) · relu(x). With `PRelu`, which ends its blocked layout of images, onnxruntime
    takes twice as long over a network."""
    image, slope = operator.inputs
    writer, value = conversion.writer, conversion.value(image)
    slope_chw = conversion.floats(slope).transpose(2, 0, 1)
    everywhere = writer.add("Mul", value, writer.constant(slope_chw))
    above_zero = writer.add("Mul", writer.add("Relu", value), writer.constant(1 - slope_chw))
    return writer.add("Add", everywhere, above_zero)


def _max_pool(conversion: TfliteConversion, operator: Operator) -> str:
    options = operator.options
    value = conversion.writer.add(
        "MaxPool",
        conversion.value(operator.inputs[0]),
        auto_pad=_PADDING[options.Padding()],
        kernel_shape=[options.FilterHeight(), options.FilterWidth()],
        strides=[options.StrideH(), options.StrideW()],
    )
    return _activated(conversion, value, options)


def _global_average_pool(conversion: TfliteConversion, operator: Operator) -> str:
    options = operator.options
    window = (options.FilterHeight(), options.FilterWidth())
    whole = conversion.shape(operator.inputs[0])[1:3]
    if window != whole or conversion.shape(operator.outputs[0])[1:3] != (1, 1):
        raise BuildError("average pooling over less than the whole image has no conversion yet")
    value = conversion.writer.add("GlobalAveragePool", conversion.value(operator.inputs[0]))
    return _activated(conversion, value, options)


def _pad(conversion: TfliteConversion, operator: Operator) -> str:
    """More channels, of zeros: as a convolution, since `Pad` ends onnxruntime's blocked layout, too."""
    image, amounts = operator.inputs
    behind_channels = np.zeros((4, 2), np.int64)
    behind_channels[3, 1] = conversion.constant(amounts)[3, 1]
    if not np.array_equal(conversion.constant(amounts), behind_channels):
        raise BuildError("padding other than behind the channels has no conversion yet")
    channels, more = (conversion.shape(tensor)[3] for tensor in (image, operator.outputs[0]))
    kernel = np.eye(more, channels)[:, :, None, None]
    return conversion.writer.add("Conv", conversion.value(image), conversion.writer.weight(kernel))


def _resize_bilinear(conversion: TfliteConversion, operator: Operator) -> str:
    image = operator.inputs[0]
    if operator.options.AlignCorners() or not operator.options.HalfPixelCenters():
        raise BuildError("bilinear resizing is converted for half-pixel centres only")
    _, height, width, _ = conversion.shape(image)
    _, new_height, new_width, _ = conversion.shape(operator.outputs[0])
    scales = conversion.writer.constant([1.0, 1.0, new_height / height, new_width / width])
    return conversion.writer.add(
        "Resize",
        conversion.value(image),
        "",  # no region of interest
        scales,
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )


def _reshape(conversion: TfliteConversion, operator: Operator) -> str:
    shape = conversion.shape(operator.outputs[0])
    value = conversion.writer.add(
        "Reshape",
        conversion.channels_last(operator.inputs[0]),
        conversion.writer.constant([-1, *shape[1:]]),
    )
    return conversion.writer.add("Transpose", value, perm=_CHANNELS_FIRST) if len(shape) == 4 else value


def _concatenation(conversion: TfliteConversion, operator: Operator) -> str:
    rank = len(conversion.shape(operator.outputs[0]))
    axis = operator.options.Axis() % rank
    return conversion.writer.add(
        "Concat",
        *(conversion.value(tensor) for tensor in operator.inputs),
        axis=_CHANNELS_FIRST.index(axis) if rank == 4 else axis,
    )


def _whole_slice(conversion: TfliteConversion, operator: Operator) -> str:
    if conversion.shape(operator.inputs[0]) != conversion.shape(operator.outputs[0]):
        raise BuildError("slices that leave something out have no conversion yet")
    return conversion.value(operator.inputs[0])


def _activated(conversion: TfliteConversion, value: str, options: Any) -> str:
    """Apply the activation that is fused into an operator."""
    activation = options.FusedActivationFunction()
    if activation == tflite.ActivationFunctionType.NONE:
        return value
    if activation == tflite.ActivationFunctionType.RELU:
        return conversion.writer.add("Relu", value)
    raise BuildError(f"the fused activation {activation} has no conversion yet")


_OPERATORS: dict[str, Handler] = {
    "ADD": _binary("Add"),
    "AVERAGE_POOL_2D": _global_average_pool,
    "CONCATENATION": _concatenation,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise_convolution,
    "HARD_SWISH": _unary("HardSwish"),
    "LOGISTIC": _unary("Sigmoid"),
    "MAX_POOL_2D": _max_pool,
    "MUL": _binary("Mul"),
    "PAD": _pad,
    "PRELU": _parametric_relu,
    "RELU": _unary("Relu"),
    "RESHAPE": _reshape,
    "RESIZE_BILINEAR": _resize_bilinear,
    "STRIDED_SLICE": _whole_slice,
}

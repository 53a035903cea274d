"""Write CenterFace afresh, so that any number and size of pictures fits and the file is half as large.

The published file fixes its input at 10 pictures of 32 x 32, lists its weights as inputs, and normalises
after its three transposed convolutions; here the size is free, weights are constants, and the normalisation
is part of the weights before it.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from conversion import unknown_operator
from conversion.onnx_writer import OnnxWriter, Output

_COPIED = {"Add", "Conv", "Relu", "Sigmoid"}
_OUTPUTS = {"heatmap": 1, "scale": 2, "offset": 2, "landmarks": 10}


def face_detector(content: bytes) -> bytes:
    """CenterFace with an input N, 3, H, W and outputs at a quarter of its height and width."""
    graph = onnx.load_from_string(content).graph
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    (image,) = [value.name for value in graph.input if value.name not in weights]
    normalisations = {node.input[0]: node for node in graph.node if node.op_type == "BatchNormalization"}

    writer = OnnxWriter()
    values = {image: "input"}
    for node in graph.node:
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        if node.op_type in _COPIED:
            inputs = [values.get(name) or _stored(writer, weights[name]) for name in node.input]
            values[node.output[0]] = writer.add(node.op_type, *inputs, **attributes)
        elif node.op_type == "ConvTranspose":
            normalisation = normalisations[node.output[0]]
            kernel, bias = _normalised(weights[node.input[1]], normalisation, weights)
            inputs = [values[node.input[0]], writer.weight(kernel), writer.constant(bias)]
            values[normalisation.output[0]] = writer.add("ConvTranspose", *inputs, **attributes)
        elif node.op_type != "BatchNormalization":
            raise unknown_operator(node.op_type)

    outputs: list[Output] = [
        (name, values[source.name], ["N", channels, "H/4", "W/4"])
        for source, (name, channels) in zip(graph.output, _OUTPUTS.items(), strict=True)
    ]
    return writer.serialize("centerface", {"input": ["N", 3, "H", "W"]}, outputs)


def _stored(writer: OnnxWriter, weight: npt.NDArray[np.float32]) -> str:
    return writer.constant(weight) if weight.ndim == 1 else writer.weight(weight)


def _normalised(
    kernel: npt.NDArray[np.float32],
    normalisation: onnx.NodeProto,
    weights: Mapping[str, npt.NDArray[np.float32]],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Kernel (in, out, height, width) and bias (out) that include the normalisation of their outputs."""
    scale, shift, mean, variance = (weights[name].astype(np.float64) for name in normalisation.input[1:])
    (epsilon,) = [attribute.f for attribute in normalisation.attribute if attribute.name == "epsilon"]
    gain = scale / np.sqrt(variance + epsilon)
    return kernel * gain[:, None, None], shift - mean * gain

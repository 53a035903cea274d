"""Yahoo's open_nsfw as one answer to one question, a quarter as large as it is published."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from conversion import unknown_operator
from conversion.onnx_writer import OnnxWriter

# What its training subtracted, in the order blue, green, red.
_MEAN_BGR = (104.0, 117.0, 123.0)

_COPIED = {"Add", "AveragePool", "MaxPool", "Relu", "Softmax"}


def adult_content(content: bytes) -> bytes:
    """ResNet from RGB in 0..255 to the probability of adult content, with what prepares its input inside."""
    graph = onnx.load_from_string(content).graph
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}

    writer = OnnxWriter()
    values = {graph.input[0].name: _prepared(writer)}
    for node in graph.node:
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        source, *others = node.input
        if node.op_type in _COPIED:
            inputs = [values[source], *(_value(writer, values, weights, name) for name in others)]
            values[node.output[0]] = writer.add(node.op_type, *inputs, **attributes)
        elif node.op_type == "Conv":
            kernel, bias = (weights[name] for name in others)
            inputs = [values[source], writer.weight_in_bytes(kernel), writer.constant(bias)]
            values[node.output[0]] = writer.add("Conv", *inputs, **attributes)
        elif node.op_type == "MatMul":
            (matrix,) = (weights[name] for name in others)
            values[node.output[0]] = writer.add("MatMul", values[source], writer.weight(matrix))
        elif node.op_type == "Reshape":
            shape = [-1, *weights[others[0]].tolist()[1:]]  # any number of pictures
            values[node.output[0]] = writer.add("Reshape", values[source], writer.constant(shape))
        elif node.op_type == "Transpose":
            values[node.output[0]] = values[source]  # `_prepared` has done that
        else:
            raise unknown_operator(node.op_type)

    both = values[graph.output[0].name]  # fit for work, and not
    probability = writer.add("Gather", both, writer.constant([1]), axis=1)
    return writer.serialize(
        "open_nsfw", {"input": ["N", 224, 224, 3]}, [("probability", probability, ["N", 1])]
    )


def _prepared(writer: OnnxWriter) -> str:
    image = writer.add("Transpose", "input", perm=[0, 3, 1, 2])
    image = writer.add("Gather", image, writer.constant([2, 1, 0]), axis=1)
    return writer.add("Sub", image, writer.constant([[[mean]] for mean in _MEAN_BGR]))


def _value(
    writer: OnnxWriter, values: Mapping[str, str], weights: Mapping[str, npt.NDArray[np.float32]], name: str
) -> str:
    return values.get(name) or writer.constant(weights[name])

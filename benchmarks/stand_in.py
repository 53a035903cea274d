"""A network of the usual face swapper's size, to compare times with. It swaps nothing.

Layer by layer as large as inswapper-128, which most face swap tools run: 138 million weights, 128 × 128
pixels in and out. Its weights are random, since the time doesn't depend on them. The graph is written as
bytes in ONNX's own format (protocol buffers), so that the benchmark needs no more packages than Mien does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import onnxruntime as ort

SIDE = 128
IDENTITY = 512
STYLE_BLOCKS = 6

VARINT, BYTES = 0, 2
FLOAT, INT64 = 1, 7
"""ONNX's numbers for types of elements."""


def stand_in(threads: int) -> ort.InferenceSession:
    graph = swapper_like()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    noise = np.random.default_rng(0)
    values = [
        ort.OrtValue.ortvalue_from_numpy(noise.standard_normal(shape, np.float32) * scale(shape))
        for shape in graph.weights.values()
    ]
    options.add_external_initializers(list(graph.weights), values)
    return ort.InferenceSession(graph.model(), options, providers=["CPUExecutionProvider"])


def scale(shape: tuple[int, ...]) -> np.float32:
    """Keeps activations near 1."""
    return np.float32(np.prod(shape[1:])) ** np.float32(-0.5)


def inputs() -> dict[str, np.ndarray]:
    noise = np.random.default_rng(0)
    return {
        "picture": noise.random((1, 3, SIDE, SIDE), np.float32),
        "identity": noise.random((1, IDENTITY), np.float32),
    }


def swapper_like() -> "Graph":
    graph = Graph()
    x = graph.conv("picture", 3, 128, 7)
    for inside, outside, stride in ((128, 256, 1), (256, 512, 2), (512, 1024, 2)):
        x = graph.conv(x, inside, outside, 3, stride)
    for _ in range(STYLE_BLOCKS):
        y = graph.styled(graph.conv(x, 1024, 1024, 3), 1024)
        y = graph.styled(graph.conv(y, 1024, 1024, 3), 1024)
        x = graph.node("Add", [x, y])
    for inside, outside in ((1024, 512), (512, 256)):
        x = graph.conv(graph.twice_as_large(x), inside, outside, 3)
    graph.output = graph.conv(graph.conv(x, 256, 128, 3), 128, 3, 7)
    return graph


@dataclass
class Graph:
    """An ONNX graph that grows node by node; each method returns the name of what it adds."""

    nodes: list[bytes] = field(default_factory=list)
    weights: dict[str, tuple[int, ...]] = field(default_factory=dict)
    output: str = ""

    def node(self, operator: str, inputs: Sequence[str], *attributes: bytes) -> str:
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(
            b"".join(text(1, one) for one in inputs)
            + text(2, name)
            + text(4, operator)
            + b"".join(block(5, attribute) for attribute in attributes)
        )
        return name

    def constant(self, values: Sequence[int]) -> str:
        return self.node("Constant", [], tensor_attribute("value", np.array(values, np.int64)))

    def weight(self, *shape: int) -> str:
        name = f"weight_{len(self.weights)}"
        self.weights[name] = shape
        return name

    def conv(self, x: str, inside: int, outside: int, side: int, stride: int = 1) -> str:
        kernel = self.weight(outside, inside, side, side)
        pad, step = side // 2, stride
        convolved = self.node(
            "Conv", [x, kernel, self.weight(outside)], whole("pads", [pad] * 4), whole("strides", [step] * 2)
        )
        return self.node("LeakyRelu", [convolved])

    def styled(self, x: str, channels: int) -> str:
        """Adaptive instance normalisation: scale and shift of each channel come from the identity."""
        normal = self.node("InstanceNormalization", [x, self.weight(channels), self.weight(channels)])
        style = self.node("MatMul", ["identity", self.weight(IDENTITY, 2 * channels)])
        shape = self.constant([2, 1, channels, 1, 1])
        both = self.node("Reshape", [style, shape])
        scale, shift = (self.node("Gather", [both, self.constant([k])], number("axis", 0)) for k in (0, 1))
        scale, shift = (
            self.node("Reshape", [one, self.constant([1, channels, 1, 1])]) for one in (scale, shift)
        )
        return self.node("Add", [self.node("Mul", [normal, scale]), shift])

    def twice_as_large(self, x: str) -> str:
        factors = self.node("Constant", [], tensor_attribute("value", np.array([1, 1, 2, 2], np.float32)))
        return self.node("Resize", [x, "", factors], named("mode", "linear"))

    def model(self) -> bytes:
        """The graph with inputs `picture` and `identity` and one output; its weights come from outside."""
        graph = b"".join(block(1, node) for node in self.nodes) + text(2, "stand-in")
        graph += block(11, value("picture", [1, 3, SIDE, SIDE]))
        graph += block(11, value("identity", [1, IDENTITY]))
        graph += b"".join(block(5, elsewhere(name, shape)) for name, shape in self.weights.items())
        graph += block(12, value(self.output, [1, 3, SIDE, SIDE]))
        return whole_number(1, 8) + block(7, graph) + block(8, whole_number(2, 17))


# Protocol buffers: each field is its number and kind, then its content --------------------------------------


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def whole_number(key: int, number: int) -> bytes:
    return varint(key << 3 | VARINT) + varint(number)


def block(key: int, content: bytes) -> bytes:
    return varint(key << 3 | BYTES) + varint(len(content)) + content


def text(key: int, content: str) -> bytes:
    return block(key, content.encode())


def whole(name: str, numbers: Sequence[int]) -> bytes:
    """An attribute that is a list of whole numbers."""
    return text(1, name) + b"".join(whole_number(8, number) for number in numbers) + whole_number(20, 7)


def number(name: str, content: int) -> bytes:
    return text(1, name) + whole_number(3, content) + whole_number(20, 2)


def named(name: str, content: str) -> bytes:
    return text(1, name) + text(4, content) + whole_number(20, 3)


def tensor_attribute(name: str, array: np.ndarray) -> bytes:
    kind = INT64 if array.dtype == np.int64 else FLOAT
    tensor = b"".join(whole_number(1, side) for side in array.shape)
    tensor += whole_number(2, kind) + block(9, array.tobytes())
    return text(1, name) + block(5, tensor) + whole_number(20, 4)


def elsewhere(name: str, shape: Sequence[int]) -> bytes:
    """A weight whose numbers the session is given."""
    place = text(1, "location") + text(2, "memory")
    tensor = b"".join(whole_number(1, side) for side in shape)
    return tensor + whole_number(2, FLOAT) + text(8, name) + block(13, place) + whole_number(14, 1)


def value(name: str, shape: Sequence[int]) -> bytes:
    sides = b"".join(block(1, whole_number(1, side)) for side in shape)
    return text(1, name) + block(2, block(1, whole_number(1, FLOAT) + block(2, sides)))

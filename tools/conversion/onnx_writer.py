"""Write an ONNX graph node by node, small and the same on every run."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 18  # GridSample needs 16, ReduceMax with axes as an input 18
IR_VERSION = 8  # the oldest that holds opset 18, for old runtimes

_HALF_FROM_ELEMENTS = 64

Shape = Sequence[int | str]
Output = tuple[str, str, Shape]  # final name, name of the value so far, shape


class OnnxWriter:
    """Collects nodes and constants. Values are handled by their names; equal constants are stored once."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._weights: dict[str, str] = {}
        self._initializers: list[Any] = []

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append a node and return the name of its one output."""
        output = f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, value: npt.ArrayLike) -> str:
        """Name of a constant; floats become float32, whole numbers int64, but half floats and bytes stay."""
        array = np.asarray(value)
        if array.dtype not in (np.float16, np.int8):
            array = array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
        # `tobytes` and not `ascontiguousarray`, which would turn a scalar into a vector.
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = self._constants[key] = f"constant_{len(self._constants)}"
            self._initializers.append(numpy_helper.from_array(np.array(array, order="C"), name))
        return self._constants[key]

    def weight(self, value: npt.NDArray[np.floating[Any]]) -> str:
        """Name of a constant that is stored in half precision and computed with in single precision.

        onnxruntime folds the Cast when it opens the model, so that only the file is smaller.
        """
        if value.size < _HALF_FROM_ELEMENTS:
            return self.constant(value)
        stored = self.constant(value.astype(np.float16))
        if stored not in self._weights:
            self._weights[stored] = self.add("Cast", stored, to=TensorProto.FLOAT)
        return self._weights[stored]

    def weight_in_bytes(self, kernel: npt.NDArray[np.floating[Any]]) -> str:
        """Name of a convolution's kernel that is stored as a byte per weight, with a scale per channel.

        As with `weight`, it's computed with in single precision.
        """
        largest = np.abs(kernel).max(axis=tuple(range(1, kernel.ndim)), keepdims=True)
        scale = np.where(largest > 0, largest, 1) / 127
        stored = self.constant(np.rint(kernel / scale).astype(np.int8))
        return self.add("Mul", self.add("Cast", stored, to=TensorProto.FLOAT), self.constant(scale))

    def serialize(
        self,
        title: str,
        inputs: Mapping[str, Shape],
        outputs: Sequence[Output],
    ) -> bytes:
        """The checked model as bytes.

        `inputs` maps names to shapes. All inputs and outputs are float32; a dimension that is a word is free.
        """
        final_names = {value: name for name, value, _ in outputs}
        for node in self._nodes:
            node.input[:] = [final_names.get(name, name) for name in node.input]
            node.output[:] = [final_names.get(name, name) for name in node.output]
        graph = helper.make_graph(
            self._nodes,
            title,
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, _, shape in outputs],
            self._initializers,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="mien tools/build_models.py",
        )
        onnx.checker.check_model(model, full_check=True)
        content: bytes = model.SerializeToString(deterministic=True)
        return content

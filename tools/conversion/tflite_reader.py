"""Read a TensorFlow Lite file into plain dataclasses, with half-precision weights already widened."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import tflite

from conversion import BuildError

_OPERATOR_NAMES = {code: name for name, code in vars(tflite.BuiltinOperator).items() if name.isupper()}
_OPTION_NAMES = {code: name for name, code in vars(tflite.BuiltinOptions).items() if name[0] != "_"}
_DTYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
}


@dataclass(frozen=True)
class Tensor:
    """`constant` holds the content of tensors that don't depend on the input."""

    name: str
    shape: tuple[int, ...]
    constant: npt.NDArray[Any] | None


@dataclass(frozen=True)
class Operator:
    """`kind` is the operator's name in the schema, or the name of a custom operator.

    `options` is the schema's options object of built-in operators, `custom_options` the bytes of custom ones.
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any
    custom_options: bytes


@dataclass(frozen=True)
class TfliteGraph:
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_tflite(content: bytes) -> TfliteGraph:
    """Read the first subgraph of a model."""
    model = tflite.Model.GetRootAs(content, 0)
    subgraph = model.Subgraphs(0)
    tensors = [_read_tensor(model, subgraph.Tensors(i)) for i in range(subgraph.TensorsLength())]
    operators = []
    for i in range(subgraph.OperatorsLength()):
        operator = _read_operator(model, subgraph.Operators(i))
        source = tensors[operator.inputs[0]].constant
        if operator.kind == "DEQUANTIZE" and source is not None:
            target = operator.outputs[0]
            tensors[target] = replace(tensors[target], constant=source.astype(np.float32))
        else:
            operators.append(operator)
    return TfliteGraph(
        tensors=tuple(tensors),
        operators=tuple(operators),
        inputs=_indices(subgraph.InputsAsNumpy()),
        outputs=_indices(subgraph.OutputsAsNumpy()),
    )


def _read_tensor(model: Any, tensor: Any) -> Tensor:
    name = tensor.Name().decode()
    if tensor.Sparsity() is not None:
        raise BuildError(f"tensor {name} is stored sparse, which isn't read yet")
    shape = _indices(tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()
    buffer = model.Buffers(tensor.Buffer())
    constant = None
    if buffer.DataLength():
        dtype = _DTYPES.get(tensor.Type())
        if dtype is None:
            raise BuildError(f"tensor {name} has element type {tensor.Type()}, which isn't read yet")
        constant = np.frombuffer(buffer.DataAsNumpy().tobytes(), dtype).reshape(shape)
    return Tensor(name, shape, constant)


def _read_operator(model: Any, operator: Any) -> Operator:
    code = model.OperatorCodes(operator.OpcodeIndex())
    # The field was widened in version 3a of the schema; old files fill the narrow one only.
    kind = _OPERATOR_NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
    table, options = operator.BuiltinOptions(), None
    if table is not None:
        options = getattr(tflite, _OPTION_NAMES[operator.BuiltinOptionsType()])()
        options.Init(table.Bytes, table.Pos)
    custom = operator.CustomOptionsAsNumpy().tobytes() if operator.CustomOptionsLength() else b""
    return Operator(
        kind=code.CustomCode().decode() if kind == "CUSTOM" else kind,
        inputs=_indices(operator.InputsAsNumpy()),
        outputs=_indices(operator.OutputsAsNumpy()),
        options=options,
        custom_options=custom,
    )


def _indices(array: npt.NDArray[np.int32]) -> tuple[int, ...]:
    return tuple(int(i) for i in array)

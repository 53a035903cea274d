"""The bundled networks and tables: where they lie, that they are whole, and how they are run."""

import hashlib
import json
from functools import cache
from importlib import resources
from io import BytesIO
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from mien.engine.arrays import Float
from mien.errors import InternalError


def read_weights(file_name: str) -> bytes:
    """The bytes of a file of `weights/`, after a comparison with the SHA-256 in its card.

    Raises `InternalError` when the two differ: the installation is damaged.
    """
    folder = resources.files(__package__) / "weights"
    data = (folder / file_name).read_bytes()
    card = json.loads((folder / f"{file_name.rpartition('.')[0]}.card.json").read_text(encoding="utf-8"))
    if hashlib.sha256(data).hexdigest() != card["sha256"]:
        raise InternalError(f"The bundled file {file_name} is damaged. Install Mien again.")
    return data


@cache
def load_table(file_name: str) -> dict[str, NDArray[Any]]:
    """The arrays of a bundled `.npz`, read-only."""
    with np.load(BytesIO(read_weights(file_name)), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    for array in arrays.values():
        array.flags.writeable = False
    return arrays


class Network:
    """An ONNX network on the CPU. Safe to call from several threads at once."""

    def __init__(self, file_name: str, threads: int) -> None:
        ort.disable_telemetry_events()  # in case it was imported before us
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning threads steal the core from the pixel work between two calls.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(
            read_weights(file_name), options, providers=["CPUExecutionProvider"]
        )
        self._outputs = [output.name for output in self._session.get_outputs()]

    def __call__(self, batch: Float) -> dict[str, Float]:
        """All outputs by name. `batch` is float32 in the layout that the network's card describes."""
        values = self._session.run(None, {self._session.get_inputs()[0].name: batch})
        return dict(zip(self._outputs, values, strict=True))

"""Networks and tables come whole, unchanged and usable from several threads."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mien.engine.models import Network, load_table, read_weights
from mien.errors import InternalError


def test_a_bundled_file_is_read_whole() -> None:
    assert len(read_weights("canonical_face_468.npz")) > 10_000


def test_a_damaged_file_is_refused_with_advice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "net.onnx").write_bytes(b"half a netw")
    digest = hashlib.sha256(b"half a network").hexdigest()
    (tmp_path / "weights" / "net.card.json").write_text(f'{{"sha256": "{digest}"}}')
    monkeypatch.setattr("mien.engine.models.resources", SimpleNamespace(files=lambda package: tmp_path))
    with pytest.raises(InternalError, match=r"net\.onnx is damaged\. Install Mien again"):
        read_weights("net.onnx")


def test_tables_are_shared_and_so_can_not_be_changed() -> None:
    table = load_table("canonical_face_468.npz")
    assert load_table("canonical_face_468.npz") is table
    with pytest.raises(ValueError, match="read-only"):
        table["triangles"][0, 0] = 7


def test_a_network_names_its_outputs(mesh: Network) -> None:
    outputs = mesh(np.zeros((2, 192, 192, 3), np.float32))
    assert outputs["landmarks"].shape == (2, 478, 3)


def test_a_network_answers_several_threads_as_it_answers_one(mesh: Network) -> None:
    crops = np.random.default_rng(0).random((6, 1, 192, 192, 3), np.float32)
    with ThreadPoolExecutor(3) as threads:
        together = list(threads.map(mesh, crops))
    for crop, answer in zip(crops, together, strict=True):
        np.testing.assert_array_equal(answer["landmarks"], mesh(crop)["landmarks"])

"""The bundled models are whole, described truthfully and licensed."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

import mien.engine

WEIGHTS = Path(mien.engine.__file__).parent / "weights"
REPOSITORY = Path(__file__).parents[2]
MODELS = sorted(path for path in WEIGHTS.iterdir() if path.suffix in {".onnx", ".npz"})
NETWORKS = [path for path in MODELS if path.suffix == ".onnx"]
LARGEST_BUNDLE = 25_000_000
SIDES = {"N": 1, "H": 96, "W": 128, "H/4": 24, "W/4": 32}


def card_of(model: Path) -> dict[str, Any]:
    card: dict[str, Any] = json.loads(model.with_suffix(".card.json").read_text(encoding="utf-8"))
    return card


def shape_of(tensor: str) -> list[int]:
    """Shape of a description like float32[N, 3, H, W], for one picture of 96 x 128."""
    described = re.fullmatch(r"float32\[(.+)\]", tensor)
    assert described is not None, tensor
    return [SIDES[side] if side in SIDES else int(side) for side in described.group(1).split(", ")]


def described_by_name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("model", MODELS, ids=described_by_name)
def test_every_model_is_the_one_that_its_card_describes(model: Path) -> None:
    card, content = card_of(model), model.read_bytes()
    assert (card["size_bytes"], card["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert (REPOSITORY / card["made_by"]).is_file()


@pytest.mark.parametrize("model", MODELS, ids=described_by_name)
def test_every_model_comes_with_the_text_of_its_licence(model: Path) -> None:
    card = card_of(model)
    for identifier in card["license"].split(" AND "):
        assert list((WEIGHTS / "licenses").glob(f"{identifier}*.txt")), identifier
    for text in card.get("license_files", []):
        assert (WEIGHTS / text).is_file(), text


@pytest.mark.parametrize("model", MODELS, ids=described_by_name)
def test_the_notice_names_every_model(model: Path) -> None:
    assert f"\n{model.name}\n" in (REPOSITORY / "NOTICE").read_text(encoding="utf-8")


def test_every_card_belongs_to_a_model() -> None:
    assert sorted(WEIGHTS.glob("*.card.json")) == [model.with_suffix(".card.json") for model in MODELS]


def test_all_models_together_stay_small() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*") if path.is_file()) < LARGEST_BUNDLE


@pytest.mark.parametrize("network", NETWORKS, ids=described_by_name)
def test_every_network_gives_the_outputs_that_its_card_describes(network: Path) -> None:
    card = card_of(network)
    session = ort.InferenceSession(network, providers=["CPUExecutionProvider"])
    pictures = {
        name: np.zeros(shape_of(described["tensor"]), np.float32)
        for name, described in card["inputs"].items()
    }
    names = [output.name for output in session.get_outputs()]
    answers = dict(zip(names, session.run(names, pictures), strict=True))
    assert {name: list(answer.shape) for name, answer in answers.items()} == {
        name: shape_of(described["tensor"]) for name, described in card["outputs"].items()
    }
    assert all(np.isfinite(answer).all() for answer in answers.values())


@pytest.mark.parametrize("network", NETWORKS, ids=described_by_name)
def test_a_picture_gets_the_same_answer_alone_and_in_a_batch(network: Path) -> None:
    card = card_of(network)
    session = ort.InferenceSession(network, providers=["CPUExecutionProvider"])
    ((name, described),) = card["inputs"].items()
    pictures = np.random.default_rng(7).random((3, *shape_of(described["tensor"])[1:]), np.float32)
    together = session.run(None, {name: pictures})
    for i, picture in enumerate(pictures):
        for alone, batch in zip(session.run(None, {name: picture[None]}), together, strict=True):
            np.testing.assert_allclose(alone[0], batch[i], rtol=1e-3, atol=1e-3)

"""Train the network that tells a face from what stands in front of it.

    python3.11 -m venv build/occlusion-venv
    build/occlusion-venv/bin/pip install --requirement tools/requirements-occlusion.txt --editable .
    build/occlusion-venv/bin/python tools/train_occlusion.py FACES [--out DIR]

FACES is a folder of face pictures, of which `tools/occlusion/selection.json` names those that are not what
they seem; faces of the package `openpeople` are added. Nobody has drawn what covers them, so it is painted:
hair, hands, glasses, masks, scarves, hats and things, over faces known to be bare there. In later turns the
network also learns what it was sure of after the turn before, on all pictures, those with real glasses too.
Every tenth picture is left out for the figures that go into the card.

One thread, about half an hour of it. Seeds are fixed, but sums in half precision differ between processors:
expect similar figures, not the same bytes.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from mien.engine.arrays import RGB, Float, Mask
from mien.engine.glasses import whole_glasses
from mien.engine.occlusion import CROP
from occlusion.export import to_onnx
from occlusion.faces import FaceCrop, read_faces
from occlusion.network import INPUTS, OUTPUTS, Unet
from occlusion.occluders import IN_FRONT, UNDERNEATH, Painters
from occlusion.samples import (
    Base,
    find_scraps,
    learnt_labels,
    make_sample,
    no_labels,
    plain_labels,
    unposed,
    with_full_beard,
)

POOL, BATCH, FRESH = 1500, 32, 12
"""Samples in hand; how many a step sees, and how many of the pool it replaces."""
FIRST_RATE, LATER_RATE = 4e-3, 1.5e-3
REAL_SHARE = 2
"""How often pictures with real glasses and full beards count."""
TOOLS = Path(__file__).parent
WEIGHTS = TOOLS.parent / "src/mien/engine/weights"


class Pool:
    """Samples, some of which are replaced with every batch."""

    def __init__(self, bases: Sequence[Base], scraps: Sequence[RGB], seed: int, size: int) -> None:
        self._bases, self._scraps, self._random = bases, scraps, np.random.default_rng(seed)
        made = [self._make() for _ in range(size)]
        self._inputs, self._labels = (np.stack(part) for part in zip(*made, strict=True))
        self._next = 0

    def _make(self) -> tuple[RGB, RGB]:
        return make_sample(self._random, self._bases, self._scraps)

    def batch(self) -> tuple[Tensor, Tensor]:
        for _ in range(FRESH):
            self._inputs[self._next], self._labels[self._next] = self._make()
            self._next = (self._next + 1) % len(self._inputs)
        chosen = self._random.choice(len(self._inputs), BATCH, replace=False)
        return as_tensor(self._inputs[chosen]), as_tensor(self._labels[chosen])


def as_tensor(pictures: RGB) -> Tensor:
    """uint8[N, h, w, c] to float[N, c, h, w] in [0, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div_(255)


def loss_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy and soft Dice (Milletari et al. 2016), where something is known."""
    wanted, known = labels[:, :3], labels[:, [3, 3, 4]]
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    shares = torch.sigmoid(logits) * known
    overlap = (shares * wanted).sum(dim=(0, 2, 3))
    dice = 1 - (2 * overlap + 100) / (shares.sum(dim=(0, 2, 3)) + (wanted * known).sum(dim=(0, 2, 3)) + 100)
    return (entropy * known).sum() / known.sum().clamp(min=1) * 3 + dice.mean()


def train(network: nn.Module, pool: Pool, steps: int, rate: float) -> nn.Module:
    """Returns the running mean of the weights, which is steadier than the last ones."""
    network.to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)
    mean = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995), use_buffers=True
    )
    started, total = time.time(), 0.0
    for step in range(1, steps + 1):
        inputs, labels = pool.batch()
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(inputs.contiguous(memory_format=torch.channels_last))
        loss = loss_of(logits.float(), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        mean.update_parameters(network)
        total += loss.item()
        if step % 100 == 0:
            print(f"step {step}: loss {total / 100:.3f}, {time.time() - started:.0f} s", flush=True)
            total = 0.0
    return mean.module.eval()


def predict(network: nn.Module, inputs: RGB) -> Float:
    """uint8[N, s, s, 4] to probabilities, float32[N, s, s, 3]."""
    parts = []
    with torch.no_grad():
        for k in range(0, len(inputs), 64):
            logits = network(as_tensor(inputs[k : k + 64]).contiguous(memory_format=torch.channels_last))
            parts.append(torch.sigmoid(logits).permute(0, 2, 3, 1).numpy())
    return np.concatenate(parts)


@dataclass(frozen=True)
class Selection:
    """Names of pictures, sorted by what somebody saw in them.

    left_out: children, drawings, nothing to see. dark_glasses, clear_glasses: those that the first network
    was seen to find whole; glasses: others. covered: something else in front of the inner face. hair_or_hat:
    hair, hats or headscarves on the forehead. bearded. full_beard: from ear to ear. smooth: certainly not
    bearded.
    """

    left_out: frozenset[str]
    glasses: frozenset[str]
    dark_glasses: frozenset[str]
    clear_glasses: frozenset[str]
    covered: frozenset[str]
    hair_or_hat: frozenset[str]
    bearded: frozenset[str]
    full_beard: frozenset[str]
    smooth: frozenset[str]

    @staticmethod
    def read() -> "Selection":
        lists = json.loads((TOOLS / "occlusion/selection.json").read_text(encoding="utf-8"))
        return Selection(**{kind: frozenset(names) for kind, names in lists.items()})

    @property
    def confirmed(self) -> frozenset[str]:
        return self.dark_glasses | self.clear_glasses

    @property
    def in_doubt(self) -> frozenset[str]:
        return self.glasses | self.covered | self.confirmed

    def base(self, face: FaceCrop) -> Base:
        name = face.name
        if name in self.in_doubt:
            labels = no_labels(face)
        else:
            bare_forehead = name not in self.hair_or_hat
            labels = plain_labels(face, bare_forehead, name in self.bearded, name in self.smooth)
        if name in self.full_beard:
            labels = with_full_beard(labels, face, name in self.in_doubt)
        return Base(face, labels)

    def lenses(self, name: str) -> Literal["dark", "clear"] | None:
        return "dark" if name in self.dark_glasses else "clear" if name in self.clear_glasses else None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("faces", type=Path, help="folder of face pictures")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--steps", type=int, nargs="+", default=(1600, 300, 450, 700), help="of each turn")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    cv2.setNumThreads(1)

    selection, drawn = Selection.read(), read_drawn()
    names = sorted(path.stem for path in arguments.faces.glob("*.jpg"))
    faces = [face for face in read_faces(names, arguments.faces) if face.name not in selection.left_out]
    bare = [selection.base(face) for face in faces if face.name not in selection.in_doubt]
    seen, held_out = [b for i, b in enumerate(bare) if i % 10], bare[::10]
    scraps = find_scraps([base.face for base in seen])

    network, rates = Unet(), (FIRST_RATE, *[LATER_RATE] * len(arguments.steps))
    real = [
        selection.base(face) for face in faces if face.name in selection.confirmed and face.name not in drawn
    ]
    for turn, (steps, rate) in enumerate(zip(arguments.steps, rates, strict=False)):
        bases = seen
        if turn:
            bearded = [base for base in seen if base.face.name in selection.full_beard]
            bases = learn(network, seen, selection) + learn(network, real + bearded, selection) * REAL_SHARE
        network = train(network, Pool(bases, scraps, seed=turn + 1, size=POOL), steps, rate)

    figures = measure(network, held_out, find_scraps([base.face for base in held_out]))
    figures["drawn by hand"] = measure_drawn(network, faces, drawn)
    figures["full beards found"] = measure_beards(network, held_out, selection)
    print(json.dumps(figures, indent=2))
    write(arguments.out, network, figures)


def learn(network: nn.Module, bases: Sequence[Base], selection: Selection) -> list[Base]:
    answers = predict(network, np.stack([unposed(base.face)[0] for base in bases]))
    return [
        replace(
            base,
            labels=learnt_labels(
                base, answer, base.face.name in selection.bearded, selection.lenses(base.face.name)
            ),
        )
        for base, answer in zip(bases, answers, strict=True)
    ]


def read_drawn() -> dict[str, dict[str, list[list[list[int]]]]]:
    """Pictures whose covers somebody has outlined, for figures alone: polygons in the network's crop."""
    drawn: dict[str, dict[str, list[list[list[int]]]]] = json.loads(
        (TOOLS / "occlusion/hand_drawn.json").read_text(encoding="utf-8")
    )
    return drawn


def measure(network: nn.Module, bases: Sequence[Base], scraps: Sequence[RGB]) -> dict[str, float]:
    """Intersection over union inside the face's outline, for each kind of thing painted over pictures left
    out; and the share of bare skin that is taken for covered."""
    figures = {}
    for painter, _ in (*IN_FRONT, *UNDERNEATH[:1]):
        beard = painter is UNDERNEATH[0][0]
        layers = ((painter, 1.0),)
        inputs, labels = _painted(
            bases, scraps, () if beard else layers, layers if beard else UNDERNEATH[1:], 60
        )
        channel = 2 if beard else 0
        known = (labels[..., 4 if beard else 3] > 250) & (inputs[..., 3] > 60)
        figures[painter.__name__] = intersection_over_union(
            predict(network, inputs)[..., channel] > 0.5, labels[..., channel] > 127, known
        )
    inputs, labels = _painted(bases, scraps, (), UNDERNEATH[1:], 100)
    known = labels[..., 3] > 250
    figures["bare skin taken for covered"] = float((predict(network, inputs)[..., 0][known] > 0.5).mean())
    return {name: round(figure, 4) for name, figure in figures.items()}


def _painted(
    bases: Sequence[Base],
    scraps: Sequence[RGB],
    in_front: Painters,
    underneath: Painters,
    count: int,
) -> tuple[RGB, RGB]:
    random = np.random.default_rng(5)
    samples = [make_sample(random, bases, scraps, in_front, underneath) for _ in range(count)]
    inputs, labels = (np.stack(part) for part in zip(*samples, strict=True))
    return inputs, labels


def measure_drawn(
    network: nn.Module, faces: Sequence[FaceCrop], drawn: dict[str, dict[str, list[list[list[int]]]]]
) -> float:
    shown = [face for face in faces if face.name in drawn]
    inputs = np.stack([unposed(face)[0] for face in shown])
    answers = predict(network, inputs)
    covers = np.stack([whole_glasses(answer[..., 0], answer[..., 1]) for answer in answers]) > 0.5
    wanted = np.stack([_area(drawn[face.name]["covers"]) for face in shown])
    unknown = np.stack([_area(drawn[face.name]["unknown"]) for face in shown])
    return round(intersection_over_union(covers, wanted, (inputs[..., 3] > 60) & ~unknown), 4)


def measure_beards(network: nn.Module, bases: Sequence[Base], selection: Selection) -> float:
    """Mean share of real full beards that is found."""
    shown = [base.face for base in bases if base.face.name in selection.full_beard]
    answers = predict(network, np.stack([unposed(face)[0] for face in shown]))
    shares = []
    for face, answer in zip(shown, answers, strict=True):
        _, crop_from_face = unposed(face)
        labels = with_full_beard(no_labels(face), face, in_doubt=True)
        hair = cv2.warpAffine(labels[..., 2], crop_from_face, (CROP, CROP)) > 127
        shares.append(float((answer[..., 2][hair] > 0.5).mean()))
    return round(float(np.mean(shares)), 4)


def _area(polygons: list[list[list[int]]]) -> Mask:
    canvas = np.zeros((CROP, CROP), np.uint8)
    cv2.fillPoly(canvas, [np.array(outline, np.int32) for outline in polygons], 1)
    return canvas > 0


def intersection_over_union(found: Mask, wanted: Mask, known: Mask) -> float:
    return float((found & wanted & known).sum() / max(((found | wanted) & known).sum(), 1))


def write(out: Path, network: Unet, figures: dict[str, float]) -> None:
    content = to_onnx(network)
    card = {
        "name": "Face occlusion",
        "what": "Tells a face from what stands in front of it, and finds glasses and beards.",
        "file": "face_occlusion.onnx",
        "made_by": "tools/train_occlusion.py",
        "trained_on": [
            "SFHQ-T2I (MIT): about 900 pictures of adults who do not exist, made by text-to-image models",
            "openpeople 0.1.2 (PyPI, MIT): thirty pictures of ten synthetic people",
        ],
        "labels": "Painted: hair, hands, glasses, hats, masks, scarves and things were drawn on bare faces; "
        "on real hair, hats and glasses the network learnt from the confident answers of a first one.",
        "license": "Apache-2.0",
        "license_holder": "The Mien authors",
        "inputs": {
            "crops": {
                "tensor": f"float32[N, {INPUTS}, {CROP}, {CROP}]",
                "meaning": "red, green, blue, and the mesh: 0.5 on the face, 1 on eyes and lips",
                "range": "0 to 1",
            }
        },
        "outputs": {
            "layers": {
                "tensor": f"float32[N, {OUTPUTS}, {CROP}, {CROP}]",
                "meaning": "probabilities: something opaque in front, glasses with lenses, beard",
                "range": "0 to 1",
            }
        },
        "preparation": "Turn the face upright and centre it in a square of 1.3 times its mesh's length.",
        "intersection_over_union": figures,
        "limits": [
            "Trained on pictures made by machines and on drawn occluders; real photographs differ.",
            "Answers for the face's outline only; beyond it they mean nothing.",
            "Thin wires and single hairs are narrower than a pixel of the crop and are often missed.",
            "A hand in the light and colour of the face behind it may be taken for the face.",
            "Children were left out of the training.",
        ],
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "face_occlusion.onnx").write_bytes(content)
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    (out / "face_occlusion.card.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

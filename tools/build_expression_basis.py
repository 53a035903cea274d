"""Learn how faces move and how people differ, from the synthetic people of the package `openpeople`.

    python tools/build_expression_basis.py [--out DIR]

Writes `expression_basis.npz` and its card. What it holds, and how it is learnt:

* `mean_face`, float32[478, 3]: the ten people's mean in the canonical frame, made symmetric.
* `components`, float32[80, 1434], and `expression_gain`, float32[80, 80]: the Wiener filter that splits a
  difference D of two faces into expression E = componentsᵀ · gain · components · D and identity D − E. With
  the covariances Σe of expression displacements (each person's 16 expression tiles, portrait and selfie minus
  the person's median) and Σi of identity (the medians minus the mean), gain = Σe (Σe + 2 Σi + 6 τ I)⁻¹. Ten
  people span nine directions only, so a broad prior τ I, with the mean variance of Σi, stands for the rest.
  Mirror images of all faces double the data.

Printed for people left out: the share of the expression that the filter catches (high is good), and the share
of the difference between people's medians that it takes away by mistake (low is good).
"""

import argparse
import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import openpeople
from numpy.typing import NDArray

from mien.engine.detection import detect
from mien.engine.landmarks import find_landmarks
from mien.engine.models import Network, load_table
from mien.engine.pose import FLIP, umeyama
from mien.engine.scaling import Pyramid
from mien.engine.topology import LEFT_EYE_OUTER, RIGHT_EYE_OUTER, RIGID, mirror

Points = NDArray[np.float64]
COMPONENTS = 80
IDENTITY_WEIGHT = 2.0
PRIOR_WEIGHT = 6.0
WEIGHTS = Path(__file__).parent.parent / "src/mien/engine/weights"


@dataclass(frozen=True)
class Person:
    """Meshes in the picture's axes turned y up, z to the viewer: float64[N, 478, 3]."""

    tiles: Points
    portrait: Points
    selfie: Points


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    out = parser.parse_args().out

    people = read_people()
    mean_face = find_mean_face([person.portrait[0] for person in people])
    expressions, medians = zip(*(displacements(person, mean_face) for person in people), strict=True)
    report_held_out(expressions, medians)
    components, gain = wiener_split(np.concatenate(expressions), np.stack(medians))
    arrays = {"mean_face": mean_face, "components": components, "expression_gain": gain}
    write(out, {name: array.astype(np.float32) for name, array in arrays.items()})


def read_people() -> list[Person]:
    detector, mesh = Network("centerface.onnx", 2), Network("face_landmarks_478.onnx", 2)

    def meshes(path: Path) -> Points:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        if image is None:
            raise SystemExit(f"{path} is missing: install openpeople with its pictures")
        picture = Pyramid(image)
        found = detect(picture, detector)
        faces = zip(found.boxes, found.keypoints, strict=True)
        return np.stack([find_landmarks(picture, *face, mesh)[0].astype(np.float64) * FLIP for face in faces])

    folder = Path(openpeople.__file__).parent / "data/curated"
    return [
        Person(
            *(
                meshes(path / f"assets/{kind}.jpg")
                for kind in ("emotions_sheet", "studio_portrait", "amateur_selfie")
            )
        )
        for path in sorted(folder.iterdir())
    ]


def mirror_all() -> NDArray[np.intp]:
    """int[478]: the 468 mirrored points, and irises (centre, right, top, left, bottom) that swap sides."""
    return np.concatenate([mirror(), [473, 476, 475, 474, 477], [468, 471, 470, 469, 472]])


def find_mean_face(portraits: list[Points]) -> Points:
    """Generalised Procrustes mean, posed like the canonical face, symmetric, eye corners one unit apart."""
    mean = load_table("canonical_face_468.npz")["vertices_cm"].astype(np.float64)
    for _ in range(10):
        mean = np.mean([align(points, mean) for points in portraits], axis=0)
    mean -= mean[RIGID].mean(axis=0)
    mean = (mean + mean[mirror_all()] * [-1, 1, 1]) / 2
    return mean / np.linalg.norm(mean[RIGHT_EYE_OUTER] - mean[LEFT_EYE_OUTER])


def align(points: Points, mean: Points) -> Points:
    scale, rotation, translation = umeyama(points[RIGID], mean[RIGID])
    return scale * points @ rotation.T + translation


def displacements(person: Person, mean_face: Points) -> tuple[Points, Points]:
    """What expression does to this face, float64[N, 1434], and the face at rest, float64[2, 1434]; both with
    their mirror images."""
    tiles = np.stack([align(points, mean_face) for points in person.tiles])
    rest = np.median(tiles, axis=0)
    others = [align(points[0], mean_face) for points in (person.selfie, person.portrait)]
    moved = np.concatenate([tiles, others]) - rest
    return flat_with_mirror(moved), flat_with_mirror((rest - mean_face)[None])


def flat_with_mirror(faces: Points) -> Points:
    mirrored = faces[:, mirror_all()] * [-1, 1, 1]
    return np.concatenate([faces, mirrored]).reshape(-1, faces.shape[1] * 3)


def wiener_split(expressions: Points, medians: Points) -> tuple[Points, Points]:
    """`components` and `gain` from displacements [N, 1434] and faces at rest [P, 2, 1434]."""
    at_rest = medians.reshape(-1, medians.shape[-1])
    at_rest = at_rest - at_rest.mean(axis=0)
    both = np.concatenate([expressions / np.sqrt(len(expressions)), at_rest / np.sqrt(len(at_rest))])
    components = np.linalg.svd(both, full_matrices=False)[2][:COMPONENTS]
    moved, differing = expressions @ components.T, at_rest @ components.T
    sigma_e = moved.T @ moved / len(moved)
    sigma_i = differing.T @ differing / len(differing)
    prior = np.trace(sigma_i) / COMPONENTS * np.eye(COMPONENTS)
    noise = IDENTITY_WEIGHT * sigma_i + PRIOR_WEIGHT * prior
    return components, sigma_e @ np.linalg.inv(sigma_e + noise)


def report_held_out(expressions: tuple[Points, ...], medians: tuple[Points, ...]) -> None:
    caught, taken = [], []
    for left_out in range(len(expressions)):
        kept = [k for k in range(len(expressions)) if k != left_out]
        components, gain = wiener_split(
            np.concatenate([expressions[k] for k in kept]), np.stack([medians[k] for k in kept])
        )
        split = components.T @ gain @ components
        moved = expressions[left_out]
        caught.append(1 - ((moved - moved @ split.T) ** 2).sum() / (moved**2).sum())
        difference = medians[left_out] - np.concatenate([medians[k] for k in kept]).mean(axis=0)
        taken.append(((difference @ split.T) ** 2).sum() / (difference**2).sum())
    print(f"people left out: expression caught {np.mean(caught):.3f}, identity taken {np.mean(taken):.3f}")


def write(out: Path, arrays: dict[str, NDArray[np.float32]]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    path = out / "expression_basis.npz"
    np.savez(path, allow_pickle=False, **arrays)
    data = path.read_bytes()
    card = {
        "name": "Expression basis",
        "what": "Mean face and the Wiener filter that splits the difference of two face meshes into "
        "expression and identity.",
        "made_by": "tools/build_expression_basis.py",
        "source_package": f"openpeople {version('openpeople')} (PyPI): ten synthetic people, MIT",
        "license": "Apache-2.0",
        "license_holder": "The Mien authors",
        "tensors": {name: f"float32{list(array.shape)}" for name, array in arrays.items()},
        "limits": "Learnt from ten people: identity is known in nine directions, everything else by a broad "
        "prior. The same people serve as test faces; figures for people left out are printed by the tool.",
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    path.with_suffix(".card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

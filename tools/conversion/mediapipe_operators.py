"""The custom operators of MediaPipe's networks, built from standard ONNX operators.

The attention mesh looks at the lips and the eyes again: `Landmarks2TransformMatrix` frames a group of points
with an upright box, `TransformTensorBilinear` cuts that box out of a feature map, and `TransformLandmarks`
brings the points found in the box back. Their meaning follows the reference kernels of version 2 in
MediaPipe's `mediapipe/util/tflite/operations`.

*Convention.* A matrix is a tensor N, 4, 4 that maps column vectors (x, y, 0, 1) of crop pixels to pixels of
the feature map. Pixel (0, 0) covers [0, 1) x [0, 1), so that its centre lies at (0.5, 0.5). Only the first
two rows are ever read; here the others are zero.
"""

from typing import Any

import numpy as np
from flatbuffers import flexbuffers
from onnx import TensorProto

from conversion import BuildError
from conversion.onnx_writer import OnnxWriter
from conversion.tflite_reader import Operator
from conversion.tflite_to_onnx import Handler, TfliteConversion


def options_of(operator: Operator) -> dict[str, Any]:
    """Options of a custom operator that stores them as a FlexBuffer."""
    options: dict[str, Any] = flexbuffers.Loads(operator.custom_options)
    return options


def _landmarks_to_transform_matrix(conversion: TfliteConversion, operator: Operator) -> str:
    options, writer = options_of(operator), conversion.writer
    if options["target_rotation_radians"] != 0:
        raise BuildError("crops that aren't upright have no conversion yet")
    landmarks = _slice(writer, conversion.value(operator.inputs[0]), axis=2, start=0, stop=2)  # N, 468, 2
    half = writer.constant(0.5)

    # Rotations act on row vectors from the right: `upright` turns the line between the two points level.
    ends = [options["left_rotation_idx"], options["right_rotation_idx"]]
    left, right = (writer.add("Gather", landmarks, writer.constant(end), axis=1) for end in ends)  # N, 2
    cos_sin = writer.add("LpNormalization", writer.add("Sub", right, left), axis=1, p=2)
    cos_sin_sin_cos = writer.add("Gather", cos_sin, writer.constant([0, 1, 1, 0]), axis=1)
    signed = writer.add("Mul", cos_sin_sin_cos, writer.constant([1.0, -1.0, 1.0, 1.0]))
    upright = writer.add("Reshape", signed, writer.constant([-1, 2, 2]))
    upright_back = writer.add("Transpose", upright, perm=[0, 2, 1])

    group = writer.add("Gather", landmarks, writer.constant(options["subset_idxs"]), axis=1)
    turned = writer.add("MatMul", group, upright)
    low = writer.add("ReduceMin", turned, writer.constant([1]), keepdims=1)  # N, 1, 2
    high = writer.add("ReduceMax", turned, writer.constant([1]), keepdims=1)
    centre = writer.add("MatMul", writer.add("Mul", writer.add("Add", low, high), half), upright_back)

    crop_size = np.array([options["output_width"], options["output_height"]])
    enlargement = np.array([options["scale_x"], options["scale_y"]])
    scale = writer.add("Mul", writer.add("Sub", high, low), writer.constant(enlargement / crop_size))
    linear = writer.add("Mul", writer.add("Transpose", scale, perm=[0, 2, 1]), upright_back)  # N, 2, 2
    crop_centre = writer.constant([crop_size / 2])  # 1, 2
    offset = writer.add("Sub", centre, writer.add("MatMul", crop_centre, linear))
    return _matrix(writer, linear, offset)


def _matrix(writer: OnnxWriter, linear: str, offset: str) -> str:
    """Matrix N, 4, 4 for column vectors from a linear part N, 2, 2 and an offset N, 1, 2 for row vectors."""
    rows = writer.add("Concat", linear, offset, axis=1)
    padded = writer.add("Pad", rows, writer.constant([0, 0, 0, 0, 1, 2]))  # N, 4, 4
    ordered = writer.add("Gather", padded, writer.constant([0, 1, 3, 2]), axis=1)
    return writer.add("Transpose", ordered, perm=[0, 2, 1])


def _transform_tensor_bilinear(conversion: TfliteConversion, operator: Operator) -> str:
    options, writer = options_of(operator), conversion.writer
    features, matrix = operator.inputs
    height, width = options["output_height"], options["output_width"]
    y, x = np.mgrid[0:height, 0:width].reshape(2, -1) + 0.5
    centres = np.stack([x, y, np.zeros_like(x), np.ones_like(x)])  # 4, crop pixels
    places = writer.add("MatMul", conversion.value(matrix), writer.constant(centres))
    places = _slice(writer, places, axis=1, start=0, stop=2)
    places = writer.add("Transpose", places, perm=[0, 2, 1])  # N, crop pixels, 2

    # GridSample counts from -1 at the first pixel's centre to 1 at the last one's.
    _, feature_height, feature_width, _ = conversion.shape(features)
    last = np.array([feature_width - 1, feature_height - 1])
    grid = writer.add("Mul", places, writer.constant(2 / last))
    grid = writer.add("Sub", grid, writer.constant(1 / last + 1))
    sampled = writer.add(
        "GridSample",
        conversion.value(features),
        writer.add("Reshape", grid, writer.constant([-1, height, width, 2])),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=1,
    )
    # GridSample fades over half a pixel at the border, the reference cuts.
    inside = writer.add("LessOrEqual", writer.add("Abs", grid), writer.constant(1.0))
    inside = writer.add("Cast", inside, to=TensorProto.FLOAT)
    inside = writer.add("ReduceMin", inside, writer.constant([2]), keepdims=1)
    return writer.add("Mul", sampled, writer.add("Reshape", inside, writer.constant([-1, 1, height, width])))


def _transform_landmarks(conversion: TfliteConversion, operator: Operator) -> str:
    writer = conversion.writer
    landmarks, matrix = operator.inputs
    if conversion.shape(landmarks)[2] != 2:
        raise BuildError("transforming landmarks with a depth has no conversion yet")
    rows = _slice(writer, conversion.value(matrix), axis=1, start=0, stop=2)  # N, 2, 4
    columns = writer.add("Transpose", rows, perm=[0, 2, 1])  # N, 4, 2
    linear = _slice(writer, columns, axis=1, start=0, stop=2)
    offset = _slice(writer, columns, axis=1, start=3, stop=4)
    return writer.add("Add", writer.add("MatMul", conversion.value(landmarks), linear), offset)


def _slice(writer: OnnxWriter, value: str, axis: int, start: int, stop: int) -> str:
    return writer.add(
        "Slice", value, writer.constant([start]), writer.constant([stop]), writer.constant([axis])
    )


MEDIAPIPE_OPERATORS: dict[str, Handler] = {
    "Landmarks2TransformMatrix": _landmarks_to_transform_matrix,
    "TransformLandmarks": _transform_landmarks,
    "TransformTensorBilinear": _transform_tensor_bilinear,
}

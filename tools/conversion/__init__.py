"""Turn the files of public packages into the models that Mien bundles.

Reading order: `recipes` says which file becomes which model, `packages` gets the files, `mediapipe_models`,
`faceres`, `centerface`, `open_nsfw` and `canonical_face` make a model each with the help of the converters
`tflite_to_onnx` and `tfjs_to_onnx`, which write through `onnx_writer`.
"""


class BuildError(Exception):
    """A model can't be built; the message says why."""


def unknown_operator(kind: str) -> BuildError:
    """The refusal of an operator that no converter here knows."""
    return BuildError(f"the source model uses the operator {kind}, which has no conversion yet")

"""The identity part of the multi-task network "faceres": no age, no gender."""

from conversion.onnx_writer import OnnxWriter
from conversion.tfjs_to_onnx import TfjsConversion

# Mean of ImageNet in the order blue, green, red, as Caffe's models and this network's training have it.
_MEAN_BGR = (103.939, 116.779, 123.68)


def identity_embedder(description: bytes, weights: bytes) -> bytes:
    """MobileNet from RGB in 0..255 to a vector of length one, with the preparation of its training inside.

    The package's own code feeds RGB without subtracting the mean, which tells people apart clearly worse.
    """
    writer = OnnxWriter()
    image = writer.add("Transpose", "input", perm=[0, 3, 1, 2])
    image = writer.add("Gather", image, writer.constant([2, 1, 0]), axis=1)
    mean = [[[blue_green_red]] for blue_green_red in _MEAN_BGR]  # 3, 1, 1
    image = writer.add("Sub", image, writer.constant(mean))
    features = TfjsConversion(description, weights, writer, image).value("global_pooling/Mean")
    embedding = writer.add("LpNormalization", features, axis=1, p=2)
    return writer.serialize(
        "faceres embedder", {"input": ["N", 224, 224, 3]}, [("embedding", embedding, ["N", 1024])]
    )

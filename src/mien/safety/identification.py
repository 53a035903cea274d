"""Whose face does a picture show? Asked where the engine is: in a process of its own, or by the operator."""

from mien.engine.arrays import RGB
from mien.engine.swapper import FaceSwapper
from mien.errors import FaceUnusable, NoFaceFound
from mien.safety.likeness import pack


def identify(swapper: FaceSwapper, image: RGB) -> bytes:
    """The packed embedding of the only face on uint8[H, W, 3] RGB.

    Raises `NoFaceFound`, and `FaceUnusable` for a face that isn't clear, or isn't the only one.
    """
    faces = swapper.detect(image)
    if not faces:
        raise NoFaceFound("No face was found in the picture. Send one that shows a face clearly.")
    if len(faces) > 1:
        raise FaceUnusable(
            f"The picture shows {len(faces)} faces. Send one that shows yours alone, or cut the others off."
        )
    (face,) = faces
    if face.problem:
        raise FaceUnusable(f"The face in the picture can't be used: {face.problem}")
    return pack(swapper.identify(image, face))

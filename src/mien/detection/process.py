"""The detector process: decodes a picture and finds its faces for an API process, and can be killed at will.

Run as `python -m mien.detection.process '{"threads": 2, …}'` with frames on stdin and stdout. It has no
database, no network and no secret. It ends when its stdin does.
"""

from typing import Any

from mien import Face, FaceSwapper
from mien.engine.arrays import RGB
from mien.images.annotation import Label, annotate
from mien.images.codec import decode, encode
from mien.safety.identification import identify
from mien.tasks.engine_setup import set_up
from mien.tasks.inspection import serve

_BYTES_PER_PIXEL = 40
"""Memory that a picture may take. Decoding and looking at 40 megapixels takes up to 17, of any format that is
accepted; drawing on them and encoding that, 10 more."""
_BYTES_BESIDE = 300_000_000


def main() -> None:
    engine = set_up()
    swapper = FaceSwapper(threads=engine.threads)
    engine.ready(bytes_per_pixel=_BYTES_PER_PIXEL, bytes_beside=_BYTES_BESIDE)

    def answer(question: dict[str, Any], data: bytes) -> tuple[dict[str, Any], list[bytes]]:
        picture = decode(data, engine.limits, param="image")
        if question["identify"]:
            return {"kind": "identified"}, [identify(swapper, picture.rgb)]
        faces = swapper.detect(picture.rgb)
        height, width = picture.rgb.shape[:2]
        found = {"width": width, "height": height, "faces": [_described(face) for face in faces]}
        drawing = (
            [encode(_drawn(picture.rgb, faces), "jpg", alpha=picture.alpha)] if question["annotate"] else []
        )
        return {"kind": "found", "found": found}, drawing

    serve(engine, answer)


def _drawn(rgb: RGB, faces: tuple[Face, ...]) -> RGB:
    return annotate(rgb, [Label(face.box, str(index), face.usable) for index, face in enumerate(faces)])


def _described(face: Face) -> dict[str, Any]:
    x0, y0, x1, y1 = face.box
    return face.to_dict() | {
        "landmarks_count": len(face.landmarks),
        "size": {
            "width": round(x1 - x0, 1),
            "height": round(y1 - y0, 1),
            "eye_distance": round(face.eye_distance, 1),
        },
    }


if __name__ == "__main__":
    main()

"""The detector process: decodes a picture and finds its faces for an API process, and can be killed at will.

Run as `python -m mien.detection.process '{"threads": 2, …}'` with frames on stdin and stdout. It has no
database, no network and no secret. It ends when its stdin does.
"""

from typing import Any, BinaryIO

import structlog

from mien import Face, FaceSwapper
from mien.engine.arrays import RGB
from mien.errors import TaskError
from mien.images.annotation import Label, annotate
from mien.images.codec import DecodeLimits, decode, encode
from mien.tasks import frames
from mien.tasks.engine_setup import set_up

logger = structlog.get_logger(__name__)

_BYTES_PER_PIXEL = 40
"""Memory that a picture may take. Decoding and looking at 40 megapixels takes up to 17, of any format that is
accepted; drawing on them and encoding that, 10 more."""
_BYTES_BESIDE = 300_000_000


def main() -> None:
    engine = set_up(bytes_per_pixel=_BYTES_PER_PIXEL, bytes_beside=_BYTES_BESIDE)
    while True:
        head, (data,) = engine.requests.get()
        with structlog.contextvars.bound_contextvars(**head["log"]):
            try:
                _answer(engine.swapper, engine.limits, head["annotate"], data, engine.replies)
            except Exception:
                # Nobody knows what state this process is in now; the next picture gets a fresh one.
                logger.exception("detection crashed")
                raise SystemExit(1) from None


def _answer(
    swapper: FaceSwapper, limits: DecodeLimits, annotated: bool, data: bytes, replies: BinaryIO
) -> None:
    try:
        picture = decode(data, limits, param="image")
    except TaskError as error:
        frames.write(replies, {"kind": "error", "type": error.type, "message": error.message})
        return
    faces = swapper.detect(picture.rgb)
    height, width = picture.rgb.shape[:2]
    found = {"width": width, "height": height, "faces": [_described(face) for face in faces]}
    drawing = [encode(_drawn(picture.rgb, faces), "jpg", alpha=picture.alpha)] if annotated else []
    frames.write(replies, {"kind": "found", "found": found}, *drawing)


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

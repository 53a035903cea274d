"""The detector process: decodes a picture and finds its faces for an API process, and can be killed at will.

Run as `python -m mien.detection.process '{"threads": 2, …}'` with frames on stdin and stdout. It has no
database, no network and no secret. It ends when its stdin does.
"""

import json
import signal
import sys
from typing import Any, BinaryIO

import cv2
import structlog

from mien import Face, FaceSwapper
from mien.engine.arrays import RGB
from mien.errors import TaskError
from mien.images.annotation import Label, annotate
from mien.images.codec import DecodeLimits, decode, encode
from mien.tasks import frames
from mien.tasks.memory_limit import limit_memory
from mien.telemetry import configure_logging

logger = structlog.get_logger(__name__)

_BYTES_PER_PIXEL = 40
"""Memory that a picture may take. Decoding and looking at 40 megapixels takes up to 17, of any format that is
accepted; drawing on them and encoding that, 10 more."""
_BYTES_BESIDE = 300_000_000


def main() -> None:
    config = json.loads(sys.argv[1])
    # The API process decides when this ends, also when Ctrl-C goes to the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    requests, replies = frames.take_over_stdio()
    configure_logging(config["log_level"], config["log_format"])
    cv2.setNumThreads(config["threads"])
    swapper = FaceSwapper(threads=config["threads"])
    limits = DecodeLimits(max_bytes=config["max_image_bytes"], max_pixels=config["max_pixels"])
    limit_memory(_BYTES_PER_PIXEL * limits.max_pixels + _BYTES_BESIDE)
    frames.write(replies, {"kind": "ready"})
    while True:
        head, (data,) = requests.get()
        with structlog.contextvars.bound_contextvars(**head["log"]):
            try:
                _answer(swapper, limits, head["annotate"], data, replies)
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
    return {
        "box": [round(value, 1) for value in face.box],
        "score": round(face.score, 4),
        "landmarks_count": len(face.landmarks),
        "yaw": round(face.yaw, 1),
        "pitch": round(face.pitch, 1),
        "roll": round(face.roll, 1),
        "size": {
            "width": round(x1 - x0, 1),
            "height": round(y1 - y0, 1),
            "eye_distance": round(face.eye_distance, 1),
        },
        "usable": face.usable,
        "problem": face.problem,
    }


if __name__ == "__main__":
    main()

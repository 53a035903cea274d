"""The engine process: decodes, swaps and encodes for a worker, one task at a time, and can be killed at will.

Run as `python -m mien.tasks.engine_process '{"threads": 2, …}'` with frames on stdin and stdout. It has no
database, no network and no secret. It ends when its stdin does, in the middle of a swap if need be.
"""

import hashlib
import json
import signal
import sys
from typing import Any, BinaryIO

import cv2
import structlog

from mien import FaceSwapper
from mien.errors import TaskError
from mien.images.codec import DecodeLimits, decode, encode
from mien.tasks import frames
from mien.telemetry import configure_logging

logger = structlog.get_logger(__name__)

# The engine speaks of its own arguments, the caller of the request's fields.
_FIELDS = {"target": "image", "source": "face_image"}


def main() -> None:
    config = json.loads(sys.argv[1])
    # The worker decides when this ends, also when Ctrl-C goes to the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    requests, replies = frames.take_over_stdio()
    configure_logging(config["log_level"], config["log_format"])
    cv2.setNumThreads(config["threads"])  # for the whole process, so it's set here and nowhere else
    swapper = FaceSwapper(threads=config["threads"])
    limits = DecodeLimits(max_bytes=config["max_image_bytes"], max_pixels=config["max_pixels"])
    frames.write(replies, {"kind": "ready"})
    while True:
        head, (target, source) = requests.get()
        with structlog.contextvars.bound_contextvars(**head["log"]):
            try:
                _answer(swapper, limits, head, target, source, replies)
            except Exception:
                # Nobody knows what state this process is in now; a fresh one tries again.
                logger.exception("swap crashed")
                raise SystemExit(1) from None


def _answer(
    swapper: FaceSwapper,
    limits: DecodeLimits,
    head: dict[str, Any],
    target: bytes,
    source: bytes,
    replies: BinaryIO,
) -> None:
    try:
        target_picture = decode(target, limits, param="image")
        source_picture = decode(source, limits, param="face_image")
        swapped = swapper.swap(
            target_picture.rgb,
            source_picture.rgb,
            target_index=head["target_index"],
            on_step=lambda step: frames.write(replies, {"kind": "step", "step": step}),
        )
        picture = encode(swapped.image, head["format"], alpha=target_picture.alpha)
    except TaskError as error:
        param = _FIELDS.get(error.param or "", error.param)
        frames.write(replies, {"kind": "error", "type": error.type, "message": error.message, "param": param})
    else:
        height, width = swapped.image.shape[:2]
        sha256 = hashlib.sha256(picture).hexdigest()
        frames.write(
            replies,
            {
                "kind": "picture",
                "result": {
                    "format": head["format"],
                    "width": width,
                    "height": height,
                    "bytes": len(picture),
                    "sha256": sha256,
                },
                "report": swapped.report.to_dict(),
            },
            picture,
        )


if __name__ == "__main__":
    main()

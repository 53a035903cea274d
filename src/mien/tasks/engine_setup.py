"""How a process that decodes strangers' pictures sets itself up, whatever it does with them."""

import json
import queue
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import cv2

from mien.images.headers import DecodeLimits
from mien.tasks import frames
from mien.tasks.memory_limit import limit_memory
from mien.telemetry import configure_logging


@dataclass(frozen=True)
class EngineSetup:
    threads: int
    config: Mapping[str, Any]
    """What else `spawn` gave."""
    limits: DecodeLimits
    requests: "queue.Queue[frames.Frame]"
    replies: BinaryIO

    def ready(self, *, bytes_per_pixel: int, bytes_beside: int) -> None:
        """Say that the process has loaded what it needs.

        From then on it may take `bytes_beside` bytes of memory more, and `bytes_per_pixel` for each pixel of
        the largest picture.
        """
        limit_memory(bytes_per_pixel * self.limits.max_pixels + bytes_beside)
        frames.write(self.replies, {"kind": "ready"})


def set_up() -> EngineSetup:
    """Take what `mien.tasks.engine_child.spawn` gave."""
    config = json.loads(sys.argv[1])
    # The parent decides when this ends, also when Ctrl-C goes to the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    requests, replies = frames.take_over_stdio()
    configure_logging(config["log_level"], config["log_format"])
    cv2.setNumThreads(config["threads"])  # for the whole process, so it's set here and nowhere else
    limits = DecodeLimits(max_bytes=config["max_image_bytes"], max_pixels=config["max_pixels"])
    return EngineSetup(config["threads"], config, limits, requests, replies)

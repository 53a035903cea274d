"""What every process does that looks at pictures for an API process (`mien.tasks.inspectors`)."""

from collections.abc import Callable
from typing import Any, NoReturn

import structlog

from mien.errors import TaskError
from mien.tasks import frames
from mien.tasks.engine_setup import EngineSetup

logger = structlog.get_logger(__name__)

Answer = Callable[[dict[str, Any], bytes], tuple[dict[str, Any], list[bytes]]]
"""From a question and a picture's file to an answer; raises `TaskError` for a picture that can't be read."""


def serve(engine: EngineSetup, answer: Answer) -> NoReturn:
    """Answer one question after the other until stdin ends."""
    while True:
        question, (picture,) = engine.requests.get()
        with structlog.contextvars.bound_contextvars(**question["log"]):
            try:
                head, blobs = answer(question, picture)
            except TaskError as error:
                head, blobs = {"kind": "error", "type": error.type, "message": error.message}, []
            except Exception:
                # Nobody knows what state this process is in now; the next picture gets a fresh one.
                logger.exception("inspection crashed")
                raise SystemExit(1) from None
        frames.write(engine.replies, head, *blobs)

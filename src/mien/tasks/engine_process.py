"""The engine process: decodes, swaps and encodes for a worker, one task at a time, and can be killed at will.

Run as `python -m mien.tasks.engine_process '{"threads": 2, …}'` with frames on stdin and stdout. It has no
database and no secret but the watermark's key: the worker signs for it. It has no network either, but for
asking a time-stamp authority if there is one. It ends when its stdin does, in the middle of a swap if need
be, and stops a swap at its next step when it's told to.
"""

import hashlib
import queue
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from typing import Any, BinaryIO, Final

import structlog

from mien import FaceSwap, FaceSwapper
from mien.errors import SetupError, TaskError
from mien.images.codec import DecodeLimits, Picture, decode, encode
from mien.images.resize import Pixels, shrink
from mien.marks import label
from mien.marks.label import Box
from mien.marks.marking import Making, Marks, mark
from mien.marks.provenance import Signer
from mien.safety.adult import AdultContent
from mien.safety.gate import Gate
from mien.safety.likeness import FaceList
from mien.tasks import frames
from mien.tasks.engine_setup import EngineSetup, set_up
from mien.tasks.timings import Timings

logger = structlog.get_logger(__name__)

_MANY: Final = 4
"""All pictures of a task may have as many pixels as so many of the largest."""

_BYTES_PER_PIXEL: Final = 70
"""Memory that a swap may take, for each pixel of the largest picture. A swap between two such pictures takes
up to 28; two more, as `_MANY` allows, add 3 each, and 17 while they are decoded."""
_BYTES_BESIDE: Final = 300_000_000


class _Stopped(Exception):
    """The worker doesn't want this swap any more."""


def main() -> None:
    engine = set_up()
    swapper, gate = FaceSwapper(threads=engine.threads), _gate(engine)
    engine.ready(bytes_per_pixel=_BYTES_PER_PIXEL, bytes_beside=_BYTES_BESIDE)
    requests, replies = engine.requests, engine.replies
    while True:
        head, blobs = requests.get()
        match head["kind"]:
            case "stop":
                continue  # the swap that was meant has ended
            case "listed":
                gate.listed = FaceList.unpack(head["ids"], blobs[0])
                continue
        pictures = dict(zip(head["pictures"], blobs, strict=True))
        on_step = _announcer(requests, lambda step: frames.write(replies, {"kind": "step", "step": step}))
        with structlog.contextvars.bound_contextvars(**head["log"]):
            try:
                answer = _swap(
                    swapper,
                    gate,
                    engine.limits,
                    head["parameters"],
                    pictures,
                    on_step,
                    _Marker(head["parameters"], head["marking"], pictures, requests, replies),
                )
            except Exception:
                # Nobody knows what state this process is in now; a fresh one tries again.
                logger.exception("swap crashed")
                raise SystemExit(1) from None
        frames.write(replies, *answer)


def _gate(engine: EngineSetup) -> Gate:
    adult = AdultContent(engine.threads) if engine.config["refuse_adult_content"] else None
    return Gate(adult, engine.config["alike_from"])


def _announcer(
    requests: "queue.Queue[frames.Frame]", announce: Callable[[str], None]
) -> Callable[[str], None]:
    """Announces steps, and raises `_Stopped` once the worker has sent anything: it only can be that."""

    def on_step(step: str) -> None:
        if not requests.empty():
            raise _Stopped
        announce(step)

    return on_step


def _swap(
    swapper: FaceSwapper,
    gate: Gate,
    limits: DecodeLimits,
    parameters: Mapping[str, Any],
    pictures: Mapping[str, bytes],
    on_step: Callable[[str], None],
    marker: "_Marker",
) -> tuple[dict[str, Any]] | tuple[dict[str, Any], bytes]:
    """The frame that answers the request."""
    timings = Timings()
    swaps = parameters["swaps"]
    try:
        with timings.timed("decoding"):
            decoded = _decode(pictures, limits)
        target = decoded.pop("image")
        with timings.timed("checking"):
            is_doubtful = gate.check_target(target.rgb)
        # One picture in several swaps stays one array, which the engine looks at once.
        sources = {field: picture.rgb for field, picture in decoded.items()}
        result = swapper.swap_faces(
            target.rgb,
            [
                FaceSwap(
                    sources=tuple(sources[field] for field in swap["pictures"]),
                    target_index=swap["target_index"],
                    source_index=swap["face_index"],
                )
                for swap in swaps
            ],
            on_step=on_step,
        )
        reports = [report.to_dict() for report in result.reports]
        timings.add_reports(reports)
        with timings.timed("checking"):
            gate.check_identities(result.identities)
            if is_doubtful:
                gate.check_result(result.image)
        on_step("marking")
        with timings.timed("marking"):
            rgb, alpha = shrink(result.image, target.alpha, parameters["max_size"])
            format = parameters["output_format"]
            scale = rgb.shape[1] / result.image.shape[1]
            picture = marker.mark(rgb, alpha, target.exif, (result.boxes * scale).tolist())
    except _Stopped:
        return ({"kind": "stopped"},)
    except TaskError as error:
        return (
            {"kind": "error", "type": error.type, "message": error.message, "param": _field(error, swaps)},
        )
    described = {
        "format": format,
        "width": rgb.shape[1],
        "height": rgb.shape[0],
        "bytes": len(picture),
        "sha256": hashlib.sha256(picture).hexdigest(),
    }
    head = {"kind": "picture", "result": described, "reports": reports, "milliseconds": timings.milliseconds}
    return head, picture


class _Marker:
    """Marks a swap's result as `marking` says, and has the worker sign."""

    def __init__(
        self,
        parameters: Mapping[str, Any],
        marking: Mapping[str, Any] | None,
        pictures: Mapping[str, bytes],
        requests: "queue.Queue[frames.Frame]",
        replies: BinaryIO,
    ) -> None:
        self._parameters, self._marking, self._pictures = parameters, marking, pictures
        self._requests, self._replies = requests, replies
        self._stopped = False

    def mark(self, rgb: Pixels, alpha: Pixels | None, exif: bytes, face_boxes: Sequence[Box]) -> bytes:
        """The marked and encoded result. `exif` is the target's; `face_boxes` are in the result's pixels.

        Raises `_Stopped` when the worker doesn't want to sign any more.
        """
        format, quality = self._parameters["output_format"], self._parameters["quality"]
        if self._marking is None:
            return encode(rgb, format, alpha=alpha, quality=quality)

        def marked(marks: Marks) -> bytes:
            making = self._making(exif)
            return mark(rgb, format, making, marks, alpha=alpha, quality=quality, face_boxes=face_boxes)

        marks = self._marks(self._marking)
        try:
            return marked(marks)
        except SetupError:
            if self._stopped:
                raise _Stopped from None
            if marks.signing is None or marks.signing.time_stamp_authority is None:
                raise
            logger.warning("signed without time stamp", exc_info=True)
            return marked(replace(marks, signing=replace(marks.signing, time_stamp_authority=None)))

    def _marks(self, marking: Mapping[str, Any]) -> Marks:
        signer = marking["signer"] and Signer(sign=self._sign, **marking["signer"])
        language = self._parameters["label"]
        return Marks(
            watermark=marking["watermark"],
            watermark_key=bytes.fromhex(marking["watermark_key"]),
            label=label.TEXTS[language] if language else None,
            xmp=bool(signer),
            exif=self._parameters["exif"],
            signing=signer,
        )

    def _making(self, exif: bytes) -> Making:
        assert self._marking  # noqa: S101 - asked before
        faces = {data: None for field, data in self._pictures.items() if field != "image"}
        return Making(
            task_id=self._marking["task_id"],
            when=datetime.fromisoformat(self._marking["when"]),
            version=version("mien"),
            target=self._pictures["image"],
            faces=list(faces),
            exif=exif,
        )

    def _sign(self, data: bytes) -> bytes:
        frames.write(self._replies, {"kind": "sign"}, data)
        head, blobs = self._requests.get()
        if head["kind"] != "signature":
            self._stopped = True
            raise _Stopped
        return blobs[0]


def _decode(pictures: Mapping[str, bytes], limits: DecodeLimits) -> dict[str, Picture]:
    decoded: dict[str, Picture] = {}
    same: dict[bytes, Picture] = {}
    left = _MANY * limits.max_pixels
    for field, data in pictures.items():
        if data not in same:
            within = replace(limits, max_pixels=min(limits.max_pixels, left))
            same[data] = decode(data, within, param=field)
            left -= same[data].rgb.shape[0] * same[data].rgb.shape[1]
        decoded[field] = same[data]
    return decoded


def _field(error: TaskError, swaps: Sequence[Mapping[str, Any]]) -> str | None:
    """The engine speaks of its own arguments, the caller of the request's fields."""
    match error.param:
        case "target":
            return "image"
        case "source":
            fields: list[str] = swaps[error.swap or 0]["pictures"]
            if error.picture is None and len(fields) > 1:
                return fields[0].removesuffix("[0]")
            return fields[error.picture or 0]
        case param:
            return param


if __name__ == "__main__":
    main()

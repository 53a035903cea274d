"""The process that checks where pictures come from, for an API process, and can be killed at will.

Run as `python -m mien.origin.process '{"threads": 2, …}'` with frames on stdin and stdout. It has no
database, no network and no secret but the watermark's key. It ends when its stdin does.
"""

from dataclasses import asdict
from typing import Any

from mien.marks.certificates import Trust
from mien.marks.origin import check
from mien.tasks.engine_setup import set_up
from mien.tasks.inspection import serve

_BYTES_PER_PIXEL = 40
"""Memory that a picture may take. Decoding 40 megapixels takes up to 17, of any format that is accepted."""
_BYTES_BESIDE = 400_000_000


def main() -> None:
    engine = set_up()
    engine.ready(bytes_per_pixel=_BYTES_PER_PIXEL, bytes_beside=_BYTES_BESIDE)

    def answer(question: dict[str, Any], data: bytes) -> tuple[dict[str, Any], list[bytes]]:
        keys = [bytes.fromhex(key) for key in question["watermark_keys"]]
        origin = check(data, trust=Trust(**question["trust"]), watermark_keys=keys, limits=engine.limits)
        when = origin.when.isoformat() if origin.when else None
        return {"kind": "origin", "origin": {**asdict(origin), "when": when}}, []

    serve(engine, answer)


if __name__ == "__main__":
    main()

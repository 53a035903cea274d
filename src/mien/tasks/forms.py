"""A face swap as a form: what JSON nests is JSON text here, or has its place in the part's name."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from mien.errors import InvalidRequest

_JSON_TEXTS: Final = ("swaps", "metadata")
_SWAPS_PART = re.compile(r"swaps\[(\d{1,2})\]\.(face_image|face_images)")


def unfold(parts: Iterable[tuple[str, str | bytes]]) -> dict[str, Any]:
    """The form's parts as the JSON body would have them. Raises `InvalidRequest`.

    `face_images` may come several times; `swaps` and `metadata` are JSON texts; pictures of swaps may be
    parts called `swaps[1].face_image`.
    """
    fields: dict[str, Any] = {}
    of_swaps: list[tuple[str, int, str, str | bytes]] = []
    for name, value in parts:
        if place := _SWAPS_PART.fullmatch(name):
            of_swaps.append((name, int(place[1]), place[2], value))
        else:
            _put(fields, name, name, _read_json(name, value) if name in _JSON_TEXTS else value)
    for name, number, field, value in of_swaps:
        _put(_swap(fields, name, number), field, name, value)
    return fields


def _put(fields: dict[str, Any], field: str, name: str, value: Any) -> None:
    if field == "face_images":
        pictures = fields.setdefault(field, [])
        if not isinstance(pictures, list):
            raise InvalidRequest(f"`{name}` was sent twice. Send its pictures in one way.", param=name)
        pictures.append(value)
    elif field in fields:
        raise InvalidRequest(f"`{name}` was sent twice. Send it once.", param=name)
    else:
        fields[field] = value


def _read_json(name: str, value: str | bytes) -> Any:
    try:
        read = json.loads(value)
        json.dumps(read, ensure_ascii=False).encode()  # half a surrogate pair can't be stored
    except (ValueError, RecursionError):
        raise InvalidRequest(
            f"`{name}` is not valid JSON. In a form it's a text such as the JSON body would hold.", param=name
        ) from None
    return read


def _swap(fields: dict[str, Any], name: str, number: int) -> dict[str, Any]:
    """The swap that the part called `name` belongs to."""
    swaps = fields.get("swaps")
    swap = swaps[number] if isinstance(swaps, list) and number < len(swaps) else None
    if not isinstance(swap, dict):
        raise InvalidRequest(
            f"`{name}` belongs to a swap that isn't there. Send `swaps` as JSON text with at least "
            f'{number + 1} objects, such as [{{"target_index": 0}}].',
            param=name,
        )
    return swap

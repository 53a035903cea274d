"""Lists in pages, the newest first.

A cursor holds what the last row of its page is sorted by. So rows that come or go meanwhile move nothing, and
it tells nobody more than that page did.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from mien.errors import InvalidRequest

Row = TypeVar("Row")

_LARGEST_INTEGER: Final = 2**63 - 1


@dataclass(frozen=True)
class Page(Generic[Row]):
    rows: Sequence[Row]
    next_cursor: str | None
    """None on the last page."""


async def read_page(
    session: AsyncSession,
    found: Select[Row],
    by: Sequence[InstrumentedAttribute[Any]],
    *,
    limit: int,
    cursor: str | None,
) -> Page[Row]:
    """Up to `limit` of the rows, from behind the page that gave `cursor`.

    `by` are columns of times, ids and numbers that together tell every row from all others. Raises
    `InvalidRequest` for a cursor of elsewhere.
    """
    if cursor is not None:
        found = found.where(tuple_(*by) < _read(cursor, by))
    newest_first = found.order_by(*(column.desc() for column in by)).limit(limit + 1)
    rows = (await session.scalars(newest_first)).all()
    if len(rows) <= limit:
        return Page(rows, None)
    last = rows[limit - 1]
    return Page(rows[:limit], _written([getattr(last, column.key) for column in by]))


def _written(values: Sequence[object]) -> str:
    texts = [value.isoformat() if isinstance(value, datetime) else str(value) for value in values]
    return base64.urlsafe_b64encode(" ".join(texts).encode()).decode().rstrip("=")


def _read(cursor: str, by: Sequence[InstrumentedAttribute[Any]]) -> tuple[Any, ...]:
    try:
        texts = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").split(" ")
        return tuple(_value(text, column) for text, column in zip(texts, by, strict=True))
    except (ValueError, binascii.Error):
        raise InvalidRequest(
            "`cursor` is none of ours. Send `next_cursor` of the page before as it is.", param="cursor"
        ) from None


def _value(text: str, column: InstrumentedAttribute[Any]) -> datetime | UUID | int | str:
    """Raises `ValueError` for what the database wouldn't take."""
    kind = column.type.python_type
    if kind is datetime:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("a time without its zone")
        return moment
    if kind is UUID:
        return UUID(text)
    if kind is int:
        number = int(text)
        if abs(number) > _LARGEST_INTEGER:
            raise ValueError("too large a number")
        return number
    if "\0" in text:
        raise ValueError("not a text for PostgreSQL")
    return text

"""All that an account has here, as one zip archive that is made while it's sent.

The archive is no snapshot: what comes or goes meanwhile may be in it or not. It holds no secrets: of keys,
sessions and webhooks it says that they exist.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from pydantic_core import to_json
from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute

from mien.accounts.models import ApiKey, SignIn
from mien.accounts.service import find_account
from mien.billing import usage
from mien.billing.models import LedgerEntry, Order
from mien.database.connection import Base
from mien.database.paging import read_page
from mien.resources import Resources
from mien.safety.models import TrailEntry
from mien.storage import objects
from mien.tasks.models import Task
from mien.uploads.models import Upload
from mien.webhooks.models import Delivery, Endpoint

_ROWS: Final = 500  # that are read at once
_PICTURES: Final = "pictures/"
_TABLES: Final[Sequence[tuple[str, type[Base], Sequence[InstrumentedAttribute[Any]], Collection[str]]]] = (
    ("keys", ApiKey, (ApiKey.created_at, ApiKey.id), {"key_hash"}),
    ("sessions", SignIn, (SignIn.created_at, SignIn.id), {"token_hash"}),
    ("tasks", Task, (Task.created_at, Task.id), {"worker_id", "tag", "client"}),
    ("uploads", Upload, (Upload.created_at, Upload.id), ()),
    ("ledger", LedgerEntry, (LedgerEntry.id,), ()),
    ("trail", TrailEntry, (TrailEntry.ended_at, TrailEntry.task_id), {"client"}),
    ("orders", Order, (Order.created_at, Order.id), ()),
    ("webhooks", Endpoint, (Endpoint.created_at, Endpoint.id), {"secret", "previous_secret"}),
    ("webhook-deliveries", Delivery, (Delivery.created_at, Delivery.id), ()),
)
"""What is in which file, sorted by what, and which columns nobody gets."""

_README: Final = """This is all that the service at {public_url} keeps of the account
{account_id}, as of {now}.

account.json             the account: name, e-mail address, settings, credits
keys.json                API keys: names, limits, when they were used; never the keys
sessions.json            browsers that are signed in
tasks.json               face swaps: what was asked, how it went, your metadata
trail.json               what is kept of each task for the day when somebody asks who made a picture
uploads.json             pictures that were uploaded
ledger.json              every change of credits
orders.json              credits that were ordered
usage.json               use per day, key and status
webhooks.json            addresses that are told of events; never their secrets
webhook-deliveries.json  what they were told
pictures/                the files that `key`, `result_key` and `inputs` in these lists name

Times are UTC. Results, uploads and deliveries that have expired are gone, and so not in here.
"""


async def archive(resources: Resources, account_id: UUID) -> AsyncIterator[bytes]:
    """The archive, piece by piece: memory doesn't grow with it. Raises `NotFound`."""
    async with resources.sessions() as session:
        account = await find_account(session, account_id)
        used = await usage.per_day(session, account_id, account.created_at.date(), datetime.now(UTC).date())
    sink = _Sink()
    with ZipFile(sink, "w") as zipped:
        readme = _README.format(
            public_url=resources.settings.public_url, account_id=account_id, now=datetime.now(UTC)
        )
        for name, content in (
            ("README.txt", readme.encode()),
            ("account.json", to_json(_as_dict(account, {"password_hash"}), indent=2)),
            ("usage.json", to_json(used, indent=2)),
        ):
            with zipped.open(_member(name, ZIP_DEFLATED), "w") as file:
                file.write(content)
        for name, model, by, hidden in _TABLES:
            with zipped.open(_member(f"{name}.json", ZIP_DEFLATED), "w") as file:
                async for piece in _as_array(resources, account_id, model, by, hidden):
                    await asyncio.to_thread(file.write, piece)
                    yield sink.take()
        async for key in _keys_of_pictures(resources, account_id):
            try:
                picture = await objects.open_object(resources.store, key)
            except FileNotFoundError:  # it was deleted meanwhile
                continue
            with zipped.open(_member(_PICTURES + key, ZIP_STORED), "w") as file:
                async for chunk in picture.chunks:
                    file.write(chunk)
                    yield sink.take()
    yield sink.take()


class _Sink:
    """Takes what a `ZipFile` writes, without a way back, until somebody takes it on."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, data: bytes) -> int:
        self._written += data
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is open."""

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken


def _member(name: str, compression: int) -> ZipInfo:
    info = ZipInfo(name, time.gmtime()[:6])
    info.compress_type = compression
    info.external_attr = 0o600 << 16
    return info


async def _rows(
    resources: Resources, account_id: UUID, model: type[Base], by: Sequence[InstrumentedAttribute[Any]]
) -> AsyncIterator[Sequence[Any]]:
    """The account's rows in batches; no connection is held between them."""
    cursor = None
    while True:
        async with resources.sessions() as session:
            found = select(model).where(model.__table__.c.account_id == account_id)
            page = await read_page(session, found, by, limit=_ROWS, cursor=cursor)
        yield page.rows
        cursor = page.next_cursor
        if cursor is None:
            return


async def _as_array(
    resources: Resources,
    account_id: UUID,
    model: type[Base],
    by: Sequence[InstrumentedAttribute[Any]],
    hidden: Collection[str],
) -> AsyncIterator[bytes]:
    before = b"[\n"
    async for rows in _rows(resources, account_id, model, by):
        for row in rows:
            yield before + to_json(_as_dict(row, hidden))
            before = b",\n"
    yield (b"[" if before == b"[\n" else b"\n") + b"]\n"


def _as_dict(row: Base, hidden: Collection[str]) -> dict[str, Any]:
    columns = type(row).__table__.columns
    keys = {column.name: column.key for column in columns if column.name not in hidden}
    return {name: getattr(row, key) for name, key in keys.items()}


async def _keys_of_pictures(resources: Resources, account_id: UUID) -> AsyncIterator[str]:
    async for uploads in _rows(resources, account_id, Upload, (Upload.created_at, Upload.id)):
        for upload in uploads:
            yield upload.key
    async for tasks in _rows(resources, account_id, Task, (Task.created_at, Task.id)):
        for task in tasks:
            for source in task.inputs.values():
                if source["kind"] == "object" and source["value"].startswith("inputs/"):
                    yield source["value"]
            if task.result_key:
                yield task.result_key

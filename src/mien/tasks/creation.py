"""A task's beginning: one transaction for its row, its job, the limits, its idempotency key and its price."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from mien.billing import ledger
from mien.errors import InvalidRequest
from mien.http.principal import Principal
from mien.marks.tags import tag_of
from mien.resources import Resources
from mien.safety import trail
from mien.tasks import idempotency, inputs, limits, queries
from mien.tasks.models import TASK_SUFFIX, State, Task
from mien.tasks.requests import FaceSwapRequest

_HOLDING: Final = ledger.holding(limits.IN_FLIGHT)


@dataclass(frozen=True)
class Created:
    task: Task
    replayed: bool = False
    """It was created by an earlier request with the same idempotency key."""


class _AlreadyBound(Exception):
    """Somebody else was faster with the same idempotency key."""


async def create(
    resources: Resources,
    caller: Principal,
    request_id: str,
    wanted: FaceSwapRequest,
    idempotency_key: str | None = None,
    *,
    client: str | None = None,
) -> Created:
    """Queue a face swap, asked for from the address `client`.

    Raises `InvalidRequest` and `PayloadTooLarge` for pictures that can never work and for a consent that is
    missing where the operator requires it, `RateLimited`, `InsufficientCredits` and `IdempotencyMismatch`.
    """
    if resources.settings.require_consent and wanted.consent is None:
        raise InvalidRequest(
            "`consent` is missing, which the operator of this service requires. Say in a few words how the "
            "people who are shown have agreed.",
            param="consent",
        )
    fingerprint = b""
    if idempotency_key:
        fingerprint = await asyncio.to_thread(wanted.fingerprint)
        if earlier := await _find_earlier(resources, caller, idempotency_key, fingerprint):
            return Created(earlier, replayed=True)
    task_id = uuid4().hex + TASK_SUFFIX
    # Pictures are stored before the transaction that names them; should this process die, they are swept.
    kept = await inputs.keep(resources, caller.account_id, task_id, wanted.pictures())
    new = {
        "id": task_id,
        "account_id": caller.account_id,
        "key_id": caller.key_id,
        "request_id": request_id,
        "state": State.QUEUED,
        "stage": State.QUEUED.value,
        "parameters": wanted.parameters(),
        "inputs": kept,
        "tag": tag_of(task_id),
        "consent": wanted.consent,
        "client": trail.client_digest(resources, client) if client else None,
        "labels": wanted.metadata or {},
        "callback_url": wanted.callback_url,
        "credits": wanted.faces * resources.settings.price_per_face,
    }
    try:
        return Created(await _create(resources, caller, new, wanted.faces, idempotency_key, fingerprint))
    except BaseException as error:
        await inputs.discard(resources, task_id, kept)
        if idempotency_key and isinstance(error, _AlreadyBound):
            earlier = await _find_earlier(resources, caller, idempotency_key, fingerprint)
            if earlier:
                return Created(earlier, replayed=True)
        raise


async def _create(
    resources: Resources,
    caller: Principal,
    new: Mapping[str, Any],
    faces: int,
    idempotency_key: str | None,
    fingerprint: bytes,
) -> Task:
    async with resources.sessions.begin() as session:
        if idempotency_key and not await idempotency.bind(
            session, caller.account_id, idempotency_key, fingerprint, new["id"]
        ):
            raise _AlreadyBound
        # From here on the account's other requests wait for the commit, so there are two statements only.
        task, created_today = await queries.add(session, new, deadline=resources.settings.task_deadline)
        await limits.check_today(session, caller, created_today)
        of_account, of_key = await ledger.hold(
            session,
            caller.account_id,
            task.id,
            caller.key_id,
            faces,
            price_per_face=resources.settings.price_per_face,
            statement=_HOLDING,
        )
        limits.check_in_flight(caller, of_account, of_key)
    return task


async def _find_earlier(
    resources: Resources, caller: Principal, idempotency_key: str, fingerprint: bytes
) -> Task | None:
    async with resources.autocommit() as session:
        return await idempotency.find(session, caller.account_id, idempotency_key, fingerprint)

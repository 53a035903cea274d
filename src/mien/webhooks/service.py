"""The rules of webhooks: who is told of what, with which secret, and until when it's tried.

The caller of the functions commits: what is announced in a transaction leaves when it commits, or not at all.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from mien.accounts.service import lock_account
from mien.database import jobs
from mien.errors import Conflict, NotFound
from mien.sealing import Sealing
from mien.webhooks import queries
from mien.webhooks.models import TEST_EVENT, CallbackSecret, Delivery, Endpoint, Event, Signing, State
from mien.webhooks.signing import generate_secret

QUEUE: Final = "webhooks"

MAX_ENDPOINTS: Final = 10
ROTATION: Final = timedelta(hours=24)
"""How long the secret before the current one signs as well."""

DELAYS: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 5 * 60, 30 * 60, 3600, 2 * 3600, 4 * 3600, 8 * 3600, 8 * 3600)
)
"""From one attempt's end to the next, at least. After the last of them, the delivery has failed."""
_JITTER: Final = 0.1
"""Up to so much longer, so that what failed together doesn't come back together."""

DISABLED_AFTER: Final = timedelta(days=3)
"""A delivery fails after a day, so that this takes several of them."""

GONE: Final = 410

_ATTEMPTS_KEPT = 20


@dataclass(frozen=True)
class Receiver:
    """Where an attempt goes, and what signs it."""

    url: str
    secrets: list[str]


@dataclass(frozen=True)
class Attempt:
    """How one attempt at a delivery ended."""

    at: datetime
    milliseconds: int
    status: int | None = None
    """HTTP status; None if there was no answer."""
    answer: str | None = None
    """The first kilobyte of its body."""
    error: str | None = None
    """Why there was no answer."""

    @property
    def succeeded(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def outcome(self) -> str:
        """In a few words."""
        return self.error or f"The receiver answered {self.status}."


# Events ---------------------------------------------------------------------------------------------------


async def announce(
    session: AsyncSession,
    account_id: UUID,
    event: Event,
    data: Mapping[str, Any],
    callback_url: str | None = None,
) -> None:
    """Tell the account's endpoints that want to hear of it, and `callback_url`, that a task has ended.

    `data` is the task's answer as it goes into JSON, with `task_id`. All is sent after the session's
    transaction has committed, and nothing if it rolls back.
    """
    body = _body(event, data)
    deliveries = [
        Delivery(
            account_id=account_id, endpoint_id=endpoint.id, event=event, task_id=data["task_id"], body=body
        )
        for endpoint in await queries.wanting(session, account_id, event)
    ]
    if callback_url:
        deliveries.append(
            Delivery(
                account_id=account_id,
                callback_url=callback_url,
                event=event,
                task_id=data["task_id"],
                body=body,
            )
        )
    await _send(session, deliveries)


async def test(session: AsyncSession, account_id: UUID, endpoint_id: UUID) -> Delivery:
    """Send an endpoint the event `webhook.test`. Raises `NotFound`, and `Conflict` if it's disabled."""
    endpoint = await find_endpoint(session, account_id, endpoint_id)
    _check_enabled(endpoint)
    body = _body(TEST_EVENT, {"webhook_id": str(endpoint.id)})
    delivery = Delivery(account_id=account_id, endpoint_id=endpoint.id, event=TEST_EVENT, body=body)
    await _send(session, [delivery])
    return delivery


async def redeliver(session: AsyncSession, account_id: UUID, delivery_id: UUID) -> Delivery:
    """Send an ended delivery again, with all attempts before it.

    Raises `NotFound`, and `Conflict` if it's under way or its endpoint is disabled.
    """
    delivery = await find_delivery(session, account_id, delivery_id, lock=True)
    if delivery.state is State.PENDING:
        raise Conflict("This delivery is still under way. Ask for it again once it has ended.")
    if delivery.endpoint_id:
        _check_enabled(await find_endpoint(session, account_id, delivery.endpoint_id))
    await queries.start_over(session, delivery)
    await jobs.wake(session, QUEUE, str(delivery.id))
    return delivery


async def find_delivery(
    session: AsyncSession, account_id: UUID, delivery_id: UUID, *, lock: bool = False
) -> Delivery:
    """An account's own delivery. Raises `NotFound`, also for somebody else's."""
    delivery = await queries.find_delivery(session, account_id, delivery_id, lock=lock)
    if delivery is None:
        raise no_delivery()
    return delivery


def attempts(delivery: Delivery) -> list[Attempt]:
    """How the latest attempts at a delivery ended, in their order."""
    return [Attempt(**logged | {"at": datetime.fromisoformat(logged["at"])}) for logged in delivery.attempts]


def _body(event: str, data: Mapping[str, Any]) -> str:
    moment = datetime.now(UTC).isoformat().replace("+00:00", "Z")  # as all other times are written
    message = {"type": event, "timestamp": moment, "data": data}
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


async def _send(session: AsyncSession, deliveries: list[Delivery]) -> None:
    session.add_all(deliveries)
    await session.flush()
    for delivery in deliveries:
        await jobs.wake(session, QUEUE, str(delivery.id))


# Attempts -------------------------------------------------------------------------------------------------


async def receiver(session: AsyncSession, sealing: Sealing, delivery: Delivery) -> Receiver | None:
    """Where a delivery goes as things stand; None if its endpoint is disabled."""
    now = datetime.now(UTC)
    if delivery.callback_url:
        secret = await callback_secret(session, sealing, delivery.account_id)
        return Receiver(delivery.callback_url, secret.secrets(now, sealing))
    assert delivery.endpoint_id  # noqa: S101 - a constraint of the table
    endpoint = await find_endpoint(session, delivery.account_id, delivery.endpoint_id)
    return None if endpoint.disabled_at else Receiver(endpoint.url, endpoint.secrets(now, sealing))


async def end_attempt(
    session: AsyncSession, delivery: Delivery, attempt: Attempt, *, final: bool = False
) -> State:
    """Write down how an attempt ended: the delivery is done, or due again later unless this was `final`."""
    state, delay = _verdict(delivery, attempt, final)
    log = [*delivery.attempts, _as_json(attempt)][-_ATTEMPTS_KEPT:]
    counts = await queries.end_attempt(session, delivery, attempts=log, state=state, delay=delay)
    if counts and delivery.endpoint_id:
        await _tell_endpoint(session, delivery.endpoint_id, delivery, attempt, state)
    return state


def _verdict(delivery: Delivery, attempt: Attempt, final: bool) -> tuple[State, timedelta]:
    if attempt.succeeded:
        return State.DELIVERED, timedelta(0)
    failures = delivery.attempt - delivery.attempts_before
    if final or attempt.status == GONE or delivery.event == TEST_EVENT or failures > len(DELAYS):
        return State.FAILED, timedelta(0)
    return State.PENDING, DELAYS[failures - 1] * random.uniform(1, 1 + _JITTER)  # noqa: S311


async def _tell_endpoint(
    session: AsyncSession, endpoint_id: UUID, delivery: Delivery, attempt: Attempt, state: State
) -> None:
    """Remember that it works or fails; disable it if it's gone or has failed for days."""
    if attempt.succeeded:
        await queries.endpoint_succeeded(session, endpoint_id)
        return
    await queries.endpoint_failed(session, endpoint_id)
    if attempt.status == GONE:
        await queries.disable(session, endpoint_id, "It answered 410 Gone.")
    elif state is State.FAILED and delivery.event != TEST_EVENT:
        reason = f"Every attempt of {DISABLED_AFTER.days} days failed, the last with: {attempt.outcome}"
        await queries.disable(session, endpoint_id, reason, failing_for=DISABLED_AFTER)


def _as_json(attempt: Attempt) -> dict[str, Any]:
    return asdict(attempt) | {"at": attempt.at.isoformat()}


# Endpoints ------------------------------------------------------------------------------------------------


async def create_endpoint(
    session: AsyncSession,
    sealing: Sealing,
    account_id: UUID,
    *,
    url: str,
    description: str,
    events: Sequence[str],
) -> Endpoint:
    """An endpoint with a secret of its own. Raises `Conflict` if the account has `MAX_ENDPOINTS` already."""
    await lock_account(session, account_id)
    if len(await queries.endpoints_of(session, account_id)) >= MAX_ENDPOINTS:
        raise Conflict(f"The account has {MAX_ENDPOINTS} webhooks, which is the most. Delete one first.")
    endpoint = Endpoint(
        account_id=account_id,
        url=url,
        description=description,
        events=list(events),
        secret=sealing.seal_text(generate_secret()),
    )
    session.add(endpoint)
    await session.flush()
    return endpoint


async def find_endpoint(
    session: AsyncSession, account_id: UUID, endpoint_id: UUID, *, lock: bool = False
) -> Endpoint:
    """An account's own endpoint. Raises `NotFound`, also for somebody else's."""
    endpoint = await queries.find_endpoint(session, account_id, endpoint_id, lock=lock)
    if endpoint is None:
        raise no_endpoint()
    return endpoint


def change(
    endpoint: Endpoint,
    *,
    url: str | None = None,
    description: str | None = None,
    events: Sequence[str] | None = None,
    enabled: bool | None = None,
) -> None:
    """Change what is given. Enabled, it's as if it had never failed."""
    endpoint.url = url or endpoint.url
    endpoint.description = endpoint.description if description is None else description
    endpoint.events = list(events or endpoint.events)
    if enabled:
        endpoint.disabled_at = endpoint.disabled_reason = endpoint.failing_since = None
    elif enabled is False and not endpoint.disabled_at:
        endpoint.disabled_at, endpoint.disabled_reason = datetime.now(UTC), "You disabled it."


async def callback_secret(
    session: AsyncSession, sealing: Sealing, account_id: UUID, *, lock: bool = False
) -> CallbackSecret:
    """What signs the account's deliveries to callback addresses; made when it's first wanted."""
    return await queries.callback_secret(session, account_id, sealing.seal_text(generate_secret()), lock=lock)


def rotate(signing: Signing, sealing: Sealing) -> None:
    """Give it a new secret. The present one signs as well for `ROTATION`, the one before it no more."""
    signing.previous_secret = signing.secret
    signing.previous_secret_until = datetime.now(UTC) + ROTATION
    signing.secret = sealing.seal_text(generate_secret())


def _check_enabled(endpoint: Endpoint) -> None:
    if endpoint.disabled_at:
        raise Conflict("This webhook is disabled. Enable it first.")


def no_endpoint() -> NotFound:
    return NotFound("There is no such webhook. Check its id and the key.", param="webhook_id")


def no_delivery() -> NotFound:
    return NotFound("There is no such delivery, or it has been swept. Check its id.", param="delivery_id")

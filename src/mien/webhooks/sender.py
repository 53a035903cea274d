"""Sends deliveries: one attempt whenever a job wakes it.

An attempt is taken in one transaction and ended in another, with the request between them. Whoever dies there
leaves a delivery that is due again a little later (`mien.webhooks.reaper`), so that the receiver hears of an
event at least once.
"""

import asyncio
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import httpx
import structlog

from mien.database.jobs import Served
from mien.public_http import AddressRefused, Resolve, public_client
from mien.resources import Resources
from mien.webhooks import queries, service
from mien.webhooks.models import Delivery
from mien.webhooks.service import Attempt, Receiver
from mien.webhooks.signing import signed_headers

logger = structlog.get_logger(__name__)

CONCURRENCY: Final = 50
_SHARE: Final = 10  # of one account, so that its slow receivers hold up nobody else's
_TIMEOUT: Final = 15.0  # seconds until the receiver has answered with a status
_BODY_TIMEOUT: Final = 2.0  # seconds for the body, of which nothing depends
_BODY_KEPT: Final = 1024  # bytes
# An attempt that hasn't ended by then has been forgotten.
_PATIENCE: Final = timedelta(seconds=30)


@dataclass(frozen=True)
class Sender:
    """Makes attempts, several at once. `resolve` stands in for the system's name resolution in tests."""

    resources: Resources
    resolve: Resolve | None = None
    _in_flight: Counter[UUID] = field(default_factory=Counter, init=False)

    def served(self) -> Served:
        """The queue of deliveries, as a worker serves it."""
        return Served(service.QUEUE, self.deliver, CONCURRENCY)

    async def deliver(self, row_id: str) -> None:
        """Attempt a delivery if it's due and the account has a share left; else it stays as it is."""
        delivery_id = UUID(row_id)
        async with self.resources.sessions() as session:
            account_id = await queries.account_of(session, delivery_id)
        if account_id is None or self._in_flight[account_id] >= _SHARE:
            return
        self._in_flight[account_id] += 1
        try:
            await self._attempt(delivery_id)
        finally:
            self._in_flight[account_id] -= 1
            if not self._in_flight[account_id]:
                del self._in_flight[account_id]

    async def _attempt(self, delivery_id: UUID) -> None:
        async with self.resources.sessions.begin() as session:
            delivery = await queries.start_attempt(session, delivery_id, _PATIENCE)
            if delivery is None:
                return
            receiver = await service.receiver(session, self.resources.sealing, delivery)
            if receiver is None:
                disabled = Attempt(datetime.now(UTC), milliseconds=0, error="The webhook is disabled.")
                await service.end_attempt(session, delivery, disabled, final=True)
                return
        attempt = await self._send(delivery, receiver)
        async with self.resources.sessions.begin() as session:
            state = await service.end_attempt(session, delivery, attempt)
        logger.info(
            "webhook attempted",
            delivery_id=str(delivery.id),
            task_id=delivery.task_id,
            attempt=delivery.attempt,
            outcome=attempt.outcome,
            state=state.value,
        )

    async def _send(self, delivery: Delivery, receiver: Receiver) -> Attempt:
        at, started = datetime.now(UTC), time.perf_counter()
        status, answer, error = None, None, None
        try:
            async with public_client(
                self.resources.settings.webhook_allowed_networks, self.resolve
            ) as client:
                request = client.build_request(
                    "POST",
                    receiver.url,
                    content=delivery.body.encode(),
                    headers={"Content-Type": "application/json"}
                    | signed_headers(str(delivery.id), at, delivery.body, receiver.secrets),
                )
                async with asyncio.timeout(_TIMEOUT):
                    response = await client.send(request, stream=True)
                status, answer = response.status_code, await _beginning(response)
        except AddressRefused as refusal:
            error = f"The address is refused: {refusal.message}."
        except (httpx.InvalidURL, UnicodeError):
            error = "The address is not valid."
        except TimeoutError:
            error = f"The receiver did not answer within {_TIMEOUT:g} seconds."
        except httpx.HTTPError:
            error = "The receiver can't be reached, or its answer is broken."
        except Exception:
            # Without an ending, this would be tried for ever.
            logger.exception("webhook attempt failed", delivery_id=str(delivery.id))
            error = "Something went wrong on our side."
        milliseconds = round((time.perf_counter() - started) * 1000)
        return Attempt(at, milliseconds, status, answer, error)


async def _beginning(response: httpx.Response) -> str:
    """The first kilobyte of the answer's body, as text; as much of it as comes in time."""
    data = bytearray()
    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(_BODY_TIMEOUT):
            async for chunk in response.aiter_raw():
                data += chunk
                if len(data) >= _BODY_KEPT:
                    break
    await response.aclose()
    text = bytes(data[:_BODY_KEPT]).decode(errors="replace")
    return text.replace("\0", "\ufffd")  # which PostgreSQL keeps in no text

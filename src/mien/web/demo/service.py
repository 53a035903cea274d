"""Swaps without an account: how many, of which pictures, and whose they are.

All of them are tasks of one account that nobody can sign in to. Visitors are told apart by the random token
in their cookie: a task's `key_id` follows from it. So there is no key that works anywhere else, and no
visitor sees another's tasks.

Tries are counted by the client's address, and all of the day's swaps in the transaction that creates them:
both are exact across processes.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from math import ceil
from typing import Final
from uuid import UUID

from mien.accounts import throttle
from mien.accounts.demo import DEMO_ACCOUNT, RETENTION, open_demo_account
from mien.accounts.throttle import Allowance
from mien.accounts.tokens import digest
from mien.errors import ApiError, InvalidRequest, NotFound, PermissionDenied, RateLimited
from mien.http.principal import Limits, Principal
from mien.resources import Resources
from mien.settings import Settings
from mien.tasks import creation, service
from mien.tasks.models import Task
from mien.tasks.requests import FaceSwapRequest

MAX_SIZE: Final = 1024
"""Pixels of a result's longest side."""
_AT_ONCE: Final = 10
"""Swaps of all visitors that are queued or running, so that those who pay don't wait for them."""
_LOOKS_PER_SWAP: Final = 10
"""Pictures whose faces are looked for: people try several before they send two."""
_DAY: Final = timedelta(days=1)


def visitor_id(token: str) -> UUID:
    """Who has the cookie with this token."""
    return UUID(bytes=digest(token)[:16])


async def create(
    resources: Resources, visitor: UUID, client: str, request_id: str, wanted: FaceSwapRequest
) -> Task:
    """Queue a visitor's swap from the address `client`.

    Raises `RateLimited` when the demo is used up, `PermissionDenied` if an administrator closed it, and
    what `mien.tasks.creation.create` raises.
    """
    settings = resources.settings
    check_pictures(settings, wanted.pictures())
    if wanted.callback_url:
        raise InvalidRequest(f"The demo calls nobody back. {_way_in(settings)}", param="callback_url")
    subject = f"demo swap from {client}"
    await _take(resources, subject, settings.demo_swaps_per_address)
    small = wanted.model_copy(update={"max_size": min(wanted.max_size or MAX_SIZE, MAX_SIZE)})
    try:
        async with resources.sessions.begin() as session:
            account = await open_demo_account(session)
        if account.disabled_at:
            raise PermissionDenied("The demo is closed for now. Ask who runs this service.")
        created = await creation.create(
            _free(resources), _principal(settings, visitor), request_id, small, client=client
        )
    except ApiError as error:
        async with resources.sessions.begin() as session:
            await throttle.give_back(session, [subject])
        raise _used_up(settings, error) if isinstance(error, RateLimited) else error from None
    return created.task


async def count_look(resources: Resources, client: str) -> None:
    """Count a picture whose faces are looked for. Raises `RateLimited`."""
    allowed = _LOOKS_PER_SWAP * resources.settings.demo_swaps_per_address
    await _take(resources, f"demo look from {client}", allowed)


async def check_own(resources: Resources, visitor: UUID | None, task_id: str) -> None:
    """Raises `NotFound` unless it's a task of this very visitor."""
    task = await service.find(resources, DEMO_ACCOUNT, task_id)
    if visitor is None or task.key_id != visitor:
        raise NotFound("There is no such task. It belongs to another browser, or to none.", param="task_id")


def check_pictures(settings: Settings, pictures: Mapping[str, str | bytes]) -> None:
    """Raises `InvalidRequest` for addresses of others: what is fetched for strangers nobody answers for."""
    for field, picture in pictures.items():
        if isinstance(picture, str) and not picture.startswith(f"{settings.public_url}/"):
            raise InvalidRequest(
                f"The demo fetches no pictures. Send the file itself. {_way_in(settings)}", param=field
            )


async def _take(resources: Resources, subject: str, tries: int) -> None:
    try:
        await throttle.take(resources.sessions, {subject: Allowance(tries, _DAY)})
    except RateLimited as error:
        raise RateLimited(
            f"You have used up what the demo gives in a day. Try again in {ceil(error.retry_after / 3600)} "
            f"hours. {_way_in(resources.settings)}",
            retry_after=error.retry_after,
        ) from None


def _used_up(settings: Settings, error: RateLimited) -> RateLimited:
    """The account's limits, in words for somebody who has none."""
    if error.retry_after < 60:  # seconds: it's not about the day
        message = "Many people try the demo right now. Send it again in a moment."
    else:
        message = f"All swaps that the demo gives in a day are used up. {_way_in(settings)}"
    return RateLimited(message, retry_after=error.retry_after)


def _way_in(settings: Settings) -> str:
    if settings.signup == "open":
        return "Sign up to do more."
    return "Ask who runs this service for an account to do more."


def _principal(settings: Settings, visitor: UUID) -> Principal:
    return Principal(
        account_id=DEMO_ACCOUNT,
        key_id=visitor,
        is_administrator=False,
        limits=Limits(
            requests_per_minute=settings.requests_per_minute,
            tasks_in_flight=_AT_ONCE,
            tasks_per_day=settings.demo_swaps_per_day,
        ),
        key_limits=None,
        is_restricted=True,
    )


def _free(resources: Resources) -> Resources:
    """The same service, for tasks that cost nothing; their pictures are gone after an hour, done or not."""
    settings = resources.settings
    changes = {"price_per_face": 0, "task_deadline": min(settings.task_deadline, RETENTION)}
    return replace(resources, settings=settings.model_copy(update=changes))

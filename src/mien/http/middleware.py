"""What every request passes before anything in it is parsed: an id, and limits on its body.

Plain ASGI, so that a body is refused while it is read and nothing is copied on the way.
"""

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import structlog
from sqlalchemy.exc import OperationalError
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.errors import ApiError, BodyTooSlow, PayloadTooLarge, Unavailable
from mien.http.errors import envelope, error_response, unexpected

logger = structlog.get_logger(__name__)

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_SLOWEST = 16_000  # bytes per second


@dataclass(frozen=True)
class RequestContext:
    """Outermost: gives the request an id, logs its end, and tells of an unexpected error nothing but the id.

    The caller's `X-Request-Id` is kept if it's sane. The id is in `request.state`, in every log line until
    the end, and in the answer's header. `answer` words the unexpected error.
    """

    app: ASGIApp
    answer: Callable[[Request, ApiError], Awaitable[Response]] = envelope

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _SANE_REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, send_with_id)
            except Exception as error:
                _log_failure(error, scope)
                if status is not None:
                    raise  # the answer has begun: the server cuts the connection
                response = await self.answer(Request(scope, receive), unexpected(error))
                await response(scope, receive, send_with_id)
            logger.info(
                "request",
                method=scope["method"],
                path=_route(scope),
                status=status,
                milliseconds=round((time.perf_counter() - started) * 1000, 1),
            )


@dataclass
class BodyLimits:
    """Refuses bodies that are too large or too slow, and all bodies while too many bytes are held at once.

    `limits` gives bytes by path, `default` is for all other paths, `in_flight` is for the whole process. What
    a request declares is checked at once, and what it sends is counted while it's read. All in all a body may
    keep us waiting for `timeout` seconds, and as long again as it would take at 16 kB a second: neither one
    that stalls nor one that trickles holds memory for long.

    An endpoint that waits once it has done with the body calls `request.state.give_body_back()` before.
    """

    app: ASGIApp
    limits: Mapping[str, int]
    default: int
    in_flight: int
    timeout: float
    _held: int = field(default=0, init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.limits.get(scope["path"], self.default)
        mine = 0

        def hold(total: int) -> None:
            nonlocal mine
            if total > limit:
                hint = " Send smaller pictures, or their addresses." if limit > self.default else ""
                raise PayloadTooLarge(
                    f"The body has more than {limit:,} bytes, which is the most here.{hint}"
                )
            if self._held + total - mine > self.in_flight:
                raise Unavailable("The server holds as many uploads as it can. Try again in a moment.")
            self._held += total - mine
            mine = total

        def give_back() -> None:
            nonlocal mine
            self._held -= mine
            mine = 0

        scope.setdefault("state", {})["give_body_back"] = give_back
        received, waited, complete = 0, 0.0, False

        async def receive_counted() -> Message:
            nonlocal received, waited, complete
            if complete:  # and now somebody waits for the caller to hang up
                return await receive()
            began = time.monotonic()
            try:
                async with asyncio.timeout(self.timeout + received / _SLOWEST - waited):
                    message = await receive()
            except TimeoutError:
                raise BodyTooSlow("The body came too slowly, or not at all. Send it again.") from None
            waited += time.monotonic() - began
            complete = not message.get("more_body", False)
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                hold(max(mine, received))
            return message

        declared = Headers(scope=scope).get("content-length", "0")
        try:
            hold(int(declared) if declared.isdecimal() else 0)
        except ApiError as error:
            await _refuse(error, scope, receive, send)
            return
        try:
            await self.app(scope, receive_counted, send)
        finally:
            give_back()


def _log_failure(error: Exception, scope: Scope) -> None:
    if isinstance(error, OperationalError):  # an outage of the database is no bug, and comes in hundreds
        logger.error("request failed", path=_route(scope), reason=str(error.orig))
    else:
        logger.exception("request failed", path=_route(scope))


def _route(scope: Scope) -> str:
    """The route's pattern where one matched: paths of files hold their signature."""
    route = scope.get("route")
    return str(getattr(route, "path", None) or scope["path"])


async def _refuse(error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    await error_response(error, scope["state"]["request_id"])(scope, receive, send)

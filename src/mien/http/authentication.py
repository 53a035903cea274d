"""Who is asking? Answered before anything in a request is parsed."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.errors import ApiError, AuthenticationError, RateLimited
from mien.http import rate_limits, sessions
from mien.http.errors import error_response
from mien.http.principal import Principal
from mien.http.rate_limits import RequestCounter, Standing

Authenticate = Callable[[str], Awaitable[Principal]]
"""From a key, or from a session's token, to who has it; raises `AuthenticationError`."""

_KEY_WANTED = "Send your API key in the header `Authorization: Bearer <key>`."


@dataclass(frozen=True)
class Authentication:
    """Lets keys and sessions that work pass to paths below `prefix`, as often as their limits allow.

    A session counts only where no `Authorization` header came. `request.state.principal` says whose it is;
    paths in `open_paths`, and those below one that ends in a slash, need none, and have none.
    """

    app: ASGIApp
    by_key: Authenticate
    by_session: Authenticate
    public_url: str
    open_paths: Collection[str] = ()
    prefix: str = "/api/"
    _counter: RequestCounter = field(default_factory=RequestCounter, init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(self.prefix):
            await self.app(scope, receive, send)
            return
        fields: Mapping[str, str] = {}

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(fields)
            await send(message)

        try:
            principal = await self._principal(scope)
            if principal:
                scope["state"]["principal"] = principal
                standings = self._counter.count(principal)
                fields = rate_limits.headers(standings)
                _check(standings)
        except ApiError as error:
            refusal = error_response(error, scope["state"]["request_id"])
            await refusal(scope, receive, send_with_limits)
            return
        await self.app(scope, receive, send_with_limits)

    def _is_open(self, path: str) -> bool:
        return any(path == one or (one.endswith("/") and path.startswith(one)) for one in self.open_paths)

    async def _principal(self, scope: Scope) -> Principal | None:
        headers = Headers(scope=scope)
        is_open = self._is_open(scope["path"])
        if not is_open and "authorization" in headers:
            return await self.by_key(_bearer_key(headers["authorization"]))
        token = None if is_open else sessions.session_token(headers, self.public_url)
        if not is_open and token is None:
            raise AuthenticationError(f"The API key is missing. {_KEY_WANTED}")
        changes_something = scope["method"] not in sessions.SAFE_METHODS
        if changes_something:
            sessions.check_origin(headers, self.public_url)
        if token is None:
            return None
        principal = await self.by_session(token)
        if changes_something:
            sessions.check_csrf_token(headers, token)
        return principal


def _bearer_key(header: str) -> str:
    scheme, _, key = header.partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise AuthenticationError(f"The Authorization header is not understood. {_KEY_WANTED}")
    return key.strip()


def _check(standings: Collection[Standing]) -> None:
    for one in standings:
        if one.is_used_up:
            raise RateLimited(
                f"This {one.name} may make {one.limit} requests per minute. Try again in {one.seconds} "
                "seconds.",
                retry_after=one.seconds,
            )

"""An HTTP client for addresses that strangers hand us.

The threat: whoever may name an address that this server will open can make it open what they can't reach
themselves, such as databases and admin pages of the private network, the cloud's metadata service with its
credentials, or this machine. Checking the name in the address is not enough, since a name may resolve to a
private address, resolve to another one when it is asked again (DNS rebinding), be written in a dozen ways
(`http://2130706433/`, `http://[::ffff:7f00:1]/`), or answer with a redirect.

So the check is where the connection is made: `PublicNetwork` resolves the name, refuses if *any* of its
addresses is not public, and connects to exactly the addresses it has checked, while TLS still verifies the
name. Every request goes through it, those of redirects too. The client reads no proxies from the environment,
keeps no cookies, and follows redirects only where its caller asks for it.
"""

import asyncio
import functools
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import version
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

import httpcore
import httpx

from mien.errors import MienError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""From host and port to the addresses, as text, that the host has."""

USER_AGENT: Final = f"mien/{version('mien')}"

_CONNECT_SECONDS = 5.0
"""For each of a host's addresses, so that an address that swallows packets leaves time for the next."""


class AddressRefused(MienError):
    """The client won't open this address. The message is for the public; notes, if any, are for the log."""


def public_client(
    allowed_networks: Iterable[Network] = (), resolve: Resolve | None = None
) -> httpx.AsyncClient:
    """Return a client that opens public http and https addresses on ports 80 and 443, and nothing else.

    Addresses inside `allowed_networks` may be opened too, on any port. `resolve` stands in for the system's
    name resolution in tests. Requests raise `AddressRefused`, `httpx.InvalidURL` and `httpx.HTTPError`; they
    have no time limit of their own.
    """
    return httpx.AsyncClient(
        transport=_Transport(PublicNetwork(tuple(allowed_networks), resolve or _resolve)),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        timeout=httpx.Timeout(None),
        trust_env=False,
    )


# Which addresses are public -------------------------------------------------------------------------------

# After IANA's registries of special-purpose addresses. `ipaddress.is_global` is not used, since its answers
# differ between versions of Python, and it takes some tunnels and metadata services for public.
_SPECIAL_IPV4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this host
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # shared by carriers; Alibaba's metadata service
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # Azure's host, in public space but answered inside every machine of theirs
            "169.254.0.0/16",  # link-local; metadata services
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments; Oracle's metadata service
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
_GLOBAL_IPV6: Final = IPv6Network("2000::/3")
_SPECIAL_IPV6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments; Teredo, which wraps any IPv4 address
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which wraps any IPv4 address
            "3fff::/20",  # documentation
        ),
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Whether anybody on the internet would reach the same host under `address`."""
    address = _unwrap(address)
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL_IPV4)
    return address in _GLOBAL_IPV6 and not any(address in network for network in _SPECIAL_IPV6)


def _unwrap(address: Address) -> Address:
    """Return the IPv4 address that a mapped or NAT64 address really leads to, or `address` itself."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


# Connections ----------------------------------------------------------------------------------------------


async def _resolve(host: str, port: int) -> Sequence[str]:
    answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


class PublicNetwork(httpcore.AsyncNetworkBackend):
    """Connects to hosts all of whose addresses are public or in `allowed`."""

    def __init__(self, allowed: tuple[Network, ...], resolve: Resolve) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._tcp = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the interface is httpcore's)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._checked_addresses(host, port)
        seconds = _CONNECT_SECONDS if timeout is None else min(timeout, _CONNECT_SECONDS)
        failure: Exception | None = None
        for address in addresses:
            try:
                return await self._tcp.connect_tcp(str(address), port, seconds, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore.ConnectError("the name has no address")

    async def _checked_addresses(self, host: str, port: int) -> list[Address]:
        try:
            addresses = [ip_address(text) for text in await self._resolve(host, port)]
        except (OSError, UnicodeError) as error:  # UnicodeError: a label of more than 63 characters
            raise httpcore.ConnectError("the name can't be resolved") from error
        for address in addresses:
            if any(_unwrap(address) in network for network in self._allowed):
                continue
            if not is_public(address):
                refusal = AddressRefused("it is not a public address")
                refusal.add_note(f"{host} has the address {address}")
                raise refusal
            if port not in (80, 443):
                raise AddressRefused("its port is neither 80 nor 443")
        return addresses


class _Transport(httpx.AsyncBaseTransport):
    """httpx's requests over httpcore's connections, which is where a network can be given."""

    def __init__(self, network: PublicNetwork) -> None:
        self._pool = httpcore.AsyncConnectionPool(ssl_context=_ssl_context(), network_backend=network)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        if url.scheme not in ("http", "https") or not url.host:
            raise AddressRefused("it is not an http or https address")
        if url.userinfo:
            raise AddressRefused("it holds a user name or password")
        if url.port is not None and not 0 < url.port < 65536:
            raise AddressRefused("its port does not exist")
        with _as_httpx_errors(request):
            response = await self._pool.handle_async_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response, request),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response, request: httpx.Request) -> None:
        self._response = response
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx_errors(self._request):
            async for chunk in self._response.aiter_stream():
                yield chunk

    async def aclose(self) -> None:
        await self._response.aclose()


@contextmanager
def _as_httpx_errors(request: httpx.Request) -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException as error:
        raise httpx.TimeoutException(str(error), request=request) from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise httpx.TransportError(str(error), request=request) from error


@functools.cache
def _ssl_context() -> ssl.SSLContext:
    return httpx.create_ssl_context()

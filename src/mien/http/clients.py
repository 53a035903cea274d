"""Which address a request comes from, also behind proxies."""

from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated

from fastapi import Depends, Request

from mien.http.dependencies import Shared

_UNKNOWN = "unknown"


def client_address(
    peer: str | None, forwarded_for: str, trusted: Collection[IPv4Network | IPv6Network]
) -> str:
    """The address of a client whose connection comes from `peer`, for counting what it tries.

    `X-Forwarded-For` is read from its end, and only as long as trusted proxies wrote it: anybody can send the
    rest. An IPv6 client is known by its /64 network, since it has all of it.
    """
    address = _parse(peer or "")
    for sent in reversed(forwarded_for.split(",")):
        if address is None or not any(address in network for network in trusted):
            break
        further = _parse(sent)
        if further is None:
            break
        address = further
    if address is None:
        return _UNKNOWN
    return str(ip_network((address, 64), strict=False) if address.version == 6 else address)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.strip())
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


async def _client_address(request: Request, shared: Shared) -> str:
    peer = request.client.host if request.client else None
    forwarded_for = ",".join(request.headers.getlist("x-forwarded-for"))
    return client_address(peer, forwarded_for, shared.settings.trusted_proxies)


ClientAddress = Annotated[str, Depends(_client_address)]

"""Pictures from addresses that callers send.

The threats are two. The address may lead to where its sender can't go: that is `mien.public_http`'s
matter. And the server behind it may be hostile or broken: it sends without end, one byte a minute, from one
redirect to the next, or 20 kB that unpack to 20 GB. So there is one deadline for everything, the size is
counted while reading and after unpacking, and what the server says about type and length is believed only
where it makes us stop sooner. The bytes are decoded elsewhere (`mien.images.codec`), by their content.

Messages of errors reach whoever sent the address. They never say what a name resolves to, nor where a
redirect leads.
"""

import asyncio
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from mien.errors import ImageTooLarge, ImageUnreachable
from mien.public_http import AddressRefused, Network, Resolve, public_client

_ACCEPT = "image/jpeg, image/png, image/webp, image/avif, image/heic, image/*;q=0.8, */*;q=0.1"


@dataclass(frozen=True)
class FetchPolicy:
    """What fetching one picture may do and cost.

    `allowed_networks` may be private; they are for development. `deadline` is in seconds, from the first name
    to the last byte, redirects included.
    """

    allowed_networks: tuple[Network, ...] = ()
    max_bytes: int = 20_000_000
    deadline: float = 15.0
    max_redirects: int = 3


async def fetch(
    address: str,
    policy: FetchPolicy | None = None,
    *,
    param: str | None = None,
    resolve: Resolve | None = None,
) -> bytes:
    """Return the bytes behind `address`, whatever they are.

    Raises `ImageUnreachable` and `ImageTooLarge`, with `param`. `resolve` stands in for the system's name
    resolution in tests.
    """
    policy = policy or FetchPolicy()
    subject = f"`{param}`" if param else "the picture"
    try:
        async with (
            asyncio.timeout(policy.deadline),
            public_client(policy.allowed_networks, resolve) as client,
        ):
            return await _follow(client, httpx.URL(address), policy, param)
    except AddressRefused as refusal:
        reason = f"The address of {subject} is refused: {refusal.message}."
        advice = "Send an http or https address that anybody on the internet can open."
        raise ImageUnreachable(f"{reason} {advice}", param=param) from refusal
    except (httpx.InvalidURL, UnicodeError) as error:
        reason = f"The address of {subject} is not valid."
        advice = "Check it for missing parts and stray characters."
        raise ImageUnreachable(f"{reason} {advice}", param=param) from error
    except TimeoutError as error:
        reason = f"Fetching {subject} took more than {policy.deadline:g} seconds."
        advice = "Put it on a faster server, or send a smaller picture."
        raise ImageUnreachable(f"{reason} {advice}", param=param) from error
    except httpx.HTTPError as error:
        reason = f"The server of {subject} can't be reached, or its answer is broken."
        advice = "Check that the address opens in a browser."
        raise ImageUnreachable(f"{reason} {advice}", param=param) from error


async def _follow(client: httpx.AsyncClient, url: httpx.URL, policy: FetchPolicy, param: str | None) -> bytes:
    """Read `url`, or where its redirects lead. Each of them passes the client's checks anew."""
    subject = f"`{param}`" if param else "the picture"
    for _ in range(policy.max_redirects + 1):
        async with client.stream("GET", url, headers={"Accept": _ACCEPT}) as response:
            if not response.has_redirect_location:
                return await _read(response, policy.max_bytes, param)
            target = url.join(response.headers["location"])
        if url.scheme == "https" and target.scheme == "http":
            raise ImageUnreachable(
                f"The server of {subject} redirects from https to http. Send the https address of the "
                "picture itself.",
                param=param,
            )
        url = target
    raise ImageUnreachable(
        f"The server of {subject} redirects more than {policy.max_redirects} times. Send the address of the "
        "picture itself.",
        param=param,
    )


async def _read(response: httpx.Response, max_bytes: int, param: str | None) -> bytes:
    subject = f"`{param}`" if param else "the picture"
    if response.status_code != 200:
        raise ImageUnreachable(
            f"The server answered {response.status_code} for {subject}. Check that the address opens in a "
            "browser without signing in.",
            param=param,
        )
    too_large = ImageTooLarge(
        f"The file of {subject} has more than {max_bytes / 1e6:g} MB. Send a smaller or more strongly "
        "compressed picture.",
        param=param,
    )
    if int(response.headers.get("content-length", 0)) > max_bytes:
        raise too_large
    unpack = _unpacker(response)
    if unpack is None:
        raise ImageUnreachable(
            f"The server compressed {subject} in a way that wasn't asked for. Send the address of a server "
            "that hands out the file as it is.",
            param=param,
        )
    received = 0
    data = bytearray()
    try:
        async for chunk in response.aiter_raw():
            received += len(chunk)
            data += unpack(chunk, max_bytes + 1 - len(data))
            if max(received, len(data)) > max_bytes:
                raise too_large
    except zlib.error as error:
        raise ImageUnreachable(
            f"The server sent {subject} damaged. Check that the address opens in a browser.", param=param
        ) from error
    return bytes(data)


def _unpacker(response: httpx.Response) -> Callable[[bytes, int], bytes] | None:
    """Return what undoes the response's encoding, at most so many bytes at a time; None if nothing does.

    None was asked for, but some servers compress everything.
    """
    match response.headers.get("content-encoding", "identity").strip().lower():
        case "identity" | "":
            return lambda chunk, _: chunk
        case "gzip" | "x-gzip":
            return zlib.decompressobj(wbits=31).decompress
        case _:
            return None

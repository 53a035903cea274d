"""The client for addresses of strangers: what it opens and what it refuses."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.public_http import AddressRefused, Network, is_public, public_client

LOOPBACK = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


def resolving(**names: Sequence[str]) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """A resolver that knows `names`, written with `_` for dots, and takes a literal for itself."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return names.get(host.replace(".", "_")) or [str(ip_address(host))]

    return resolve


@asynccontextmanager
async def listening(
    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", host: str = "127.0.0.1"
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that gives every connection the same answer: its port, and what it was sent."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65536))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, host, 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heard


class TestPublicAddresses:
    @pytest.mark.parametrize(
        "address",
        [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.250",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::10.0.0.1",
            "100::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::",
            "2002:808:808::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fe80::1%eth0",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
        ],
    )
    def test_special_addresses_are_not_public(self, address: str) -> None:
        assert not is_public(ip_address(address))

    @pytest.mark.parametrize(
        "address",
        [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.255.255",
            "172.32.0.1",
            "169.253.255.255",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ],
    )
    def test_addresses_of_the_internet_are_public(self, address: str) -> None:
        assert is_public(ip_address(address))

    @given(st.ip_addresses())
    def test_what_python_takes_for_private_is_never_public(self, address: IPv4Address | IPv6Address) -> None:
        wraps_another = isinstance(address, IPv6Address) and not address.is_global
        if is_public(address) and not wraps_another:
            assert address.is_global
            assert not address.is_multicast

    @given(st.integers(0, 2**32 - 1).map(IPv4Address))
    def test_a_wrapped_address_is_as_public_as_what_it_wraps(self, address: IPv4Address) -> None:
        assert is_public(IPv6Address(f"::ffff:{address}")) == is_public(address)
        assert is_public(IPv6Address(f"64:ff9b::{address}")) == is_public(address)


class TestConnections:
    @pytest.mark.parametrize(
        "addresses",
        [
            ["10.0.0.1"],
            ["93.184.216.34", "10.0.0.1"],
            ["2606:4700::1", "::1"],
            ["::ffff:127.0.0.1"],
            ["fe80::1%eth0"],
        ],
    )
    async def test_a_name_with_any_address_that_is_not_public_is_refused(self, addresses: list[str]) -> None:
        async with public_client(resolve=resolving(pictures_example=addresses)) as client:
            with pytest.raises(AddressRefused, match="not a public address"):
                await client.get("http://pictures.example/")

    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://0/",
            "http://localhost/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[0:0:0:0:0:ffff:7f00:0001]/",
            "http://[64:ff9b::7f00:1]/",
            "http://①②⑦.0.0.1/",
            "http://127。0。0。1/",
        ],
    )
    async def test_no_way_of_writing_this_machine_gets_through(self, url: str) -> None:
        """With the system's own resolver, which knows all of them."""
        async with public_client() as client:
            with pytest.raises((AddressRefused, httpx.ConnectError, httpx.InvalidURL, httpx.TransportError)):
                await client.get(url)

    @pytest.mark.parametrize("url", ["http://93.184.216.34:8080/", "https://pictures.example:22/"])
    async def test_other_ports_of_public_addresses_are_refused(self, url: str) -> None:
        async with public_client(resolve=resolving(pictures_example=["93.184.216.34"])) as client:
            with pytest.raises(AddressRefused, match="neither 80 nor 443"):
                await client.get(url)

    @pytest.mark.parametrize(
        "url", ["ftp://pictures.example/a", "file:///etc/passwd", "gopher://127.0.0.1:70/", "http:///a"]
    )
    async def test_other_schemes_are_refused(self, url: str) -> None:
        async with public_client(LOOPBACK) as client:
            with pytest.raises((AddressRefused, httpx.UnsupportedProtocol)):
                await client.get(url)

    async def test_credentials_in_the_address_are_refused(self) -> None:
        async with public_client(LOOPBACK) as client:
            with pytest.raises(AddressRefused, match="user name"):
                await client.get("http://me:secret@127.0.0.1/")

    async def test_an_allowed_network_is_reached_on_any_port(self) -> None:
        async with listening() as (port, _), public_client(LOOPBACK) as client:
            assert (await client.get(f"http://127.0.0.1:{port}/")).text == "ok"

    async def test_an_allowed_network_covers_mapped_addresses(self) -> None:
        resolve = resolving(pictures_example=["::ffff:127.0.0.1"])
        async with listening() as (port, _), public_client(LOOPBACK, resolve) as client:
            assert (await client.get(f"http://pictures.example:{port}/")).text == "ok"

    async def test_an_allowed_network_opens_no_other(self) -> None:
        networks: tuple[Network, ...] = (IPv4Network("10.1.0.0/16"),)
        async with public_client(networks, resolving(pictures_example=["10.1.0.1", "10.2.0.1"])) as client:
            with pytest.raises(AddressRefused):
                await client.get("http://pictures.example/")

    async def test_the_name_is_resolved_once_and_the_checked_address_is_used(self) -> None:
        """DNS rebinding: the second answer would be another one."""
        asked: list[str] = []

        async def rebinding(host: str, port: int) -> Sequence[str]:
            asked.append(host)
            return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

        async with listening() as (port, heard), public_client(LOOPBACK, rebinding) as client:
            await client.get(f"http://pictures.example:{port}/a?b")
        assert asked == ["pictures.example"]
        assert heard[0].startswith(b"GET /a?b HTTP/1.1\r\n")
        assert f"Host: pictures.example:{port}".encode() in heard[0]

    async def test_a_dead_address_is_followed_by_the_next(self) -> None:
        async with listening(host="127.0.0.2") as (port, _):
            resolve = resolving(pictures_example=["127.0.0.1", "127.0.0.2"])
            async with public_client(LOOPBACK, resolve) as client:
                assert (await client.get(f"http://pictures.example:{port}/")).text == "ok"

    async def test_tls_asks_for_the_name_not_the_address(self) -> None:
        resolve = resolving(pictures_example=["127.0.0.1"])
        async with listening(b"") as (port, heard), public_client(LOOPBACK, resolve) as client:
            with pytest.raises(httpx.TransportError):
                await client.get(f"https://pictures.example:{port}/")
        assert b"pictures.example" in heard[0]  # the server name of the ClientHello

    async def test_a_name_that_cannot_be_resolved_is_a_transport_error(self) -> None:
        async with public_client() as client:
            with pytest.raises(httpx.TransportError, match="can't be resolved"):
                await client.get(f"http://{'a' * 64}.example/")

    async def test_a_refusal_names_the_private_address_to_the_log_only(self) -> None:
        async with public_client(resolve=resolving(pictures_example=["10.9.8.7"])) as client:
            with pytest.raises(AddressRefused) as caught:
                await client.get("http://pictures.example/")
        assert "10.9.8.7" not in caught.value.message
        assert "10.9.8.7" in caught.value.__notes__[0]


class TestRequests:
    async def test_say_who_asks_and_want_no_compression(self) -> None:
        async with listening() as (port, heard), public_client(LOOPBACK) as client:
            await client.get(f"http://127.0.0.1:{port}/")
        assert b"\r\nUser-Agent: mien/" in heard[0]
        assert b"\r\nAccept-Encoding: identity\r\n" in heard[0]

    async def test_ignore_proxies_and_passwords_of_the_environment(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        async with listening() as (port, _), public_client(LOOPBACK) as client:
            assert (await client.get(f"http://127.0.0.1:{port}/")).text == "ok"

    async def test_keep_no_cookies(self) -> None:
        answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 2\r\n\r\nok"
        async with listening(answer) as (port, heard), public_client(LOOPBACK) as client:
            await client.get(f"http://127.0.0.1:{port}/")
            await client.get(f"http://127.0.0.1:{port}/")
        assert len(heard) == 2
        assert b"cookie" not in heard[1].lower()

    async def test_follow_no_redirects_by_themselves(self) -> None:
        answer = b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n"
        async with listening(answer) as (port, _), public_client(LOOPBACK) as client:
            assert (await client.get(f"http://127.0.0.1:{port}/")).status_code == 302

    async def test_can_send_a_body(self) -> None:
        async with listening() as (port, heard), public_client(LOOPBACK) as client:
            await client.post(f"http://127.0.0.1:{port}/hook", json={"done": True})
        assert heard[0].endswith(b'{"done":true}')

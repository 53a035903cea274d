"""Fetching pictures from a server on this machine that behaves in every bad way we could think of."""

import asyncio
import gzip
import socket
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Network

import pytest

from mien.errors import ImageTooLarge, ImageUnreachable, TaskError
from mien.images.fetch import FetchPolicy, fetch

LOCAL = FetchPolicy(allowed_networks=(IPv4Network("127.0.0.1/32"),), max_bytes=100_000, deadline=5)

Handler = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


def answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    lines = {
        "Content-Length": str(len(body)),
        **{name.replace("_", "-"): text for name, text in headers.items()},
    }
    head = "".join(f"{name}: {text}\r\n" for name, text in lines.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


@asynccontextmanager
async def serving(handler: Handler | bytes) -> AsyncIterator[str]:
    """A server that leaves each request to `handler`, or answers all with the same bytes: its address."""
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            if isinstance(handler, bytes):
                writer.write(handler)
            else:
                await handler(request.split(b" ")[1].decode(), writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            connections.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}"
        for task in connections:
            task.cancel()


async def refusal(
    address: str,
    policy: FetchPolicy = LOCAL,
    resolve: Callable[[str, int], Awaitable[Sequence[str]]] | None = None,
) -> TaskError:
    """The error of a fetch that must fail, whose message has been checked to be fit for the public."""
    with pytest.raises(TaskError) as caught:
        await fetch(address, policy, param="face_image", resolve=resolve)
    error = caught.value
    assert error.param == "face_image"
    assert "`face_image`" in error.message
    assert error.message.endswith(".")
    assert "127.0.0.1" not in error.message
    assert "10.0.0." not in error.message
    return error


class TestFetch:
    async def test_returns_the_bytes_whatever_the_server_calls_them(self) -> None:
        async with serving(answer(b"\x89PNG", Content_Type="text/html")) as address:
            assert await fetch(address, LOCAL) == b"\x89PNG"

    async def test_chunks_and_bodies_without_a_length_are_read_to_the_end(self) -> None:
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        async with serving(chunked) as address:
            assert await fetch(address, LOCAL) == b"abcde"
        async with serving(b"HTTP/1.0 200 OK\r\n\r\nabcde") as address:
            assert await fetch(address, LOCAL) == b"abcde"

    async def test_exactly_the_limit_is_accepted(self) -> None:
        async with serving(answer(bytes(100_000))) as address:
            assert len(await fetch(address, LOCAL)) == 100_000

    async def test_gzip_that_was_not_asked_for_is_unpacked(self) -> None:
        async with serving(answer(gzip.compress(b"picture" * 99), Content_Encoding="GZip")) as address:
            assert await fetch(address, LOCAL) == b"picture" * 99

    async def test_many_at_once_do_not_wait_for_each_other(self) -> None:
        async def slow(path: str, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.2)
            writer.write(answer(path.encode()))

        async with serving(slow) as address:
            begin = time.monotonic()
            bodies = await asyncio.gather(*(fetch(f"{address}/{n}", LOCAL) for n in range(10)))
        assert bodies == [f"/{n}".encode() for n in range(10)]
        assert time.monotonic() - begin < 1.5


class TestAddresses:
    async def test_a_private_address_is_refused_without_saying_more(self) -> None:
        error = await refusal("http://127.0.0.1/", FetchPolicy())
        assert isinstance(error, ImageUnreachable)
        assert "is not a public address" in error.message

    async def test_a_name_with_public_and_private_addresses_is_refused(self) -> None:
        async def mixed(host: str, port: int) -> Sequence[str]:
            return ["93.184.216.34", "10.0.0.1"]

        error = await refusal("http://pictures.example/", FetchPolicy(), mixed)
        assert "is not a public address" in error.message
        assert "93.184.216.34" not in error.message

    @pytest.mark.parametrize(
        ("address", "words"),
        [
            ("http://me:secret@127.0.0.1/", "user name or password"),
            ("http://me@127.0.0.1/", "user name or password"),
            ("ftp://127.0.0.1/a.jpg", "not an http or https address"),
            ("file:///etc/passwd", "not an http or https address"),
            ("a.jpg", "not an http or https address"),
            ("", "not an http or https address"),
            ("http://", "not an http or https address"),
            ("http://[::1/", "not valid"),
            ("http://a:port/", "not valid"),
            ("http://127.0.0.1:99999/", "port does not exist"),
            ("http://a\x00b/", "not valid"),
        ],
    )
    async def test_odd_addresses_are_refused_with_the_reason(self, address: str, words: str) -> None:
        error = await refusal(address)
        assert isinstance(error, ImageUnreachable)
        assert words in error.message
        assert "secret" not in error.message

    async def test_a_port_that_is_not_the_webs_is_refused(self) -> None:
        async def public(host: str, port: int) -> Sequence[str]:
            return ["93.184.216.34"]

        error = await refusal("http://pictures.example:6379/", FetchPolicy(), public)
        assert "neither 80 nor 443" in error.message

    async def test_a_name_that_nobody_knows(self) -> None:
        async def unknown(host: str, port: int) -> Sequence[str]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        error = await refusal("http://nowhere.example/a.jpg", LOCAL, unknown)
        assert "can't be reached" in error.message

    async def test_a_port_where_nobody_listens(self) -> None:
        async with serving(b"") as address:
            pass
        assert "can't be reached" in (await refusal(address)).message


class TestRedirects:
    async def test_are_followed_up_to_three_times(self) -> None:
        async def hops(path: str, writer: asyncio.StreamWriter) -> None:
            left = int(path.lstrip("/"))
            hop = answer(status="302 Found", Location=f"/{left - 1}")
            writer.write(hop if left else answer(b"picture"))

        async with serving(hops) as address:
            assert await fetch(f"{address}/3", LOCAL) == b"picture"
            assert "more than 3 times" in (await refusal(f"{address}/4")).message

    async def test_in_a_loop_end(self) -> None:
        async with serving(answer(status="301 Moved Permanently", Location="/")) as address:
            assert "more than 3 times" in (await refusal(address)).message

    @pytest.mark.parametrize(
        "location",
        [
            "http://10.0.0.1/",
            "http://127.0.0.2/",
            "//127.0.0.2/",
            "http://169.254.169.254/latest/meta-data/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://2130706434/",
        ],
    )
    @pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Same", "308 Same"])
    async def test_a_redirect_to_a_private_address_is_refused(self, location: str, status: str) -> None:
        async with serving(answer(status=status, Location=location)) as address:
            assert "is not a public address" in (await refusal(address)).message

    async def test_a_redirect_to_a_name_that_became_private_is_refused(self) -> None:
        """The first answer of the resolver leads here, the second to a private network."""
        asked: list[str] = []

        async def rebinding(host: str, port: int) -> Sequence[str]:
            asked.append(host)
            return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

        async with serving(answer(status="302 Found", Location="/again", Connection="close")) as address:
            port = address.rpartition(":")[2]
            error = await refusal(f"http://pictures.example:{port}/", LOCAL, rebinding)
        assert asked == ["pictures.example"] * 2
        assert "is not a public address" in error.message

    @pytest.mark.parametrize(
        "location", ["ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1:70/_x"]
    )
    async def test_to_another_scheme_is_refused(self, location: str) -> None:
        async with serving(answer(status="302 Found", Location=location)) as address:
            assert "not an http or https address" in (await refusal(address)).message

    async def test_to_an_invalid_address_is_refused(self) -> None:
        for location in ("http://[", "javascript:alert(1)", "\\\\a:b:c"):
            async with serving(answer(status="302 Found", Location=location)) as address:
                assert isinstance(await refusal(address), ImageUnreachable)

    async def test_without_a_target_is_just_an_answer(self) -> None:
        async with serving(answer(status="302 Found")) as address:
            assert "answered 302" in (await refusal(address)).message


class TestAnswers:
    @pytest.mark.parametrize(
        "status", ["404 Not Found", "403 Forbidden", "500 Oops", "204 No Content", "304 Same"]
    )
    async def test_other_than_200_are_passed_on(self, status: str) -> None:
        async with serving(f"HTTP/1.1 {status}\r\n\r\n".encode()) as address:
            error = await refusal(address)
        assert isinstance(error, ImageUnreachable)
        assert f"The server answered {status[:3]} for `face_image`." in error.message

    @pytest.mark.parametrize(
        "rubbish",
        [
            b"",
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nfar too short",
            b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000,
        ],
    )
    async def test_that_are_no_http_are_unreachable(self, rubbish: bytes) -> None:
        async with serving(rubbish) as address:
            assert "can't be reached, or its answer is broken" in (await refusal(address)).message

    async def test_that_announce_too_much_are_refused_at_once(self) -> None:
        async def announce(path: str, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(30)

        async with serving(announce) as address:
            begin = time.monotonic()
            error = await refusal(address)
        assert isinstance(error, ImageTooLarge)
        assert "more than 0.1 MB" in error.message
        assert time.monotonic() - begin < 2

    async def test_that_never_end_are_cut_off_at_the_limit(self) -> None:
        sent = 0

        async def endless(path: str, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while sent < 100_000_000:
                writer.write(bytes(10_000))
                await writer.drain()
                sent += 10_000

        async with serving(endless) as address:
            assert isinstance(await refusal(address), ImageTooLarge)
        assert sent < 20_000_000  # what the sockets' buffers swallow

    @pytest.mark.parametrize("pause", [0.0, 0.05])
    async def test_that_trickle_past_the_deadline_are_given_up(self, pause: float) -> None:
        async def trickle(path: str, writer: asyncio.StreamWriter) -> None:
            if pause:
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                if pause:
                    writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(pause or 60)

        policy = FetchPolicy(allowed_networks=LOCAL.allowed_networks, deadline=0.4)
        async with serving(trickle) as address:
            begin = time.monotonic()
            error = await refusal(address, policy)
        assert isinstance(error, ImageUnreachable)
        assert "took more than 0.4 seconds" in error.message
        assert 0.3 < time.monotonic() - begin < 2

    async def test_the_deadline_covers_all_redirects_together(self) -> None:
        async def dawdle(path: str, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.2)
            writer.write(answer(status="302 Found", Location=f"{path}a"))

        policy = FetchPolicy(allowed_networks=LOCAL.allowed_networks, deadline=0.5)
        async with serving(dawdle) as address:
            assert "took more than 0.5 seconds" in (await refusal(f"{address}/", policy)).message

    async def test_the_deadline_covers_the_resolver(self) -> None:
        async def asleep(host: str, port: int) -> Sequence[str]:
            await asyncio.sleep(60)
            return []

        policy = FetchPolicy(deadline=0.2)
        assert (
            "took more than 0.2 seconds"
            in (await refusal("http://pictures.example/", policy, asleep)).message
        )

    async def test_that_unpack_to_too_much_are_cut_off(self) -> None:
        bomb = gzip.compress(bytes(50_000_000))
        assert len(bomb) < 100_000
        async with serving(answer(bomb, Content_Encoding="gzip")) as address:
            assert isinstance(await refusal(address), ImageTooLarge)

    @pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip, gzip", "nonsense"])
    async def test_in_other_encodings_are_refused(self, encoding: str) -> None:
        async with serving(answer(zlib.compress(b"a"), Content_Encoding=encoding)) as address:
            assert "in a way that wasn't asked for" in (await refusal(address)).message

    async def test_with_broken_gzip_are_refused(self) -> None:
        async with serving(answer(b"no gzip at all", Content_Encoding="gzip")) as address:
            assert "damaged" in (await refusal(address)).message


async def test_canceling_a_fetch_closes_its_connection() -> None:
    closed = asyncio.Event()

    async def wait(path: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 100)
                await writer.drain()
                await asyncio.sleep(0.01)
        finally:
            closed.set()

    async with serving(wait) as address:
        task = asyncio.create_task(fetch(address, LOCAL))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(3):
            await closed.wait()

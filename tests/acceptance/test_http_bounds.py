"""How large and how slow the head of a request may be, and how many connections there are: on real sockets."""

import asyncio
import ssl

import pytest

from commandpost.northbound.http_protocol import BUSY_CONNECTIONS_MAX
from tests.acceptance.certificates import write_certificate
from tests.acceptance.http_door import LARGE, LARGE_BYTES, PATIENCE_S, REQUEST, door
from tests.event_loop import on_event_loop


@pytest.mark.parametrize(
    "head",
    [
        b"GET /x HTTP/1.1\r\nx: " + b"a" * 40_000,
        b"GET /x HTTP/1.1\r\nx: " + b"a" * 33_000 + b"\r\n\r\n",
        b"GET /x HTTP/1.1\r\n" + b"x" * 200_000,
        b"GET /" + b"x" * 200_000,
        b"GET /" + b"x" * 33_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /x HTTP/1.1\r\n" + b"x-1: " + b"a" * 20_000 + b"\r\nx-2: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET /x HTTP/1.1\r\n" + b"x: a\r\n" * 101 + b"\r\n",
    ],
    ids=["endless value", "long value", "endless name", "endless path", "long path", "in sum", "many headers"],
)
@on_event_loop
async def test_header_flood_is_refused_with_431(head: bytes) -> None:
    """At most 32 KiB and 100 headers; the sender gets to see why, and is not listened to any more."""
    async with door() as visit:
        visitor = await visit()

        visitor.send(head)

        assert await visitor.refusal() == (431, 5)
        assert await visitor.is_closed()


@on_event_loop
async def test_header_flood_that_goes_on_is_cut_off() -> None:
    """Whoever sends 64 MB of header gets rid of a few: what is held for him is bounded."""
    async with door() as visit:
        visitor = await visit()
        visitor.send(b"GET /x HTTP/1.1\r\nx: ")
        sent = 0
        with pytest.raises(ConnectionError):
            while sent < 64_000_000:
                visitor.send(b"a" * 65_536)
                await visitor.writer.drain()
                sent += 65_536

        assert sent < 32_000_000


@on_event_loop
async def test_a_head_at_its_bound_is_served() -> None:
    """In one piece or in many, and with a large body behind it."""
    head = b"POST /x HTTP/1.1\r\ncontent-length: 500000\r\nx: " + b"a" * 32_700 + b"\r\n\r\n"
    async with door() as visit:
        for size in (1_000_000, 10_000):
            visitor = await visit()
            whole = head + b"b" * 500_000
            for at in range(0, len(whole), size):
                visitor.send(whole[at : at + size])
                await visitor.writer.drain()

            assert (await visitor.answer())[0] == 200


@on_event_loop
async def test_slow_head_is_refused_with_408() -> None:
    """From the first byte on; bytes that drip in buy no time."""
    async with door(head_s=0.2) as visit:
        visitor = await visit()
        visitor.send(b"GET /x HTTP/1.1\r\nx: ")

        async def drip() -> None:
            while True:
                visitor.send(b"a")
                await asyncio.sleep(0.02)

        dripping = asyncio.ensure_future(drip())

        assert await visitor.refusal() == (408, 14)
        dripping.cancel()


@pytest.mark.parametrize("said", [b"", b"\r\n\r\n\r\n"], ids=["nothing", "empty lines"])
@on_event_loop
async def test_a_silent_connection_is_closed(said: bytes) -> None:
    """Without an answer: nothing was asked."""
    async with door(silence_s=0.1) as visit:
        visitor = await visit()
        visitor.send(said)

        assert await visitor.is_closed()


@on_event_loop
async def test_slow_head_of_a_second_request_counts_too() -> None:
    """Each head has its own time, and the first answer stands."""
    async with door(head_s=0.1) as visit:
        visitor = await visit()
        visitor.send(REQUEST + b"GET /y HT")

        assert (await visitor.answer())[0] == 200
        assert await visitor.refusal() == (408, 14)


@on_event_loop
async def test_requests_written_ahead_are_answered_in_order_up_to_a_bound() -> None:
    """Those before the bound are answered, then the connection ends."""
    async with door(pipelined_max=4) as visit:
        visitor = await visit()
        visitor.send(REQUEST * 50)

        answers = [await visitor.answer() for _ in range(5)]
        assert [status for status, _, _ in answers] == [200] * 5
        assert await visitor.is_closed()


@pytest.mark.parametrize(
    "body",
    [
        b"1;" + b"e" * 300_000,
        b"1\r\nx\r\n0\r\nt: " + b"a" * 300_000,
        b"1\r\nx\r\n0\r\n" + b"t: a\r\n" * 50_000 + b"\r\n",
    ],
    ids=["endless extension", "endless trailer", "many trailers"],
)
@on_event_loop
async def test_padding_of_chunks_is_bounded(body: bytes) -> None:
    """Extensions and trailers are no way around the bound of the head."""
    async with door() as visit:
        visitor = await visit()

        visitor.send(b"POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + body)

        assert (await visitor.refusal())[0] in (400, 431)


@on_event_loop
async def test_many_small_chunks_are_a_body_all_the_same() -> None:
    """Whoever writes byte by byte is slow, not hostile."""
    async with door() as visit:
        visitor = await visit()

        visitor.send(b"POST /x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n")

        assert (await visitor.answer())[0] == 200


@on_event_loop
async def test_a_connection_too_many_takes_the_place_of_a_silent_one() -> None:
    """Idle sockets of nobody keep no application out."""
    async with door(connections_max=2) as visit:
        silent, asking = await visit(), await visit()
        asking.send(REQUEST)
        assert (await asking.answer())[0] == 200

        third = await visit()
        third.send(REQUEST)

        assert (await third.answer())[0] == 200
        assert await silent.is_closed()


@on_event_loop
async def test_a_connection_too_many_is_told_so_in_an_envelope() -> None:
    """503, and closed; connections that were there stay."""
    async with door(connections_max=1) as visit:
        first = await visit()
        first.send(REQUEST)
        await first.answer()

        for path, errno in ((b"/nbiot", 7), (b"/devices", 1)):
            second = await visit()
            second.send(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await second.refusal() == (503, errno)
            assert await second.is_closed()
        first.send(REQUEST)
        assert (await first.answer())[0] == 200


@on_event_loop
async def test_a_flood_of_connections_leaves_no_more_than_its_bound() -> None:
    """Those beyond are cut off unheard, and room that comes free is given out."""
    async with door(connections_max=1) as visit:
        first = await visit()
        first.send(REQUEST + b"GET /y")  # in a head: neither silent nor idle
        await first.answer()
        flood = [await visit() for _ in range(BUSY_CONNECTIONS_MAX + 20)]
        for each in flood:
            each.send(b"GET /y HT")
        first.send(b" HTTP/1.1\r\n\r\n")

        assert (await first.answer())[0] == 200
        first.writer.close()
        for each in flood:
            each.writer.transport.abort()
        async with asyncio.timeout(PATIENCE_S):
            while True:
                late = await visit()
                late.send(REQUEST)
                if (await late.answer())[0] == 200:
                    break


@on_event_loop
async def test_bytes_that_are_no_http_are_answered_in_an_envelope() -> None:
    """400, as everything else that is refused."""
    async with door() as visit:
        visitor = await visit()

        visitor.send(b"\x16\x03\x01\x02\x00\x01\r\n\r\n")

        assert await visitor.refusal() == (400, 6)


@pytest.mark.parametrize(
    ("requests", "keep_alive_s"),
    [(LARGE + b"\r\n" + REQUEST * 60, 5), (LARGE + b"connection: close\r\n\r\n", 5), (LARGE + b"\r\n", 0)],
    ids=["asks ahead", "asks for the end", "asks once"],
)
@on_event_loop
async def test_a_caller_that_takes_nothing_keeps_no_place(requests: bytes, keep_alive_s: int) -> None:
    """Whatever there is to write to him yet: his place is another's soon."""
    async with door(connections_max=1, stall_s=0.2, keep_alive_s=keep_alive_s) as visit:
        hostile = await visit()
        hostile.writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's own can
        hostile.send(requests)

        async with asyncio.timeout(PATIENCE_S):
            while True:
                other = await visit()
                other.send(REQUEST)
                if (await other.answer())[0] == 200:
                    break
                await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "requests", [(LARGE + b"\r\n") * 3, LARGE + b"connection: close\r\n\r\n"], ids=["asks ahead", "asks for the end"]
)
@on_event_loop
async def test_a_caller_that_takes_nothing_over_tls_keeps_no_place_either(
    requests: bytes, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """Though what lies between the two layers of a stream is seen by nobody."""
    ours, theirs = tls
    async with door(tls=ours, connections_max=1, stall_s=0.2) as visit:
        hostile = await visit()
        await hostile.writer.start_tls(theirs, server_hostname="127.0.0.1")
        hostile.writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's own can
        hostile.send(requests)

        async with asyncio.timeout(PATIENCE_S):
            while True:
                other = await visit()
                await other.writer.start_tls(theirs, server_hostname="127.0.0.1")
                other.send(REQUEST)
                if (await other.answer())[0] == 200:
                    break
                await asyncio.sleep(0.02)


@on_event_loop
async def test_a_caller_that_takes_little_at_a_time_gets_all() -> None:
    """A slow line is no hostility: it took several times as long as one may take nothing."""
    loop = asyncio.get_running_loop()
    async with door(stall_s=0.4) as visit:
        visitor = await visit()
        visitor.send(LARGE + b"\r\n")
        begun, taken = loop.time(), 0
        await visitor.reader.readuntil(b"\r\n\r\n")
        while taken < LARGE_BYTES:
            taken += len(await visitor.reader.readexactly(LARGE_BYTES // 32))
            await asyncio.sleep(0.04)

        assert loop.time() - begun > 3 * 0.4
        visitor.send(REQUEST)
        assert (await visitor.answer())[2] == b"ok"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context, and that of a client which trusts it."""
    certificate, key = write_certificate(tmp_path_factory.mktemp("bounds"), "first")
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(certificate, key)
    return ours, ssl.create_default_context(cafile=certificate)


@on_event_loop
async def test_a_flood_of_unfinished_handshakes_keeps_nobody_out(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """They are counted from the accept: the oldest go, and one that does shake hands is served."""
    ours, theirs = tls
    async with door(tls=ours, connections_max=5) as visit:
        flood = [await visit() for _ in range(40)]
        for each in flood[:35]:
            assert await each.is_closed()

        client = await visit()
        await client.writer.start_tls(theirs, server_hostname="127.0.0.1")
        client.send(REQUEST)

        assert (await client.answer())[2] == b"ok"
        assert not flood[-1].reader.at_eof()


@on_event_loop
async def test_a_handshake_without_end_is_ended(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """A first record that never becomes whole buys no time."""
    async with door(tls=tls[0], handshake_s=0.1) as visit:
        visitor = await visit()
        visitor.send(b"\x16\x03\x01\x02\x00\x01")

        assert await visitor.is_closed()


@on_event_loop
async def test_a_connection_too_many_is_told_so_over_tls(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """503, after its handshake; the one that was there stays."""
    ours, theirs = tls
    async with door(tls=ours, connections_max=1) as visit:
        first = await visit()
        await first.writer.start_tls(theirs, server_hostname="127.0.0.1")
        first.send(REQUEST)
        await first.answer()
        second = await visit()
        await second.writer.start_tls(theirs, server_hostname="127.0.0.1")
        second.send(REQUEST)

        assert (await second.refusal())[0] == 503
        first.send(REQUEST)
        assert (await first.answer())[0] == 200


@on_event_loop
async def test_silence_after_the_handshake_is_counted_from_the_accept(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    """A handshake done in time buys no more of it."""
    ours, theirs = tls
    async with door(tls=ours, handshake_s=0.2, silence_s=0.4) as visit:
        begun = asyncio.get_running_loop().time()
        visitor = await visit()
        await visitor.writer.start_tls(theirs, server_hostname="127.0.0.1")

        assert await visitor.is_closed()
        assert asyncio.get_running_loop().time() - begun > 0.39

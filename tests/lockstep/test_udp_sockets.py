"""Real UDP sockets on the loopback: bound, drained, and never in the way."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from commandpost.domain.session import Remote
from commandpost.southbound.coap_links import CoapLinks
from commandpost.southbound.coap_udp import DATAGRAM_BYTES_MAX, DRAIN_MAX, CoapUdpLink
from commandpost.southbound.remote import decode_remote, encode_remote, listener_of

WAIT_S = 10.0


class Inbox:
    """Keeps what arrives."""

    def __init__(self) -> None:
        self.datagrams: list[tuple[Remote, bytes]] = []
        self._changed = asyncio.Event()

    def take(self, remote: Remote, datagram: bytes) -> None:
        self.datagrams.append((remote, datagram))
        self._changed.set()

    async def wait_for(self, is_enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not is_enough():
                self._changed.clear()
                await self._changed.wait()


class Events:
    def __init__(self) -> None:
        self.names: list[str] = []

    def emit(self, event: str, **fields: object) -> None:
        self.names.append(event)


@asynccontextmanager
async def bound(
    host: str = "127.0.0.1", *, listener: int = 0, events: Events | None = None
) -> AsyncIterator[CoapUdpLink]:
    link = CoapUdpLink.bind(
        loop=asyncio.get_running_loop(), host=host, port=0, events=events or Events(), listener=listener
    )
    try:
        yield link
    finally:
        link.close()


def peer(family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    udp_socket = socket.socket(family, socket.SOCK_DGRAM)
    udp_socket.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
    udp_socket.settimeout(WAIT_S)
    return udp_socket


@pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
def test_a_datagram_comes_and_its_answer_goes_back(host: str, family: socket.AddressFamily) -> None:
    """Both address families; the remote is that of the peer."""

    async def scenario() -> None:
        async with bound(host) as link:
            inbox = Inbox()
            link.listen(inbox.take)
            with peer(family) as device:
                device.sendto(b"ping", link.local_address)
                await inbox.wait_for(lambda: bool(inbox.datagrams))
                remote, datagram = inbox.datagrams[0]
                link.send(remote, b"pong")

                assert datagram == b"ping"
                assert decode_remote(remote)[:2] == device.getsockname()[:2]
                assert device.recv(100) == b"pong"

    asyncio.run(scenario())


def test_a_burst_is_drained_in_several_turns() -> None:
    """At most 64 datagrams a wake-up, so that everything else gets its turn; none is left behind."""

    async def scenario() -> None:
        async with bound() as link:
            inbox = Inbox()
            with peer() as device:
                for number in range(3 * DRAIN_MAX):
                    device.sendto(number.to_bytes(2, "big"), link.local_address)
                link.listen(inbox.take)
                await inbox.wait_for(lambda: bool(inbox.datagrams))
                assert len(inbox.datagrams) <= DRAIN_MAX
                await inbox.wait_for(lambda: len(inbox.datagrams) == 3 * DRAIN_MAX)

            assert [datagram for _, datagram in inbox.datagrams] == [
                number.to_bytes(2, "big") for number in range(3 * DRAIN_MAX)
            ]

    asyncio.run(scenario())


def test_what_the_kernel_will_not_send_is_lost_and_told_seldom() -> None:
    """Too large, unreachable, or for another transport: a loss each, a log line at 1, 2, 4, 8, …"""
    events = Events()

    async def scenario() -> None:
        async with bound(events=events) as link:
            inbox = Inbox()
            link.listen(inbox.take)
            with peer() as device:
                remote = encode_remote(device.getsockname())
                link.send(remote, bytes(70_000))
                link.send(Remote(b"of another transport"), b"x")
                for _ in range(7):
                    link.send(encode_remote(("::1", 9, 0, 0)), b"wrong family")
                link.send(remote, b"still works")

                assert device.recv(100) == b"still works"
            assert (link.sends_lost, link.datagrams_sent) == (9, 1)

    asyncio.run(scenario())
    assert events.names == ["coap_send_lost"] * 4


def test_refused_by_the_peer_is_a_loss() -> None:
    """A device whose port is closed answers with ICMP; the socket goes on working."""

    async def scenario() -> None:
        async with bound() as link:
            inbox = Inbox()
            link.listen(inbox.take)
            with peer() as gone:
                nowhere = encode_remote(gone.getsockname())
            for _ in range(3):
                link.send(nowhere, b"anybody")
            with peer() as device:
                device.sendto(b"here", link.local_address)
                await inbox.wait_for(lambda: bool(inbox.datagrams))
            assert inbox.datagrams[0][1] == b"here"

    asyncio.run(scenario())


def test_an_oversized_datagram_is_dropped_whole() -> None:
    """Never a datagram that was cut without anybody noticing."""

    async def scenario() -> None:
        async with bound() as link:
            inbox = Inbox()
            link.listen(inbox.take)
            with peer() as device:
                device.sendto(bytes(DATAGRAM_BYTES_MAX + 1), link.local_address)
                device.sendto(bytes(DATAGRAM_BYTES_MAX), link.local_address)
                await inbox.wait_for(lambda: bool(inbox.datagrams))
            assert [len(datagram) for _, datagram in inbox.datagrams] == [DATAGRAM_BYTES_MAX]
            assert link.oversized == 1

    asyncio.run(scenario())


def test_answers_leave_from_the_listener_that_heard_the_peer() -> None:
    """A NAT lets nothing else through."""

    async def scenario() -> None:
        async with bound(listener=0) as first, bound(listener=1) as second:
            links = CoapLinks([first, second])
            inbox = Inbox()
            links.listen(inbox.take)
            with peer() as device:
                device.sendto(b"1", second.local_address)
                await inbox.wait_for(lambda: bool(inbox.datagrams))
                remote = inbox.datagrams[0][0]
                links.send(remote, b"answer")

                assert listener_of(remote) == 1
                assert device.recvfrom(100) == (b"answer", second.local_address)
            links.send(encode_remote(("127.0.0.1", 9), listener=5), b"no such listener")

    asyncio.run(scenario())


def test_a_taken_port_is_an_error_at_once() -> None:
    """The operator is told, not the first device."""

    async def scenario() -> None:
        async with bound() as link:
            with pytest.raises(OSError):
                CoapUdpLink.bind(
                    loop=asyncio.get_running_loop(), host="127.0.0.1", port=link.local_address[1], events=Events()
                )

    asyncio.run(scenario())


def test_after_closing_nothing_is_sent_and_nothing_raises() -> None:
    """Timers may still fire while a server stops."""

    async def scenario() -> None:
        async with bound() as link:
            link.listen(Inbox().take)
            with peer() as device:
                remote = encode_remote(device.getsockname())
                link.close()
                link.send(remote, b"x")
                link.close()
            assert link.datagrams_sent == 0

    asyncio.run(scenario())


def test_the_granted_receive_buffer_is_reported() -> None:
    """`doctor` says what the kernel gave, whatever was asked for."""

    async def scenario() -> int:
        async with bound() as link:
            return link.receive_buffer_bytes

    assert asyncio.run(scenario()) > 0

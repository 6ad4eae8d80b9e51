"""CoAP's UDP sockets: bound, drained in bulk, never blocking.

Here: `CoapUdpLink`, one socket as a `DatagramLink`. Not here: several as one (coap_links), what the datagrams say
(protocols/coap, protocols/dtls), and when they are sent again (the driver). asyncio's own datagram protocol is not
used: a reader that drains the socket takes eight times as many datagrams a second (design 5).
"""

import socket
from asyncio import AbstractEventLoop
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final

from commandpost.domain.ports import EventSink
from commandpost.domain.session import Remote
from commandpost.southbound.remote import SocketAddress, decode_remote, encode_remote

DATAGRAM_BYTES_MAX: Final = 8_192  # a block of 1,024 bytes with options; generous for clients without block-wise
DRAIN_MAX: Final = 64  # datagrams per wake-up, so that HTTP and timers get their turn in a storm (design 5)
RECEIVE_BUFFER_BYTES: Final = 4_194_304  # about 10,000 small datagrams; the kernel may grant less
REMOTES_REMEMBERED_MAX: Final = 16_384  # a memo of a pure function, about 4 MB; what is forgotten is computed again


class CoapUdpLink:
    """One bound UDP socket. A send that fails is a datagram that was lost: CoAP has to live with those anyway."""

    def __init__(
        self, *, loop: AbstractEventLoop, udp_socket: socket.socket, events: EventSink, listener: int = 0
    ) -> None:
        """Take over a bound socket; `bind` makes one."""
        udp_socket.setblocking(False)
        self._loop = loop
        self._socket = udp_socket
        self._events = events
        self._listener = listener
        self._receiver: Callable[[Remote, bytes], object] | None = None
        self._encode: Callable[[SocketAddress], Remote] = lru_cache(REMOTES_REMEMBERED_MAX)(
            partial(encode_remote, listener=listener)
        )
        self._decode: Callable[[Remote], SocketAddress] = lru_cache(REMOTES_REMEMBERED_MAX)(self._decode_own)
        self._is_closed = False
        self.datagrams_received = 0
        self.datagrams_sent = 0
        self.sends_lost = 0
        """Datagrams the kernel would not take: full buffer, unreachable, refused, too large."""
        self.oversized = 0
        """Datagrams over DATAGRAM_BYTES_MAX, dropped whole."""

    @classmethod
    def bind(
        cls,
        *,
        loop: AbstractEventLoop,
        host: str,
        port: int,
        events: EventSink,
        listener: int = 0,
        receive_buffer_bytes: int = RECEIVE_BUFFER_BYTES,
    ) -> "CoapUdpLink":
        """Bind a socket to a host and port; port 0 takes any free one.

        An IPv6 socket takes IPv6 only, so that every peer has one `Remote`; for both families bind two.

        Raises:
            OSError: the name cannot be resolved, or the address cannot be bound.
        """
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        udp_socket = socket.socket(family, kind, protocol)
        try:
            if family == socket.AF_INET6:
                udp_socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            udp_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
            udp_socket.bind(address)
        except OSError:
            udp_socket.close()
            raise
        return cls(loop=loop, udp_socket=udp_socket, events=events, listener=listener)

    @property
    def listener(self) -> int:
        """The number that stands in every `Remote` of this socket."""
        return self._listener

    @property
    def local_address(self) -> tuple[str, int]:
        """The host and port that are bound, the port as the system chose it."""
        name = self._socket.getsockname()
        return name[0], name[1]

    @property
    def receive_buffer_bytes(self) -> int:
        """What the kernel granted; Linux counts its own bookkeeping in and reports twice what was set."""
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    def listen(self, receiver: Callable[[Remote, bytes], object]) -> None:
        """Begin to receive; once."""
        assert self._receiver is None, "a link has one receiver"
        self._receiver = receiver
        self._loop.add_reader(self._socket.fileno(), self._drain, receiver)

    def send(self, remote: Remote, datagram: bytes) -> None:
        """Send now, or lose the datagram."""
        if self._is_closed:
            return
        try:
            self._socket.sendto(datagram, self._decode(remote))
        except (OSError, ValueError) as error:
            # EAGAIN, ENOBUFS, EMSGSIZE, ENETUNREACH, an ICMP refusal of an earlier datagram; or a Remote from another
            # transport, stored by an earlier run with other listeners. All of them are losses.
            self._lose(error)
        else:
            self.datagrams_sent += 1

    def close(self) -> None:
        """Stop receiving and free the port; what is sent afterwards is lost."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._receiver is not None:
            self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _decode_own(self, remote: Remote) -> SocketAddress:
        address = decode_remote(remote)
        if (len(address) == 2) != (self._socket.family == socket.AF_INET):
            raise ValueError("a remote of the other address family")
        return address

    def _drain(self, receiver: Callable[[Remote, bytes], object]) -> None:
        receive = self._socket.recvfrom
        for _ in range(DRAIN_MAX):
            if self._is_closed:
                return
            try:
                datagram, address = receive(DATAGRAM_BYTES_MAX + 1)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._lose(error)  # some systems report an ICMP refusal of an earlier datagram here
                continue
            self.datagrams_received += 1
            if len(datagram) > DATAGRAM_BYTES_MAX:
                self.oversized += 1
                continue
            receiver(self._encode(address), datagram)

    def _lose(self, error: Exception) -> None:
        self.sends_lost += 1
        # Told at 1, 2, 4, 8, …: a storm of losses is one fact, not a storm of log lines.
        if self.sends_lost & (self.sends_lost - 1) == 0:
            self._events.emit("coap_send_lost", listener=self._listener, error=str(error), times=self.sends_lost)

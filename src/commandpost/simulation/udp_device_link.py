"""One simulated device's own UDP socket, so that it has its own source port; and how many of them a process may open.

The socket is connected: the kernel drops what does not come from the server. Loss is injected here, so that a lossy
network needs no tools. Not here: what the datagrams say.
"""

import resource
import socket
from asyncio import AbstractEventLoop
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from commandpost.domain.session import Remote
from commandpost.simulation.fleet_settings import FleetError

DATAGRAM_BYTES_MAX: Final = 2_048  # a block of 1,024 bytes with options; a module takes 512
DRAIN_MAX: Final = 16  # datagrams per wake-up; a device has one or two coming
DESCRIPTORS_RESERVED: Final = 64  # for the loop, the terminal, HTTP connections


@dataclass(slots=True, kw_only=True)
class LinkCounters:
    """What the links of one fleet lost."""

    lost: int = 0
    sends_failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    """Where the server is, as `getaddrinfo` gave it."""

    family: int
    socket_address: tuple[Any, ...]  # Any: IPv4 and IPv6 addresses have different shapes

    @property
    def remote(self) -> Remote:
        """Give the name under which a device knows its server; opaque, and the same for every device."""
        return Remote(f"{self.socket_address[0]}|{self.socket_address[1]}".encode()[:32])


class UdpDeviceLink:
    """A DeviceLink on a real socket. A datagram that cannot be sent is a datagram that was lost."""

    def __init__(
        self,
        *,
        loop: AbstractEventLoop,
        server: ServerAddress,
        random: Random,
        loss: float,
        counters: LinkCounters,
    ) -> None:
        """Open a socket at a free port.

        Raises:
            OSError: no descriptor or no port is left.
        """
        self._loop = loop
        self._server = server
        self._remote = server.remote
        self._random = random
        self._loss = loss
        self._counters = counters
        self._receiver: Callable[[Remote, bytes], object] | None = None
        self._socket = self._open()
        self._is_closed = False

    @property
    def port(self) -> int:
        """The present source port."""
        port: int = self._socket.getsockname()[1]
        return port

    def listen(self, receiver: Callable[[Remote, bytes], object]) -> None:
        """Say who gets each datagram that arrives; once."""
        self._receiver = receiver
        self._loop.add_reader(self._socket.fileno(), self._drain)

    def send(self, remote: Remote, datagram: bytes) -> None:
        """Send to the server, or lose the datagram."""
        if self._is_closed or remote != self._remote or self._is_lost():
            return
        try:
            self._socket.send(datagram)
        except OSError:
            # A full buffer, or an ICMP refusal of an earlier datagram: the server is not there.
            self._counters.sends_failed += 1

    def rebind(self) -> None:
        """Go on from a fresh port; from the old one when there is none."""
        try:
            fresh = self._open()
        except OSError:
            self._counters.sends_failed += 1
            return
        self._stop_listening()
        self._socket.close()
        self._socket = fresh
        if self._receiver is not None:
            self._loop.add_reader(fresh.fileno(), self._drain)

    def close(self) -> None:
        """Close the socket; harmless when done before."""
        if not self._is_closed:
            self._is_closed = True
            self._stop_listening()
            self._socket.close()

    def _open(self) -> socket.socket:
        opened = socket.socket(self._server.family, socket.SOCK_DGRAM)
        try:
            opened.setblocking(False)
            opened.connect(self._server.socket_address)
        except OSError:
            opened.close()
            raise
        return opened

    def _stop_listening(self) -> None:
        if self._receiver is not None:
            self._loop.remove_reader(self._socket.fileno())

    def _is_lost(self) -> bool:
        if self._loss > 0 and self._random.random() < self._loss:
            self._counters.lost += 1
            return True
        return False

    def _drain(self) -> None:
        receiver = self._receiver
        assert receiver is not None, "the reader is added by listen"
        listening = self._socket
        for _ in range(DRAIN_MAX):
            try:
                datagram = listening.recv(DATAGRAM_BYTES_MAX)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self._counters.sends_failed += 1  # an ICMP refusal of what was sent before
                continue
            if not self._is_lost():
                receiver(self._remote, datagram)
            if self._is_closed or listening is not self._socket:
                return  # the device moved or stopped on hearing it


def allow_descriptors(sockets: int) -> None:
    """Raise this process's limit of open files so far that so many sockets fit.

    Raises:
        FleetError: the hard limit is lower; only an administrator can raise that.
    """
    needed = sockets + DESCRIPTORS_RESERVED
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise FleetError(
            f"{sockets} devices need {needed} open files, and this process may have {hard}:"
            f" raise the hard limit (ulimit -Hn) or simulate at most {max(0, hard - DESCRIPTORS_RESERVED)}"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))

"""A device's way to the server that changes: what the address translation of a carrier does to a session."""

import contextlib
import selectors
import socket
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

STOP_S = 10.0
TICK_S = 0.1
DATAGRAM_BYTES_MAX = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """One datagram as it went by.

    Attributes:
        port: which of the relay's ports the server saw.
        record_type: the content type of its first record, which names a handshake.
    """

    port: int
    is_from_device: bool
    record_type: int


class MovingRelay:
    """One device on the inside; on the outside one port at a time, and all the earlier ones listened on.

    What the server sends to an earlier port is noted and goes no further: nobody is there any more.
    """

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._inside = _open()
        self._outside = [_open()]
        self._device: tuple[str, int] | None = None
        self._is_ending = False
        self.crossings: list[Crossing] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, and close every port."""
        self._is_ending = True
        self._thread.join(STOP_S)
        for each in (self._inside, *self._outside):
            each.close()

    @property
    def address(self) -> tuple[str, int]:
        """Where the device takes the server to be."""
        return _address(self._inside)

    @property
    def outside_port(self) -> int:
        """Where the server takes the device to be."""
        return _address(self._outside[-1])[1]

    def move(self) -> None:
        """Go on from another port; the device notices nothing."""
        self._outside.append(_open())

    def _run(self) -> None:
        while not self._is_ending:
            with selectors.DefaultSelector() as selector:
                for each in (self._inside, *self._outside):
                    selector.register(each, selectors.EVENT_READ)
                ready = [key.fileobj for key, _ in selector.select(TICK_S)]
            for came_to in ready:
                assert isinstance(came_to, socket.socket)
                # What the other end has closed comes back as an error of the next call.
                with contextlib.suppress(ConnectionError, BlockingIOError):
                    self._pass_on(came_to)

    def _pass_on(self, came_to: socket.socket) -> None:
        datagram, sender = came_to.recvfrom(DATAGRAM_BYTES_MAX)
        is_from_device = came_to is self._inside
        leaving = self._outside[-1]
        port = _address(leaving if is_from_device else came_to)[1]
        self.crossings.append(Crossing(port=port, is_from_device=is_from_device, record_type=datagram[0]))
        if is_from_device:
            self._device = sender
            leaving.sendto(datagram, self._server)
        elif came_to is leaving and self._device is not None:
            self._inside.sendto(datagram, self._device)


def _open() -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind(("127.0.0.1", 0))
    opened.setblocking(False)
    return opened


def _address(opened: socket.socket) -> tuple[str, int]:
    host, port = opened.getsockname()
    return str(host), int(port)

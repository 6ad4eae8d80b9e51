"""A way between one device and a server, on which a test sees what the server has said."""

import select
import socket
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

WAIT_S = 10.0
DATAGRAM_BYTES_MAX = 65_536


class DatagramRelay:
    """Carries datagrams while a test waits in it, and otherwise none."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._inside.bind(("127.0.0.1", 0))
        self._outside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._outside.connect(server)

    def __enter__(self) -> Self:
        """Open already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close both sides."""
        self._inside.close()
        self._outside.close()

    @property
    def address(self) -> tuple[str, int]:
        """Where the device sends to."""
        host, port = self._inside.getsockname()
        return str(host), int(port)

    def carry_until(self, is_it: Callable[[bytes], bool]) -> None:
        """Carry both ways, until such a datagram of the server has been carried."""
        device: tuple[str, int] | None = None
        deadline = time.monotonic() + WAIT_S
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([self._inside, self._outside], [], [], left)
            if self._inside in ready:
                datagram, device = self._inside.recvfrom(DATAGRAM_BYTES_MAX)
                self._outside.send(datagram)
            if self._outside in ready and device is not None:
                datagram = self._outside.recv(DATAGRAM_BYTES_MAX)
                self._inside.sendto(datagram, device)
                if is_it(datagram):
                    return
        raise AssertionError(f"the server said nothing of the kind within {WAIT_S} s")

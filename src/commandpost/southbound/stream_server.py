"""TCP listeners for devices: accepting, a limit on connections, and who has to go first when there are too many.

A connection that has not logged in is worth less than one that has: at the limit of those, the oldest of them goes, so
that idle sockets of nobody never keep a device out.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from commandpost.domain.ports import EventSink
from commandpost.southbound.stream_peer import StreamPeer
from commandpost.southbound.tls_stream import TlsStream

BACKLOG: Final = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """Bounds of one kind of listener."""

    connections_max: int = 20_000
    unproven_max: int = 2_000
    """Connections that have not logged in; a login takes milliseconds, or seconds over NB-IoT."""


class StreamRegistry:
    """The connections of one kind of listener, unproven and proven."""

    def __init__(self, *, limits: StreamLimits, events: EventSink) -> None:
        self._limits = limits
        self._events = events
        self._unproven: dict[StreamPeer, None] = {}
        self._proven: dict[StreamPeer, None] = {}
        self.evicted = 0
        self.refused = 0

    def __len__(self) -> int:
        return len(self._unproven) + len(self._proven)

    def opened(self, peer: StreamPeer) -> bool:
        """Take a new connection in; False: there is no room, and it was ended."""
        if len(self._unproven) >= self._limits.unproven_max:
            oldest = next(iter(self._unproven))
            del self._unproven[oldest]
            self.evicted += 1
            oldest.abort(f"it made room for another: {self._limits.unproven_max} may be open without a login")
        if len(self) >= self._limits.connections_max:
            self.refused += 1
            peer.abort(f"no room: {self._limits.connections_max} connections are open")
            return False
        self._unproven[peer] = None
        return True

    def proven(self, peer: StreamPeer) -> None:
        """A connection has logged in."""
        if self._unproven.pop(peer, peer) is None:
            self._proven[peer] = None

    def closed(self, peer: StreamPeer) -> None:
        """A connection is gone."""
        self._unproven.pop(peer, None)
        self._proven.pop(peer, None)

    def abort_all(self) -> None:
        """End every connection, for the server stops."""
        for peer in [*self._unproven, *self._proven]:
            peer.abort("the server stops")


class StreamServer:
    """Bound sockets whose connections become peers."""

    def __init__(self, servers: Sequence[asyncio.Server], sockets: Sequence[socket.socket]) -> None:
        self._servers = tuple(servers)
        self._sockets = tuple(sockets)

    @staticmethod
    def bind(host: str, port: int) -> socket.socket:
        """Bind a listening socket; port 0 takes any free one.

        Raises:
            OSError: the name cannot be resolved, or the address cannot be bound.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.create_server((host, port), family=family, backlog=BACKLOG)
        bound.setblocking(False)
        return bound

    @classmethod
    async def start(
        cls,
        sockets: Sequence[socket.socket],
        new_peer: Callable[[], StreamPeer],
        *,
        tls: ssl.SSLContext | None = None,
    ) -> "StreamServer":
        """Accept on bound sockets; with `tls`, the handshake is within the time a peer's engine gives a login."""
        loop = asyncio.get_running_loop()

        def new_stream() -> asyncio.Protocol:
            return new_peer() if tls is None else TlsStream(new_peer(), tls, loop)

        return cls([await loop.create_server(new_stream, sock=each, backlog=BACKLOG) for each in sockets], sockets)

    def close(self) -> None:
        """Accept no more; connections go on."""
        for server in self._servers:
            server.close()

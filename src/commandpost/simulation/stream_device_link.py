"""One simulated device's own TCP connection, opened again and again, with or without TLS.

Not here: what the bytes say, and when to connect (stream_device).
"""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any, Final

from commandpost.simulation.stream_link import NO_CONNECTION, StreamOwner

CONNECT_S: Final = 15.0  # five attempts of TCP, at 1, 3, 7 and 15 s; a server that takes longer is not there
OUTPUT_BYTES_MAX: Final = 1_048_576  # written and not taken by the server: a device has no memory for more


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamAddress:
    """Where the server is, resolved once for a whole fleet."""

    family: int
    socket_address: tuple[Any, ...]  # Any: IPv4 and IPv6 addresses have different shapes
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    """The name the certificate has to have."""


class TcpDeviceLink:
    """A StreamLink on real sockets."""

    def __init__(self, *, loop: asyncio.AbstractEventLoop, server: StreamAddress) -> None:
        """Take the address; nothing is opened yet."""
        self._loop = loop
        self._server = server
        self._owner: StreamOwner | None = None
        self._present: _Stream | None = None
        self._opening: asyncio.Task[None] | None = None

    def listen(self, owner: StreamOwner) -> None:
        """Say who hears; once."""
        self._owner = owner

    def open(self) -> None:
        """Begin to connect."""
        self.abort()
        assert self._owner is not None, "listen came first"
        stream = _Stream(self._owner)
        self._present = stream
        self._opening = self._loop.create_task(self._open(stream))

    def write(self, data: bytes) -> None:
        """Send, or end the connection if the server takes nothing any more."""
        transport = None if self._present is None else self._present.transport
        if transport is None or transport.is_closing():
            return
        transport.write(data)
        if transport.get_write_buffer_size() > OUTPUT_BYTES_MAX:
            transport.abort()

    def set_reading(self, *, is_on: bool) -> None:
        """Read on, or leave what comes with the operating system."""
        transport = None if self._present is None else self._present.transport
        if transport is None or transport.is_closing() or transport.is_reading() is is_on:
            return
        if is_on:
            transport.resume_reading()
        else:
            transport.pause_reading()

    def close(self) -> None:
        """End the connection after what was written has left."""
        transport = self._let_go()
        if transport is not None:
            transport.close()

    def abort(self) -> None:
        """End the connection now."""
        transport = self._let_go()
        if transport is not None:
            transport.abort()

    def _let_go(self) -> asyncio.Transport | None:
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
        stream, self._present = self._present, None
        if stream is None:
            return None
        stream.owner = None
        return stream.transport

    async def _open(self, stream: "_Stream") -> None:
        address = self._server.socket_address
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._loop.create_connection(
                    lambda: stream,
                    host=address[0],
                    port=address[1],
                    family=self._server.family,
                    ssl=self._server.tls,
                    server_hostname=self._server.server_name if self._server.tls is not None else None,
                )
        except OSError as error:  # no way, nobody there, no descriptor, a wrong certificate; TimeoutError is one too
            if self._present is stream and stream.owner is not None:
                stream.owner.stream_ended(_why_not_opened(error))


def _why_not_opened(error: OSError) -> str:
    """Tell a certificate that is not trusted from a server that is not there: people look elsewhere for it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{NO_CONNECTION}: certificate not trusted: {error.verify_message}"
    return NO_CONNECTION


class _Stream(asyncio.Protocol):
    """One connection; it has an owner until it is let go."""

    def __init__(self, owner: StreamOwner) -> None:
        self.owner: StreamOwner | None = owner
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.owner is None:
            transport.abort()
        else:
            self.owner.stream_opened()

    def data_received(self, data: bytes) -> None:
        if self.owner is not None:
            self.owner.stream_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self.owner is not None:
            self.owner.stream_ended()

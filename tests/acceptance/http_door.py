"""An HTTP door without anything behind it, on real sockets, and visitors whose every byte a test says."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import uvicorn
from uvicorn.server import ServerState

from commandpost.northbound.http_protocol import BoundedHttpProtocol, HttpDoor, HttpLimits
from commandpost.southbound.tls_stream import TlsStream

Message = MutableMapping[str, Any]  # Any: ASGI's own
PATIENCE_S = 10.0
REQUEST = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = b"GET /large HTTP/1.1\r\nHost: x\r\n"
LARGE_BYTES = 16_777_216  # more than the system takes for a caller that does not read


async def answer_ok(scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
    """An application that reads a body and says ok, or very much."""
    while (await receive()).get("more_body"):
        pass
    body = b"x" * LARGE_BYTES if scope["path"] == "/large" else b"ok"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


class Visitor:
    """A connection whose every byte a test says."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, content: bytes) -> None:
        self.writer.write(content)

    async def answer(self) -> tuple[int, dict[bytes, bytes], bytes]:
        async with asyncio.timeout(PATIENCE_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            status_line, *lines = head.split(b"\r\n")[:-2]
            headers = dict(line.lower().split(b": ", 1) for line in lines)
            body = await self.reader.readexactly(int(headers[b"content-length"]))
        return int(status_line.split()[1]), headers, body

    async def refusal(self) -> tuple[int, int]:
        """The status and the errno of an answer that closes the connection."""
        status, headers, body = await self.answer()
        assert headers[b"connection"] == b"close"
        assert headers[b"x-content-type-options"] == b"nosniff"
        return status, msgspec.json.decode(body)["errno"]

    async def is_closed(self) -> bool:
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self.reader.read(1) == b""
            except ConnectionResetError:
                return True


@asynccontextmanager
async def door(
    *,
    tls: ssl.SSLContext | None = None,
    keep_alive_s: int = 5,
    **limits: Any,  # Any: fields by keyword
) -> AsyncIterator[Callable[[], Awaitable[Visitor]]]:
    """A server with these limits; gives what opens a connection, on which a test shakes hands itself."""
    config = uvicorn.Config(
        app=answer_ok,
        http="httptools",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=keep_alive_s,
    )
    config.load()
    state, shared = ServerState(), HttpDoor(limits=HttpLimits(**limits))

    def new_connection() -> BoundedHttpProtocol:
        return BoundedHttpProtocol(door=shared, config=config, server_state=state, app_state={})

    bound = socket.create_server(("127.0.0.1", 0))
    bound.setblocking(False)
    loop = asyncio.get_running_loop()

    def new_stream() -> asyncio.Protocol:
        return new_connection() if tls is None else TlsStream(new_connection(), tls, loop)

    server = await loop.create_server(new_stream, sock=bound)
    visitors: list[Visitor] = []

    async def visit() -> Visitor:
        visitors.append(Visitor(*await asyncio.open_connection(*bound.getsockname())))
        return visitors[-1]

    try:
        yield visit
    finally:
        for visitor in visitors:
            visitor.writer.transport.abort()
        server.close()
        bound.close()

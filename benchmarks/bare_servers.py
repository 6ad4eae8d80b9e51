"""The bare limits as processes of their own: an ASGI handler that does nothing, a UDP echo, a TCP echo.

`python -m benchmarks.bare_servers asgi|udp|tcp` prints `ready HOST:PORT` and serves until it is ended.
"""

import asyncio
import socket
import sys
from typing import Any, cast

import uvicorn
import uvloop

ANSWER = b'{"errno":0,"error":"succ","data":{"uuid":"00000000-0000-5000-8000-000000000000"}}'
DATAGRAMS_PER_WAKE = 64  # as southbound/coap_udp.py drains
HEADERS = [(b"content-type", b"application/json; charset=utf-8"), (b"content-length", str(len(ANSWER)).encode())]

Message = dict[str, Any]  # Any: ASGI's own


async def empty_handler(scope: Message, receive: Any, send: Any) -> None:  # Any: ASGI's own
    """Read the body and answer what an accept answers."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})


async def serve_asgi() -> None:
    """uvicorn with the settings of the real server."""
    bound = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(f"ready 127.0.0.1:{bound.getsockname()[1]}", flush=True)
    config = uvicorn.Config(
        empty_handler, http="httptools", ws="none", lifespan="off", log_config=None, access_log=False, interface="asgi3"
    )
    await uvicorn.Server(config).serve(sockets=[bound])


async def serve_udp() -> None:
    """Send every datagram back, draining the socket at each wake-up."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    bound.bind(("127.0.0.1", 0))
    bound.setblocking(False)

    def drain() -> None:
        for _ in range(DATAGRAMS_PER_WAKE):
            try:
                data, address = bound.recvfrom(2048)
            except BlockingIOError:
                return
            bound.sendto(data, address)

    asyncio.get_running_loop().add_reader(bound, drain)
    print(f"ready 127.0.0.1:{bound.getsockname()[1]}", flush=True)
    await asyncio.Event().wait()


class Echo(asyncio.Protocol):
    """Sends back what comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, because uvloop's transports are asyncio's by shape only.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


async def serve_tcp() -> None:
    """Send every byte of every stream back."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    print(f"ready 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


SERVERS = {"asgi": serve_asgi, "udp": serve_udp, "tcp": serve_tcp}

if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(SERVERS[sys.argv[1]]())

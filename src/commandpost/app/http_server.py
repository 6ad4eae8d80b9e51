"""The HTTP side of a server: bound sockets, with and without TLS, and uvicorn between them and the Api."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import uvicorn

from commandpost.app.disk import CannotStart
from commandpost.app.listening import bind_fault, format_address
from commandpost.config import ListenAddress, Settings
from commandpost.northbound.api import Api
from commandpost.northbound.http_protocol import BoundedHttpProtocol, HttpDoor, HttpLimits
from commandpost.southbound.tls_stream import TlsStream

HTTP_STOP_S: Final = 1  # of the 5 s that SIGTERM promises
BACKLOG: Final = 2_048
KEEP_ALIVE_S: Final = 75  # longer than the pause between two calls of a polling application


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSockets:
    """Bound sockets by the flag that asked for them."""

    http: Sequence[socket.socket]
    https: Sequence[socket.socket]

    def addresses(self) -> dict[str, list[str]]:
        """Give where is listened, by flag; a flag that was not given is left out."""
        found = {"http": self.http, "https": self.https}
        return {
            name: [format_address(each.getsockname()) for each in sockets] for name, sockets in found.items() if sockets
        }


def bind_http(settings: Settings, stack: ExitStack) -> HttpSockets:
    """Bind every socket the settings ask for.

    Raises:
        CannotStart: one cannot be bound.
    """
    return HttpSockets(
        http=_bind("http", settings.http.listen, stack), https=_bind("https", settings.http.tls_listen, stack)
    )


def _bind(name: str, addresses: Sequence[ListenAddress], stack: ExitStack) -> Sequence[socket.socket]:
    sockets: list[socket.socket] = []
    for address in addresses:
        try:
            family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
            bound = socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)
        except OSError as error:
            raise CannotStart(bind_fault(name, address, error)) from error
        stack.callback(bound.close)
        bound.setblocking(False)
        sockets.append(bound)
    return sockets


class HttpServer(uvicorn.Server):
    """uvicorn on both kinds of sockets, without signal handlers of its own: `serve` decides when to stop."""

    def __init__(self, config: uvicorn.Config, sockets: HttpSockets, tls: ssl.SSLContext | None) -> None:
        super().__init__(config)
        self._sockets = sockets
        self._tls = tls

    async def run_until_told(self) -> None:
        """Serve until `should_exit`."""
        await self.serve(sockets=list(self._sockets.http))

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept on the plain sockets as uvicorn does, and on the others with TLS, counted from the accept."""
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        for each in self._sockets.https:
            self.servers.append(await loop.create_server(self._new_stream, sock=each, backlog=BACKLOG))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, and end what is open as uvicorn does."""
        await super().shutdown([*(sockets or ()), *self._sockets.https])

    def _new_stream(self) -> TlsStream:
        assert self._tls is not None, "the settings were checked"
        connection = self.config.http_protocol_class(  # type: ignore[call-arg]  # uvicorn types them as asyncio's
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return TlsStream(connection, self._tls, asyncio.get_running_loop())


def build_http_server(settings: Settings, api: Api, sockets: HttpSockets, tls: ssl.SSLContext | None) -> HttpServer:
    """Build the server; nothing is accepted yet."""
    # What it says of bytes that are no HTTP would be a line on stderr for each of them.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    limits = HttpLimits(
        connections_max=settings.http.connections_max,
        head_bytes_max=settings.http.head_bytes_max,
        head_s=settings.http.head_s,
        silence_s=settings.http.silence_s,
    )
    config = uvicorn.Config(
        app=api,
        # A class is asked for, and only ever called.
        http=partial(BoundedHttpProtocol, door=HttpDoor(limits=limits)),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=HTTP_STOP_S,
    )
    return HttpServer(config, sockets, tls)

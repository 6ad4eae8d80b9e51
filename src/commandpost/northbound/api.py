"""The northbound side as one ASGI application: reads a request, finds its route, writes the answer.

Here: the transport, limits on what is read, and connecting the table of routes. Not here: what any call does
(`onenet/`). No framework stands in between: the command routes are the hot path (design 6).
Source: ASGI 3.0; northbound reference 1.2.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final

from commandpost.domain.ports import Clock, EventSink
from commandpost.northbound.messages import ApiRequest, ApiResponse, BodyFault
from commandpost.northbound.onenet.beijing_time import TextTimes
from commandpost.northbound.onenet.call import Platform
from commandpost.northbound.onenet.dialect import Dialect
from commandpost.northbound.onenet.errno import ErrnoTable, list_numbers
from commandpost.northbound.onenet.routes import call_routes
from commandpost.northbound.pages import page_routes
from commandpost.northbound.reference_page import Table
from commandpost.northbound.routing import RouteTable
from commandpost.northbound.settings import NorthboundSettings
from commandpost.services.commands import Commands
from commandpost.services.devices import Devices
from commandpost.services.products import Products

Message = MutableMapping[str, Any]  # Any: ASGI's own
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_NO_BODY: Final = b""


class Disconnected(Exception):
    """The caller left before it had sent its request."""


class Api:
    """Answers HTTP requests. `handle` takes and gives values; `__call__` is the same over ASGI."""

    def __init__(
        self,
        *,
        products: Products,
        devices: Devices,
        commands: Commands,
        clock: Clock,
        events: EventSink,
        settings: NorthboundSettings,
    ) -> None:
        self._settings = settings
        self._dialect = Dialect(
            Platform(
                products=products,
                devices=devices,
                commands=commands,
                clock=clock,
                events=events,
                settings=settings,
                times=TextTimes(utc_offset_minutes=settings.utc_offset_minutes, zone_name=settings.zone_name),
                errnos=ErrnoTable(settings.errno_profile),
            )
        )
        dialect_routes = [self._dialect.route(call_route) for call_route in call_routes(settings)]
        self._routes = RouteTable([*dialect_routes, *page_routes(dialect_routes, _error_table())])

    @property
    def routes(self) -> RouteTable:
        """The table of what is served."""
        return self._routes

    async def handle(self, request: ApiRequest) -> ApiResponse:
        """Answer a request. Never raises: whatever goes wrong is in the answer."""
        found = self._routes.find(request.method, request.path)
        if found is None:
            return self._dialect.refuse_path(request)
        route, path_values = found
        return await route.handler(request, path_values)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection scope: HTTP, and lifespan for politeness."""
        match scope["type"]:
            case "http":
                await self._serve_request(scope, receive, send)
            case "lifespan":
                await _serve_lifespan(receive, send)
            case "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1000})

    async def _serve_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = scope["headers"]
        body, body_fault = _NO_BODY, None
        if _has_body(headers):
            try:
                body, body_fault = await self._read_body(receive)
            except Disconnected:
                return
        response = await self.handle(
            ApiRequest(
                method=scope["method"],
                path=scope["path"],
                query=scope["query_string"],
                headers=headers,
                body=body,
                body_fault=body_fault,
            )
        )
        await _send_response(send, response, is_last=body_fault is not None)

    async def _read_body(self, receive: Receive) -> tuple[bytes, BodyFault | None]:
        """Read a body within its limits of size and time. One that is too large is read on for a while and dropped,
        because a sender that is cut off in the middle does not get to see why."""
        chunks: list[bytes] = []
        size = 0
        size_max = self._settings.body_bytes_max
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Disconnected
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size <= size_max:
                        chunks.append(chunk)
                    if not message.get("more_body", False):
                        break
                    if size > size_max + self._settings.body_drain_bytes_max:
                        return _NO_BODY, BodyFault.TOO_LARGE
        except TimeoutError:
            return _NO_BODY, BodyFault.TOO_LARGE if size > size_max else BodyFault.TOO_SLOW
        return (_NO_BODY, BodyFault.TOO_LARGE) if size > size_max else (b"".join(chunks), None)


def _error_table() -> Table:
    return Table(
        title="Errors",
        about="`errno` and the beginning of `error`. Which column holds for `/nbiot*` is a setting of the server.",
        head=("fault", "/nbiot*, documented", "all other paths", "/nbiot*, observed"),
        rows=tuple(list_numbers()),
    )


def _has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers)


async def _send_response(send: Send, response: ApiResponse, *, is_last: bool) -> None:
    headers = [
        (b"content-type", response.content_type),
        (b"content-length", b"%d" % len(response.body)),
        *response.headers,
    ]
    if is_last:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


async def _serve_lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return

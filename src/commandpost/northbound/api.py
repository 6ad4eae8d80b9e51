"""The northbound side as one ASGI application: reads a request, finds its route, writes the answer.

Here: the transport, limits on what is read, and connecting the table of routes. Not here: what any call does
(`onenet/`). No framework stands in between: the command routes are the hot path (design 6).
Source: ASGI 3.0; northbound reference 1.2.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

from commandpost.domain.ports import Clock, EventSink
from commandpost.domain.topic_ports import TopicMessenger
from commandpost.northbound.admission import Admission
from commandpost.northbound.messages import ApiRequest, ApiResponse, BodyFault, Headers
from commandpost.northbound.onenet.beijing_time import TextTimes
from commandpost.northbound.onenet.call import Platform, PushServices
from commandpost.northbound.onenet.dialect import Dialect
from commandpost.northbound.onenet.errno import ErrnoTable, list_numbers
from commandpost.northbound.onenet.routes import call_routes, push_routes
from commandpost.northbound.pages import page_routes
from commandpost.northbound.query import OF_NO_UTF8
from commandpost.northbound.reference_page import Table
from commandpost.northbound.routing import PathValues, Route, RouteTable
from commandpost.northbound.security_headers import HEADERS_OF_ANSWERS, HEADERS_OVER_TLS
from commandpost.northbound.settings import NorthboundSettings
from commandpost.northbound.trail import CallTrail
from commandpost.northbound.v1.problems import is_native, refuse_path
from commandpost.northbound.v1.subscriptions import SubscriptionRoutes
from commandpost.services.access import Authenticator
from commandpost.services.audit import AuditLog
from commandpost.services.commands import Commands
from commandpost.services.datapoints import Datapoints
from commandpost.services.device_keys import DeviceKeys
from commandpost.services.devices import Devices
from commandpost.services.failed_logins import FailedLogins
from commandpost.services.identities import Identities
from commandpost.services.payloads import Payloads
from commandpost.services.rate_limits import RateLimits
from commandpost.services.self_registration import SelfRegistration

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
        authenticator: Authenticator,
        devices: Devices,
        device_keys: DeviceKeys,
        self_registration: SelfRegistration,
        identities: Identities,
        commands: Commands,
        payloads: Payloads,
        datapoints: Datapoints,
        topics: TopicMessenger,
        push: PushServices | None = None,
        clock: Clock,
        events: EventSink,
        settings: NorthboundSettings,
        rates: RateLimits | None = None,
        audit: AuditLog | None = None,
        failed_logins: FailedLogins | None = None,
    ) -> None:
        """Connect the table of routes.

        Args:
            rates: None: nobody is too quick.
            audit: None: nothing is kept of calls.
            failed_logins: None: a wrong credential is answered at once, however often.
        """
        rates = rates or RateLimits(clock=clock)
        self._admission = Admission(authenticator=authenticator, rates=rates, clock=clock, events=events)
        self._settings = settings
        self._clock = clock
        self._audit = audit
        self._failed_logins = failed_logins
        self._has_push = push is not None
        self._dialect = Dialect(
            Platform(
                admission=self._admission,
                devices=devices,
                device_keys=device_keys,
                self_registration=self_registration,
                identities=identities,
                commands=commands,
                payloads=payloads,
                datapoints=datapoints,
                topics=topics,
                push=push,
                clock=clock,
                settings=settings,
                times=TextTimes(utc_offset_minutes=settings.utc_offset_minutes, zone_name=settings.zone_name),
                errnos=ErrnoTable(settings.errno_profile),
                rates=rates,
            )
        )
        calls = [*call_routes(settings), *(push_routes(settings) if push is not None else ())]
        documented = [self._dialect.route(call_route) for call_route in calls]
        if push is not None:
            native = SubscriptionRoutes(admission=self._admission, subscriptions=push.subscriptions, settings=settings)
            documented += native.routes()
        self._routes = RouteTable([*documented, *page_routes(documented, _error_table())])

    @property
    def routes(self) -> RouteTable:
        """The table of what is served."""
        return self._routes

    async def handle(self, request: ApiRequest) -> ApiResponse:
        """Answer a request. Never raises: whatever goes wrong is in the answer."""
        return await self._answer(self._routes.find(request.method, request.path, request.segments), request)

    async def _answer(self, found: tuple[Route, PathValues] | None, request: ApiRequest) -> ApiResponse:
        if found is None:
            has_native = self._has_push and is_native(request)
            return refuse_path(request) if has_native else self._dialect.refuse_path(request)
        route, path_values = found
        response = await route.handler(request, path_values)
        trail = request.trail
        if trail.is_for_audit or route.method != "GET":
            self._keep(route, path_values, request, response)
        if trail.is_credential_wrong and self._failed_logins is not None:
            try:
                may_stay = await self._failed_logins.failed(trail.remote)
            except asyncio.CancelledError:  # the server stops: nobody can be made to wait longer
                may_stay = False
            return response if may_stay else response.with_header(b"connection", b"close")
        return response

    def _keep(self, route: Route, path_values: PathValues, request: ApiRequest, response: ApiResponse) -> None:
        """Keep who called, what for and how it ended: of calls that change something, show keys, or are not allowed."""
        if self._audit is not None:
            entry = request.trail.entry(
                action=f"{route.method} {route.template}",
                path_values=path_values,
                result=str(response.status if is_native(request) else response.errno),
                at=self._clock.wall_ms(),
            )
            self._audit.record(entry)

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
        method, path, headers = scope["method"], scope["path"], scope["headers"]
        segments = _segments(scope)
        found = self._routes.find(method, path, segments)
        body, body_fault = _NO_BODY, None
        if _has_body(headers):
            try:
                body, body_fault = await self._read_body(receive, await self._size_max(found, headers))
            except Disconnected:
                return
        request = ApiRequest(
            method=method,
            path=path,
            segments=segments,
            query=scope["query_string"],
            headers=headers,
            body=body,
            body_fault=body_fault,
            trail=CallTrail(remote=_remote(scope)),
        )
        response = await self._answer(found, request)
        is_over_tls = scope.get("scheme") == "https"
        await _send_response(send, response, is_last=body_fault is not None, is_over_tls=is_over_tls)

    async def _size_max(self, found: tuple[Route, PathValues] | None, headers: Headers) -> int:
        """What is held of a body: as much for every route, and more where a route takes more, of whom we know alone."""
        size_max = self._settings.body_bytes_max
        if found is None or found[0].body_bytes_max <= size_max or not await self._admission.is_known(headers):
            return size_max  # a stranger is told so by the handler, which asks for a credential before anything else
        return found[0].body_bytes_max

    async def _read_body(self, receive: Receive, size_max: int) -> tuple[bytes, BodyFault | None]:
        """Read a body within its limits of size and time. One that is too large is read on for a while and dropped,
        because a sender that is cut off in the middle does not get to see why."""
        chunks: list[bytes] = []
        size = 0
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
        except asyncio.CancelledError:  # nobody else ends a call: the server stops
            return _NO_BODY, BodyFault.CUT_OFF
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


def _segments(scope: Scope) -> tuple[str, ...] | None:
    """Give the parts of a path that holds an encoded slash or no UTF-8; every other path is what its text says."""
    raw_path: bytes = scope.get("raw_path") or b""
    if b"%" not in raw_path:
        return None
    if b"%2f" not in raw_path.lower() and "\N{REPLACEMENT CHARACTER}" not in scope["path"]:
        return None
    return "", *(unquote(part, errors=OF_NO_UTF8) for part in raw_path.decode("latin-1").split("/") if part)


def _remote(scope: Scope) -> str:
    """Give the address of the caller: of the connection, whatever headers say of others."""
    client = scope.get("client")
    return "" if client is None else str(client[0])


def _has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers)


async def _send_response(send: Send, response: ApiResponse, *, is_last: bool, is_over_tls: bool) -> None:
    headers = [*response.headers, *HEADERS_OF_ANSWERS]
    if is_over_tls:
        headers += HEADERS_OVER_TLS
    if response.status != HTTPStatus.NO_CONTENT:  # which has none of either (RFC 9110, section 8.6)
        headers[:0] = [(b"content-type", response.content_type), (b"content-length", b"%d" % len(response.body))]
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

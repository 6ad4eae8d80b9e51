"""The HTTP server's connections, with bounds that uvicorn's own have not: on the head of a request, and on waiting.

Here: how large and how slow a head may be, how many connections there are, and what is said to one that goes too far.
Not here: bodies (`api`), and routes. Source: RFC 9112 sections 2.2, 9.3, 9.6; RFC 6585 section 5.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from commandpost.northbound.onenet.envelope import encode_json
from commandpost.northbound.security_headers import HEADERS_OF_ANSWERS

PIECE_BYTES: Final = 16_384  # what is parsed between two looks at the bounds; an ordinary request is less than one
BUSY_CONNECTIONS_MAX: Final = 64  # beyond the limit, connections that are only told so; more are cut off unheard
OVERHEAD_FACTOR: Final = 8  # a chunk of one byte takes five more; what goes beyond is padding, or a trailer without end
LINGER_S: Final = 2.0  # for a sender to stop and read why; what it sends meanwhile is dropped
LINGER_BYTES_MAX: Final = 4_194_304  # what a sender has under way over a fast line
IS_SHAKING_HANDS: Final = "is_shaking_hands"  # what a transport tells of TLS, as southbound/tls_stream has it

Scope = MutableMapping[str, Any]  # Any: ASGI's own
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]  # Any: as above


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """Bounds of a connection."""

    connections_max: int = 1_000
    head_bytes_max: int = 32_768
    """The longest honest head has a query of 1000 device ids, and cookies that nobody asked for."""
    headers_max: int = 100
    """As many as other servers allow by default; SDKs send some ten."""
    head_s: float = 10.0
    """From the first byte of a head to its end: one is a packet or two."""
    silence_s: float = 60.0
    """From the opening of a connection to its first byte."""
    handshake_s: float = 10.0
    """From the opening of a connection with TLS to the end of its handshake: three packets each way."""
    stall_s: float = 30.0
    """Without taking anything of what it was sent; over a slow line, a single byte in that time is enough."""
    pipelined_max: int = 64
    """Requests written ahead of their answers; no client known writes more than a few."""


@dataclass(slots=True, kw_only=True)
class HttpDoor:
    """What the connections of one server share."""

    limits: HttpLimits
    silent: dict["BoundedHttpProtocol", None] = field(default_factory=dict)
    """Connections without a first byte, oldest first: they go first where there is no room."""
    busy: int = 0
    """Connections that are only told that there is no room."""
    refused: int = 0
    """How many connections were told so, or cut off."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: str
    errno: int
    text: str


_MALFORMED: Final = _Refusal("400 Bad Request", 6, "invalid parameter: the request is not HTTP/1.1")
_TOO_SLOW: Final = _Refusal("408 Request Timeout", 14, "network latency: the head of the request did not come in time")
_NO_ROOM: Final = "no room for another connection, try again later"


class _HeadRefused(Exception):
    """Ends the parsing of a head that goes too far."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *, door: HttpDoor, **uvicorns: Any) -> None:  # Any: what uvicorn hands to its own protocol
        super().__init__(**uvicorns)
        self._door = door
        self._limits = door.limits
        self._head_bytes = 0
        """Of the head being read, as far as it was parsed in pieces."""
        self._piece_bytes = 0
        """Of the piece being parsed."""
        self._heads_begun = 0
        """In it."""
        self._is_in_head = False
        self._is_in_body = False
        self._body_bytes = 0
        self._overhead_bytes = 0
        """Of the message being read: what came after its head and is no body."""
        self._lingering_bytes = 0
        self._is_over = False
        """Whether nothing more is read: what is open is answered, then the connection ends."""
        self._is_busy = False
        self._has_asked = False
        """Whether there was a request: `cycle` is the newest."""
        self._refusal = _MALFORMED
        self._deadline: asyncio.TimerHandle | None = None
        self._unwritten_bytes = 0
        """At the last look, of what the caller has not taken."""
        self._stall: asyncio.TimerHandle | None = None

    # --- the connection ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Take a connection in; where there is no room, a silent one goes, or this one is told."""
        super().connection_made(transport)
        if len(self.connections) - self._door.busy > self._limits.connections_max:
            self._make_room()
        if transport.is_closing():
            return
        self._door.silent[self] = None
        if transport.get_extra_info(IS_SHAKING_HANDS, False):
            self._deadline = self.loop.call_later(self._limits.handshake_s, self._look_at_handshake)
        else:
            self._arm(self._limits.head_s if self._is_busy else self._limits.silence_s)

    def _look_at_handshake(self) -> None:
        """End what has no handshake by now; else wait for the first byte as long as there is still time for it."""
        self._deadline = None
        if self.transport.get_extra_info(IS_SHAKING_HANDS, False):
            self.transport.abort()
        else:
            left_s = self._limits.silence_s - self._limits.handshake_s
            self._arm(self._limits.head_s if self._is_busy else max(0.0, left_s))

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything."""
        self._disarm()
        self._forget_stall()
        self._unset_keepalive_if_required()  # uvicorn does it after a clean end alone; the timer would hold all this
        self._door.silent.pop(self, None)
        if self._is_busy:
            self._is_busy = False
            self._door.busy -= 1
        super().connection_lost(exc)

    def _make_room(self) -> None:
        silent = next(iter(self._door.silent), None)
        self._door.refused += 1
        if silent is not None:
            del self._door.silent[silent]  # at once: the next one in the same turn of the loop needs a place of its own
            self.connections.discard(silent)
            silent.transport.abort()
        elif self._door.busy >= BUSY_CONNECTIONS_MAX:
            self.connections.discard(self)
            self.transport.abort()
        else:
            self._is_busy = True
            self._door.busy += 1
            self.app = _tell_busy

    # --- writing -----------------------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        """The caller does not take what it is sent."""
        super().pause_writing()
        self._watch_stall()

    def resume_writing(self) -> None:
        """It has taken most of it."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._forget_stall()

    def on_response_complete(self) -> None:
        """An answer is written, maybe the last."""
        super().on_response_complete()
        self._see_off()

    def timeout_keep_alive_handler(self) -> None:
        """Nothing was asked for long."""
        super().timeout_keep_alive_handler()
        self._see_off()

    def _see_off(self) -> None:
        """Watch a connection that closes: it does so when all is taken, of how little it may be."""
        if self.transport.is_closing() and self in self.connections:
            self._watch_stall()

    def _watch_stall(self) -> None:
        if self._stall is None:
            self._unwritten_bytes = self.transport.get_write_buffer_size()
            self._stall = self.loop.call_later(self._limits.stall_s, self._look_for_stall)

    def _look_for_stall(self) -> None:
        self._stall = None
        if self.transport.get_write_buffer_size() >= self._unwritten_bytes:
            self.transport.abort()
        else:
            self._watch_stall()

    def _forget_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    # --- reading -----------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse what came, in pieces, so that nothing grows far beyond its bound before somebody looks."""
        for at in range(0, len(data), PIECE_BYTES):
            if self._is_over or self.transport.is_closing():
                self._linger(len(data) - at)
                return
            self._parse(data if len(data) <= PIECE_BYTES else data[at : at + PIECE_BYTES])
        if not self._is_over:
            self._watch()

    def _parse(self, piece: bytes) -> None:
        was_in_head, was_in_body, body_bytes = self._is_in_head, self._is_in_body, self._body_bytes
        self._heads_begun = 0
        self._piece_bytes = len(piece)
        super().data_received(piece)
        if self._is_over:
            return
        # A head that began behind something else in the same piece is longer than it is counted, by less than a piece.
        if self._is_in_head and (was_in_head or not was_in_body) and self._heads_begun <= (not was_in_head):
            self._head_bytes += len(piece)
            if self._head_bytes > self._limits.head_bytes_max:
                self._refuse(self._too_large())
        elif was_in_body and self._is_in_body:
            self._overhead_bytes += len(piece) - (self._body_bytes - body_bytes)
            if self._overhead_bytes > self._limits.head_bytes_max + OVERHEAD_FACTOR * self._body_bytes:
                self._refuse(_MALFORMED)

    def _linger(self, dropped_bytes: int) -> None:
        self._lingering_bytes += dropped_bytes
        if self._lingering_bytes > LINGER_BYTES_MAX and not self.transport.is_closing():
            self.transport.abort()

    def _watch(self) -> None:
        """See to it that a caller is never waited for without a deadline; while it is written to, the stall is one."""
        if self._is_in_head:
            if self._deadline is None:
                self._arm(self._limits.head_s)
        elif self._deadline is None and self.timeout_keep_alive_task is None and self._is_idle():
            # Empty lines between requests are passed over, but are no reason to stay.
            self._arm(self._limits.silence_s)

    def _is_idle(self) -> bool:
        return not self._has_asked or self.cycle.response_complete

    def on_message_begin(self) -> None:
        """A head begins."""
        if len(self.pipeline) >= self._limits.pipelined_max:
            raise _HeadRefused
        super().on_message_begin()
        self._disarm()
        self._door.silent.pop(self, None)
        self._is_in_head = True
        self._heads_begun += 1
        self._head_bytes = 0

    def on_headers_complete(self) -> None:
        """A head is whole: what it has all in all is counted exactly."""
        if len(self.headers) > self._limits.headers_max:
            self._refusal = self._too_many()
            raise _HeadRefused
        # Only a head that may be too long is counted: few are even near it. The last summand is what `_parse` may miss.
        if self._head_bytes + self._piece_bytes + PIECE_BYTES > self._limits.head_bytes_max:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self._limits.head_bytes_max:
                self._refusal = self._too_large()
                raise _HeadRefused
        self._disarm()
        self._is_in_head, self._is_in_body = False, True
        self._body_bytes = self._overhead_bytes = 0
        super().on_headers_complete()
        self._has_asked = True

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._is_in_body = False
        super().on_message_complete()

    # --- ends --------------------------------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        """Refuse what could not be parsed, or was not let."""
        del msg  # uvicorn's own text
        self._refuse(self._refusal)

    def _refuse(self, refusal: _Refusal) -> None:
        self._is_over = True
        self._disarm()
        if not self._is_idle() and not self.cycle.more_body:
            # A request before this one is being answered: its answer is the last.
            self.cycle.keep_alive = False
            return
        body = encode_json({"errno": refusal.errno, "error": refusal.text})
        lines = [f"HTTP/1.1 {refusal.status}".encode()]
        lines += [name + b": " + value for name, value in HEADERS_OF_ANSWERS]
        lines += [
            b"content-type: application/json; charset=utf-8",
            b"content-length: %d" % len(body),
            b"connection: close",
            b"",
            body,
        ]
        self.transport.write(b"\r\n".join(lines))
        if self.transport.can_write_eof():
            # Closed at once, with unread bytes on our side, the answer would be lost to a reset (RFC 9112 section 9.6).
            self.transport.write_eof()
            self._arm(LINGER_S)
        else:
            self.transport.close()
            self._see_off()

    def _too_many(self) -> _Refusal:
        text = f"request entity too large: more than {self._limits.headers_max} headers"
        return _Refusal("431 Request Header Fields Too Large", 5, text)

    def _too_large(self) -> _Refusal:
        text = f"request entity too large: the head has more than {self._limits.head_bytes_max} bytes"
        return _Refusal("431 Request Header Fields Too Large", 5, text)

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, self._waited_too_long)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _waited_too_long(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self._is_in_head and not self._is_over:
            self._refuse(_TOO_SLOW)
        else:
            self.transport.abort()  # it said nothing, or was answered: there is nothing to say


async def _tell_busy(scope: Scope, _receive: object, send: Send) -> None:
    """Answer the one request of a connection for which there is no room."""
    errno = 7 if scope["path"].lstrip("/").startswith("nbiot") else 1
    body = encode_json({"errno": errno, "error": f"internal server error: {_NO_ROOM}"})
    headers = [
        *HEADERS_OF_ANSWERS,
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"retry-after", b"1"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})

"""A closed-loop HTTP load: so many connections, each sending its next request when it has its answer."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

# After a refusal. Without a pause one stall of the server's eats the whole load: it refuses faster than it accepts.
REFUSED_PAUSE_S = 0.05
_LENGTH = b"content-length: "


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLoad:
    """What a load saw."""

    seconds: float
    latencies_s: tuple[float, ...]
    last_body: bytes
    refusals: tuple[bytes, ...]
    """Bodies of the answers that are not what was wanted, one for each."""

    @property
    def per_second(self) -> float:
        """Answers in a second."""
        return len(self.latencies_s) / self.seconds


@dataclass(slots=True)
class _Found:
    """What the connections of a load find together."""

    latencies_s: list[float] = field(default_factory=list)
    refusals: list[bytes] = field(default_factory=list)


class _Connection(asyncio.Protocol):
    def __init__(
        self, requests: Iterator[bytes], found: "_Found", done: "asyncio.Future[bytes]", wanted: bytes
    ) -> None:
        self._requests = requests
        self._found = found
        self._done = done
        self._wanted = wanted
        self._buffer = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, because uvloop's transports are asyncio's by shape only.
        self._transport = cast(asyncio.Transport, transport)
        self._next(b"")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[:head_end].lower()
        start = head.index(_LENGTH) + len(_LENGTH)
        end = head.find(b"\r\n", start)
        length = int(head[start : None if end < 0 else end])
        if len(self._buffer) < head_end + 4 + length:
            return
        body = self._buffer[head_end + 4 : head_end + 4 + length]
        self._found.latencies_s.append(time.perf_counter() - self._sent_at)
        self._buffer = b""
        if self._wanted in body:
            self._next(body)
        else:
            self._found.refusals.append(body)
            asyncio.get_running_loop().call_later(REFUSED_PAUSE_S, self._next, body)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(ConnectionError("the server closed a connection"))

    def _next(self, body: bytes) -> None:
        assert self._transport is not None
        request = next(self._requests, None)
        if request is None:
            if not self._done.done():
                self._done.set_result(body)
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)


async def load(
    address: tuple[str, int], requests: Sequence[bytes], *, connections: int, wanted: bytes = b""
) -> HttpLoad:
    """Send every request once, over so many connections, and wait for every answer.

    Args:
        wanted: what stands in the answer of a request that was accepted; any other answer is a refusal, which is
            counted; its request is not sent again.
    """
    loop = asyncio.get_running_loop()
    supply = iter(requests)
    found = _Found()
    done: list[asyncio.Future[bytes]] = []
    started = time.perf_counter()
    for _ in range(connections):
        ended: asyncio.Future[bytes] = loop.create_future()
        done.append(ended)
        await loop.create_connection(lambda ended=ended: _Connection(supply, found, ended, wanted), *address)  # type: ignore[misc]  # a default binds the loop variable
    bodies = await asyncio.wait_for(asyncio.gather(*done), 120)
    seconds = time.perf_counter() - started
    return HttpLoad(
        seconds=seconds,
        latencies_s=tuple(found.latencies_s),
        last_body=bodies[-1],
        refusals=tuple(found.refusals),
    )


def request_bytes(method: str, target: str, *, api_key: str, body: bytes = b"") -> bytes:
    """One keep-alive request."""
    head = f"{method} {target} HTTP/1.1\r\nHost: bench\r\napi-key: {api_key}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body

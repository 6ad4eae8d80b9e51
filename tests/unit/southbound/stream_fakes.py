"""A stream's two ends as a StreamPeer sees them: a transport that takes what it is told to take, and an engine."""

import asyncio
from collections.abc import Callable

from commandpost.southbound.memory_budget import MemoryBudget
from commandpost.southbound.stream_peer import StreamPeer
from tests.fakes.clock import ManualClock
from tests.fakes.ids import TellTale
from tests.fakes.scheduler import ManualScheduler


class FakeTransport(asyncio.Transport):
    """Keeps what is written; `takes` says how much of it the kernel takes at once."""

    def __init__(self, scheduler: ManualScheduler, protocol: asyncio.Protocol, *, takes_all: bool = True) -> None:
        super().__init__()
        self.written = bytearray()
        self.unread_bytes = 0
        self.takes_all = takes_all
        self.reads = True
        self.is_aborted = False
        self.is_closed = False
        self._is_over = False
        self._scheduler = scheduler
        self._protocol = protocol
        self._is_paused = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high == 0, "resume_writing has to mean that everything is written"

    def get_write_buffer_size(self) -> int:
        return self.unread_bytes

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data
        if not self.takes_all:
            self.unread_bytes += len(data)
            if not self._is_paused:
                self._is_paused = True
                self._protocol.pause_writing()

    def drain(self, size: int | None = None) -> None:
        """Let the peer read so much, or all."""
        self.unread_bytes -= self.unread_bytes if size is None else size
        if self.unread_bytes == 0 and self._is_paused:
            self._is_paused = False
            self._protocol.resume_writing()
        if self.unread_bytes == 0 and self.is_closed:
            self._end()

    def pause_reading(self) -> None:
        assert self.reads, "paused twice"
        self.reads = False

    def resume_reading(self) -> None:
        assert not self.reads, "resumed twice"
        self.reads = True

    def is_closing(self) -> bool:
        return self.is_closed or self.is_aborted

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def close(self) -> None:
        self.is_closed = True
        if self.unread_bytes == 0:
            self._end()

    def abort(self) -> None:
        self.is_aborted = True
        self._end()

    def get_extra_info(self, name: str, default: object = None) -> object:
        return ("192.0.2.7", 40_007) if name == "peername" else default

    def take(self) -> bytes:
        """Give what was written since the last time."""
        taken = bytes(self.written)
        self.written.clear()
        return taken

    def break_off(self, error: Exception | None = None) -> None:
        """End it as the peer's end does, or the network."""
        self._end(error)

    def _end(self, error: Exception | None = None) -> None:
        if not self._is_over:
            self._is_over = True
            self._scheduler.call_soon(self._protocol.connection_lost, error)


class FakeEngine:
    """Does what a test tells it."""

    def __init__(self) -> None:
        self.is_paused = False
        self.buffered_bytes = 0
        self.received = bytearray()
        self.output = bytearray()
        self.deadline: float | None = None
        self.deadlines: list[float] = []
        self.events: list[Callable[[], object]] = []
        self.is_ended = False
        self.end = "", False

    def receive_bytes(self, data: bytes, *, now: float) -> None:
        self.received += data

    def next_deadline(self) -> float | None:
        return self.deadline

    def handle_deadline(self, *, now: float) -> None:
        self.deadlines.append(now)
        self.deadline = None


class FakePeer(StreamPeer):
    """A StreamPeer of a FakeEngine."""

    engine: FakeEngine

    def __init__(self, clock: ManualClock, scheduler: ManualScheduler, budget: MemoryBudget, events: TellTale) -> None:
        super().__init__(clock=clock, scheduler=scheduler, budget=budget, events=events)
        self.engine = FakeEngine()
        self.ends = 0

    def handle_events(self) -> None:
        while self.engine.events:
            self.engine.events.pop(0)()

    def take_output(self) -> bytes:
        data = bytes(self.engine.output)
        self.engine.output.clear()
        return data

    def end_engine(self, detail: str, *, is_ours: bool) -> None:
        self.engine.is_ended = True
        self.engine.end = detail, is_ours

    def connection_over(self) -> None:
        self.ends += 1


class StreamBench:
    """One peer with both its ends."""

    def __init__(self, *, takes_all: bool = True, budget_bytes: int = 1_000) -> None:
        self.clock = ManualClock()
        self.scheduler = ManualScheduler(self.clock)
        self.events = TellTale()
        self.budget = MemoryBudget(bytes_max=budget_bytes)
        self.peer, self.transport = self.another(takes_all=takes_all)
        self.engine = self.peer.engine

    def another(self, *, takes_all: bool = True) -> tuple[FakePeer, FakeTransport]:
        """Give a further connection on the same budget."""
        peer = FakePeer(self.clock, self.scheduler, self.budget, self.events)
        transport = FakeTransport(self.scheduler, peer, takes_all=takes_all)
        peer.connection_made(transport)
        return peer, transport

    def write(self, data: bytes) -> None:
        """Have the engine write something."""
        self.engine.output += data
        self.peer.pump()

    def pass_time(self, seconds: float) -> None:
        """Let time pass, with everything that becomes due on the way."""
        until = self.clock.monotonic() + seconds
        self.scheduler.run_soon()
        while (due := self.scheduler.next_due()) is not None and due <= until:
            self.clock.advance(max(0.0, due - self.clock.monotonic()))
            self.scheduler.run_soon()
        self.clock.advance(until - self.clock.monotonic())

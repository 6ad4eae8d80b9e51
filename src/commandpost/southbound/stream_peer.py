"""One TCP connection of a device: feeds a sans-IO engine, writes what it gives, keeps its deadline.

Here: what MQTT and EDP have in common as streams: back-pressure both ways, "the bytes are written", one lazy timer, and
a share of the memory that all connections together may hold. Not here: what events mean (mqtt/peer, edp/peer),
binding sockets (stream_server), that memory (memory_budget).
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol, cast

from commandpost.domain.ports import Clock, EventSink, Scheduler, Timer
from commandpost.southbound.memory_budget import MemoryBudget
from commandpost.southbound.tls_stream import IS_SHAKING_HANDS, HandshakeFailed

WRITE_STALL_S: Final = 60.0  # a peer that takes nothing for so long is gone, or means harm
OUTPUT_BYTES_HIGH: Final = 256 * 1024  # from here on nothing more is read that could make us write
# What only the peer itself makes us write: 16 commands of 64 KiB (P4), and answers to what had been read by then.
OUTPUT_BYTES_OWN: Final = 1024 * 1024 + 2 * OUTPUT_BYTES_HIGH
# Written and not taken by the peer. Beside its own: the longest that another device may send it, 3 MiB of a binary and
# 64 KiB before it, on top of OUTPUT_BYTES_HIGH.
OUTPUT_BYTES_MAX: Final = OUTPUT_BYTES_OWN + 3 * 1024 * 1024 + 2 * OUTPUT_BYTES_HIGH
DRAIN_CHECK_S: Final = 0.05  # some loops flush at the end of an iteration and tell nobody when all is written


class StreamEngine(Protocol):
    """What a stream peer needs of protocols/mqtt and protocols/edp."""

    @property
    def is_paused(self) -> bool:
        """Whether the owner should stop reading."""
        ...

    @property
    def buffered_bytes(self) -> int:
        """Input that is held."""
        ...

    def receive_bytes(self, data: bytes, *, now: float) -> None:
        """Take what the stream brought; never raises."""
        ...

    def next_deadline(self) -> float | None:
        """Give when `handle_deadline` wants to be called."""
        ...

    def handle_deadline(self, *, now: float) -> None:
        """Do what is due."""
        ...


class StreamPeer(asyncio.Protocol, ABC):
    """See the module. A subclass sets `engine`, drains its events in `handle_events`, and hears of the end."""

    __slots__ = (
        "_budget",
        "_clock",
        "_drain_timer",
        "_dropped",
        "_due",
        "_held",
        "_is_pumping",
        "_is_reading_paused",
        "_is_writing_paused",
        "_pumps_again",
        "_scheduler",
        "_stalled_at",
        "_taken_bytes",
        "_timer",
        "_transport",
        "_unwritten",
        "_written_bytes",
        "engine",
        "events",
    )

    engine: StreamEngine

    def __init__(self, *, clock: Clock, scheduler: Scheduler, budget: MemoryBudget, events: EventSink) -> None:
        self.events = events
        self._clock = clock
        self._scheduler = scheduler
        self._budget = budget
        self._transport: asyncio.Transport | None = None
        self._held = 0
        self._dropped = ""  # why we gave the stream up
        self._is_reading_paused = False
        self._is_writing_paused = False
        self._is_pumping = False
        self._pumps_again = False
        self._stalled_at: float | None = None
        self._written_bytes = 0  # in all; less what lies in our buffer, it is what the peer has taken
        self._taken_bytes = 0  # at `_stalled_at`
        self._timer: Timer | None = None
        self._due: float | None = None
        self._drain_timer: Timer | None = None
        self._unwritten: deque[Callable[[], object]] | None = None

    # --- what a subclass does -----------------------------------------------------------------------------------

    @abstractmethod
    def handle_events(self) -> None:
        """Take every event of the engine."""

    def heard(self) -> None:
        """Bytes came, and what they led to is done. Pings are no events: only here is a device noticed that pings."""

    @abstractmethod
    def take_output(self) -> bytes:
        """Give what the engine wants written, and forget it."""

    @abstractmethod
    def end_engine(self, detail: str, *, is_ours: bool) -> None:
        """Tell the engine that the stream has ended; how, for a log, and whether it was given up here."""

    @abstractmethod
    def connection_over(self) -> None:
        """The stream has ended, whoever ended it; called once."""

    # --- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection was accepted, with or without a TLS handshake to come; the engine's deadline runs."""
        # uvloop's transports are none of asyncio's classes, but have all of its methods.
        self._transport = stream = cast(asyncio.Transport, transport)
        # Low and high at zero: `resume_writing` then means that everything is written.
        stream.set_write_buffer_limits(high=0)
        self._arm()

    def data_received(self, data: bytes) -> None:
        """Feed the engine."""
        if self._transport is None:
            return
        self.engine.receive_bytes(data, now=self._clock.monotonic())
        self.pump()
        self.heard()

    def eof_received(self) -> bool:
        """The peer sends no more; half a connection is of no use to it."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """The stream has ended."""
        self._transport = None
        self._cancel(self._timer)
        self._cancel(self._drain_timer)
        self._timer = self._drain_timer = self._due = None
        self._unwritten = None
        self._budget.change(self._held, 0)
        self._held = 0
        self.end_engine(self._dropped or self._describe_end(error), is_ours=bool(self._dropped))
        self.handle_events()
        self.connection_over()

    def pause_writing(self) -> None:
        """The peer does not take what we write."""
        self._is_writing_paused = True
        self._note_progress(self._clock.monotonic())
        self._regulate()
        self._arm()

    def resume_writing(self) -> None:
        """Everything is written."""
        self._is_writing_paused = False
        self._stalled_at = None
        self._regulate()
        self._tell_written()

    # --- for subclasses -----------------------------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether nothing more should be read because of what a subclass still has to do."""
        return False

    @property
    def is_full(self) -> bool:
        """Whether the peer leaves so much lying that nothing more should be written that can wait."""
        transport = self._transport
        if transport is None or not self._is_writing_paused:
            return False
        return transport.get_write_buffer_size() > OUTPUT_BYTES_HIGH

    def has_room(self, size: int) -> bool:
        """Whether so many bytes of another device's may be written: enough of the bound is left for its own."""
        transport = self._transport
        return transport is not None and transport.get_write_buffer_size() + size <= OUTPUT_BYTES_MAX - OUTPUT_BYTES_OWN

    @property
    def is_shaking_hands(self) -> bool:
        """Whether a TLS handshake is not done yet."""
        return self._transport is not None and self._transport.get_extra_info(IS_SHAKING_HANDS, False) is True

    @property
    def is_open(self) -> bool:
        """Whether the socket is ours still."""
        return self._transport is not None and not self._transport.is_closing()

    def now(self) -> float:
        """The monotonic clock."""
        return self._clock.monotonic()

    def peer_address(self) -> tuple[str, int] | tuple[str, int, int, int] | None:
        """Where the peer is, as the socket says."""
        address = None if self._transport is None else self._transport.get_extra_info("peername")
        return address if isinstance(address, tuple) else None

    def peer_host(self) -> str:
        """Give the host of that; empty when the socket is gone."""
        address = self.peer_address()
        return "" if address is None else address[0]

    def pump(self) -> None:
        """Handle events, write, and see to reading, memory and the timer: after everything that touched the engine."""
        if self._is_pumping:
            self._pumps_again = True  # from inside an event of this very peer: once more when that is done
            return
        self._is_pumping = True
        try:
            self._pumps_again = True
            while self._pumps_again:
                self._pumps_again = False
                self.handle_events()
                self.flush()
        finally:
            self._is_pumping = False
        self._settle()

    def _settle(self) -> None:
        if self._transport is None:
            return
        held = self.engine.buffered_bytes
        if held != self._held:
            is_within = self._budget.change(self._held, held)
            self._held = held
            if not is_within:
                self.events.emit("stream_dropped_for_memory", held_bytes=held)
                self.abort(f"half-received packets and reports hold more than {self._budget.bytes_max} bytes in all")
                return
        self._regulate()
        self._arm()

    def flush(self) -> None:
        """Write what the engine gives."""
        data = self.take_output()
        transport = self._transport
        if not data or transport is None or transport.is_closing():
            return
        self._written_bytes += len(data)  # first: a transport may say that it is full from inside `write`
        transport.write(data)
        if self._is_writing_paused and transport.get_write_buffer_size() > OUTPUT_BYTES_MAX:
            self.events.emit("stream_dropped_for_output", unread_bytes=transport.get_write_buffer_size())
            self.abort(f"the peer let more than {OUTPUT_BYTES_MAX} bytes pile up")

    def when_written(self, then: Callable[[], object]) -> None:
        """Call `then` once everything written so far has left this process; never when the stream ends before."""
        if self._unwritten is None:
            self._unwritten = deque()
        self._unwritten.append(then)
        if self._drain_timer is None:
            self._drain_timer = self._scheduler.call_later(0.0, self._check_drained)

    def close(self) -> None:
        """End the stream after what is written has left, or when the peer takes none of it for too long."""
        if self._transport is None:
            return
        self.flush()
        self._transport.close()
        self._arm()

    def abort(self, why: str) -> None:
        """End the stream at once; `why` is for a log, the first one counts."""
        self._dropped = self._dropped or why
        if self._transport is not None:
            self._transport.abort()

    # --- inside -------------------------------------------------------------------------------------------------

    def _describe_end(self, error: Exception | None) -> str:
        if error is None:
            return "the peer closed the connection"
        name = str(error) or type(error).__name__
        return name if isinstance(error, HandshakeFailed) else f"the connection broke: {name}"

    def _regulate(self) -> None:
        """Read only while the engine wants more and the peer takes what we write."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        is_full = self._is_writing_paused and self.is_full  # the first word is a quick no for almost every packet
        wants_pause = is_full or self.is_busy or self.engine.is_paused or self._has_undone_input()
        if wants_pause and not self._is_reading_paused:
            self._is_reading_paused = True
            transport.pause_reading()
        elif not wants_pause and self._is_reading_paused:
            self._is_reading_paused = False
            transport.resume_reading()

    def _has_undone_input(self) -> bool:
        """Whether the engine goes on decoding in its next turn; reading meanwhile would only heap up more."""
        if not self._held:
            return False
        deadline = self.engine.next_deadline()
        return deadline is not None and deadline <= self.now()

    def _check_drained(self) -> None:
        self._drain_timer = None
        transport = self._transport
        if transport is None or not self._unwritten:
            return
        if transport.get_write_buffer_size() == 0:
            self._tell_written()
        elif not self._is_writing_paused:  # else resume_writing comes
            self._drain_timer = self._scheduler.call_later(DRAIN_CHECK_S, self._check_drained)

    def _note_progress(self, now: float) -> None:
        self._stalled_at = now
        self._taken_bytes = self._count_taken()

    def _count_taken(self) -> int:
        unread_bytes = 0 if self._transport is None else self._transport.get_write_buffer_size()
        return self._written_bytes - unread_bytes

    def _tell_written(self) -> None:
        waiting, self._unwritten = self._unwritten, None
        for then in waiting or ():
            then()

    def _deadline(self) -> float | None:
        deadline = self.engine.next_deadline()
        if self._stalled_at is None:
            return deadline
        stalled = self._stalled_at + WRITE_STALL_S
        return stalled if deadline is None else min(deadline, stalled)

    def _arm(self) -> None:
        """Keep one timer that is not late; that it is early after each packet costs less than arming it anew."""
        due = None if self._transport is None else self._deadline()
        if due is None or (self._due is not None and self._due <= due):
            return
        self._cancel(self._timer)
        self._due = due
        self._timer = self._scheduler.call_later(max(0.0, due - self.now()), self._wake)

    def _wake(self) -> None:
        self._timer = self._due = None
        if self._transport is None:
            return
        now = self.now()
        if self._stalled_at is not None and now >= self._stalled_at + WRITE_STALL_S:
            if self._count_taken() <= self._taken_bytes:
                self.events.emit("stream_dropped_for_stall", unread_bytes=self._transport.get_write_buffer_size())
                self.abort(f"the peer took nothing of what it is sent for {WRITE_STALL_S:g} s")
                return
            self._note_progress(now)
        deadline = self.engine.next_deadline()
        if deadline is not None and deadline <= now:
            self.engine.handle_deadline(now=now)
            self.pump()
        else:
            self._arm()

    @staticmethod
    def _cancel(timer: Timer | None) -> None:
        if timer is not None:
            timer.cancel()

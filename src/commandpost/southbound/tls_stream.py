"""TLS over a TCP connection of the loop's, for peers that need to know what became of their bytes.

The loop's own TLS says that all is written while the bytes lie below it, and shows a connection to nobody until its
handshake is done. Here a peer has its connection from the accept on, and "written" means that the system has taken it.
Not here: records (tls_records), who is let in. Source: RFC 8446 section 6.1 for goodbyes.
"""

import asyncio
import ssl
from enum import Enum, auto
from typing import Any, Final, cast

from commandpost.domain.ports import Scheduler, Timer
from commandpost.southbound.tls_records import TlsRecords

SHUTDOWN_S: Final = 10.0  # for the peer's own goodbye after ours; a round trip over NB-IoT takes up to 10 s
FEED_BYTES: Final = 32_768  # two records at a time are decrypted; what a peer gets in one call is little more
ROUND_BYTES: Final = 65_536  # encrypted at a time; as much is written beyond what a buffer below should hold
LINGER_BYTES_MAX: Final = 4_194_304  # what a sender has under way over a fast line when it is told that we go
# Answers of OpenSSL's own that wait for a peer that asks for more and more of them: a key update is 22 bytes.
ANSWER_BYTES_MAX: Final = 65_536

IS_SHAKING_HANDS: Final = "is_shaking_hands"  # an extra info; a transport without TLS does not have it


class HandshakeFailed(ConnectionError):
    """The connection ended before its handshake was done."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the TLS handshake was not completed: {why}")


class _Phase(Enum):
    SHAKING = auto()
    """From the accept to the end of the handshake. What the peer writes waits."""
    OPEN = auto()
    CLOSING = auto()
    """The peer has closed: what it wrote goes out, then our goodbye; what comes in is dropped."""
    PARTING = auto()
    """Our goodbye is written; the other end's is waited for, or the end of what it sends."""
    OVER = auto()


class TlsStream(asyncio.Protocol, asyncio.Transport):
    """Towards the loop a protocol, towards its peer a transport, on which the peer's stream begins at the accept.

    `get_extra_info(IS_SHAKING_HANDS)` says whether the handshake is still going on. Until it is done writes wait,
    and `close` is an `abort`: there is nobody yet to whom a goodbye could be said.
    """

    __slots__ = (
        "_answer_bytes",
        "_context",
        "_error",
        "_input",
        "_is_cut_off",
        "_is_peer_paused",
        "_is_raw_full",
        "_is_raw_paused",
        "_is_reading_paused",
        "_left_bytes",
        "_lingering_bytes",
        "_peer",
        "_phase",
        "_raw",
        "_records",
        "_scheduler",
        "_timer",
        "_unsent",
    )

    def __init__(self, peer: asyncio.Protocol, context: ssl.SSLContext, scheduler: Scheduler) -> None:
        super().__init__()
        self._peer = peer
        self._context = context
        self._scheduler = scheduler
        self._raw: asyncio.Transport | None = None
        self._records: TlsRecords | None = None  # who never says a word costs nothing
        self._phase = _Phase.SHAKING
        self._input = b""
        """Ciphertext that waits for a peer that wants nothing now; reading below is paused meanwhile."""
        self._unsent = bytearray()
        """Plaintext that waits for room below, or for the handshake; the peer is told to pause meanwhile."""
        self._is_raw_full = False
        self._is_peer_paused = False
        self._is_raw_paused = False
        self._is_reading_paused = False
        self._is_cut_off = False
        """Whether the stream below has ended."""
        self._answer_bytes = 0
        self._lingering_bytes = 0
        self._error: Exception | None = None
        self._timer: Timer | None = None
        self._left_bytes = 0

    # --- asyncio.Protocol: what the loop says ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection was accepted."""
        # uvloop's transports are none of asyncio's classes, but have all of its methods.
        self._raw = cast(asyncio.Transport, transport)
        self._peer.connection_made(self)

    def data_received(self, data: bytes) -> None:
        """Shake hands, decrypt, and hand on."""
        if self._is_open():
            self._input = self._input + data if self._input else data
            self._take_in()
        elif self._phase is not _Phase.OVER:
            self._lingering_bytes += len(data)
            if self._lingering_bytes > LINGER_BYTES_MAX:
                self.abort()

    def eof_received(self) -> bool:
        """The other end sends no more. Without a goodbye before, that may be somebody else's doing."""
        self._is_cut_off = True
        if self._phase is _Phase.OPEN:
            self._take_in()
        # While what came before it waits for the peer, or what was written for room, it is not the end yet.
        return self._phase is _Phase.OPEN or self._phase is _Phase.CLOSING

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        error = self._error or error
        if self._phase is _Phase.SHAKING:
            error = HandshakeFailed("the peer left" if error is None else str(error) or type(error).__name__)
        self._end()
        self._disarm()
        peer, self._peer = self._peer, asyncio.Protocol()  # nobody: two that hold each other are not freed at once
        peer.connection_lost(error)

    def pause_writing(self) -> None:
        """There is no room below."""
        self._is_raw_full = True
        self._pause_peer()

    def resume_writing(self) -> None:
        """There is room again."""
        self._is_raw_full = False
        self._answer_bytes = 0
        self._send_unsent()

    # --- asyncio.Transport: what the peer says -----------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send, or keep what cannot be sent now."""
        if not self._unsent:
            data = data if len(data) <= ROUND_BYTES else memoryview(data)
            while len(data) and self._phase is _Phase.OPEN and not self._is_raw_full:
                self._encrypt(data[:ROUND_BYTES])
                data = data[ROUND_BYTES:]
        if len(data) and self._is_open():
            self._unsent += data
            self._pause_peer()

    def get_write_buffer_size(self) -> int:
        """Whatever the system has not taken, here and below."""
        return len(self._unsent) + (0 if self._raw is None else self._raw.get_write_buffer_size())

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when there is no room below, and with that when the peer is told to pause."""
        self._below.set_write_buffer_limits(high=high, low=low)

    def can_write_eof(self) -> bool:
        """No: `close` sends all, says goodbye and waits for the other end's."""
        return False

    def pause_reading(self) -> None:
        """Hand on no more; the handshake goes on."""
        self._is_reading_paused = True
        if self._phase is _Phase.OPEN:
            self._pause_raw()

    def resume_reading(self) -> None:
        """Hand on again: what waits, in the next turn of the loop, before what comes."""
        self._is_reading_paused = False
        if self._phase is not _Phase.OPEN:
            return
        if self._input or self._has_ended():
            self._scheduler.call_soon(self._resume)
        else:
            self._resume_raw()

    def is_reading(self) -> bool:
        """Whether what comes is handed on."""
        return not self._is_reading_paused and not self.is_closing()

    def is_closing(self) -> bool:
        """Whether nothing more can be written."""
        return not self._is_open() or self._below.is_closing()

    def close(self) -> None:
        """Send what is written, say goodbye, and end when the other end has, or takes too long."""
        if self._phase is _Phase.SHAKING:
            self.abort()
        elif self._phase is _Phase.OPEN:
            self._phase = _Phase.CLOSING
            self._input = b""
            self._arm()
            self._resume_raw()  # to be dropped: who is stuck with a full pipe takes nothing either
            self._send_unsent()

    def abort(self) -> None:
        """End at once."""
        self._end()
        self._below.abort()

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # Any: asyncio's own signature
        """Give what is known of the connection, by asyncio's names."""
        if name == IS_SHAKING_HANDS:
            return self._phase is _Phase.SHAKING
        if name == "sslcontext":
            return self._context
        if name == "ssl_object":
            return default if self._records is None else self._records.connection
        return default if self._raw is None else self._raw.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Take another peer."""
        self._peer = cast(asyncio.Protocol, protocol)  # asyncio's own signature is wider than what is of use

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Give the peer."""
        return self._peer

    # --- inside: in --------------------------------------------------------------------------------------------------

    @property
    def _below(self) -> asyncio.Transport:
        assert self._raw is not None, "a peer has its transport from the accept on"
        return self._raw

    def _is_open(self) -> bool:
        return self._phase is _Phase.OPEN or self._phase is _Phase.SHAKING

    def _take_in(self) -> None:
        """Do with what came whatever can be done with it now."""
        whole, self._input = self._input, b""
        at = 0
        while at < len(whole) and self._wants_input():
            self._feed(whole if len(whole) <= FEED_BYTES else memoryview(whole)[at : at + FEED_BYTES])
            at += FEED_BYTES
        if self._phase is _Phase.OPEN and not self._is_reading_paused and self._has_ended():
            self._take_end()
        elif at < len(whole) and self._is_open():
            self._input = whole[at:]

    def _wants_input(self) -> bool:
        if self._phase is _Phase.OPEN:
            return not self._is_reading_paused and not self._has_failed()
        return self._phase is _Phase.SHAKING

    def _feed(self, data: bytes | memoryview) -> None:
        records = self._records
        if records is None:
            records = self._records = TlsRecords(self._context)
        said = records.receive(data)
        if output := records.take_output():
            self._answer(output)
        if self._phase is _Phase.SHAKING:
            if records.failure is not None:
                self._give_up(HandshakeFailed(str(records.failure)))
            elif records.is_shaken:
                self._begin()
        if said and self._phase is _Phase.OPEN:
            self._peer.data_received(said)

    def _begin(self) -> None:
        """The handshake is done."""
        self._phase = _Phase.OPEN
        if self._is_reading_paused:
            self._pause_raw()
        self._send_unsent()

    def _has_failed(self) -> bool:
        return self._records is not None and (self._records.failure is not None or self._records.is_ended)

    def _has_ended(self) -> bool:
        return self._is_cut_off or self._has_failed()

    def _take_end(self) -> None:
        """Nothing follows what the peer has got."""
        records = self._records
        assert records is not None
        if records.is_ended:
            self._peer.eof_received()
            self.close()
        elif records.failure is not None:
            self._give_up(records.failure)
        else:
            self._give_up(ConnectionAbortedError("the peer left without a TLS goodbye"))

    def _resume(self) -> None:
        """Hand on what waits, unless the peer has thought better of it."""
        try:
            self._take_in()
            if not self._is_reading_paused:
                self._resume_raw()
        except Exception:
            self.abort()  # as the loop does when a protocol fails in a call of the loop's
            raise

    def _pause_raw(self) -> None:
        if not self._is_raw_paused:
            self._is_raw_paused = True
            self._below.pause_reading()

    def _resume_raw(self) -> None:
        if self._is_raw_paused and not self._below.is_closing():
            self._is_raw_paused = False
            self._below.resume_reading()

    # --- inside: out -------------------------------------------------------------------------------------------------

    def _encrypt(self, data: bytes | bytearray | memoryview) -> None:
        raw = self._raw
        assert self._records is not None and raw is not None
        if raw.is_closing():
            return  # it broke, and says so in the loop's next turn
        try:
            records = self._records.encrypt(data)
        except ssl.SSLError as error:
            self._give_up(error)
        else:
            raw.write(records)

    def _answer(self, output: bytes) -> None:
        """Send what OpenSSL answers of its own; who asks for more than it takes is let go."""
        self._below.write(output)
        if self._is_raw_full:
            self._answer_bytes += len(output)
            if self._answer_bytes > ANSWER_BYTES_MAX:
                self._error = ConnectionAbortedError("the peer asks for answers that it does not take")
                self.abort()

    def _send_unsent(self) -> None:
        """Send what waits as far as there is room, then whatever waited for that."""
        while self._unsent and not self._is_raw_full and self._phase in (_Phase.OPEN, _Phase.CLOSING):
            data = self._unsent[:ROUND_BYTES]
            del self._unsent[:ROUND_BYTES]
            self._encrypt(data)
        if self._phase is _Phase.CLOSING and not self._unsent:
            self._say_goodbye()
        if self._is_peer_paused and not self._unsent and not self._is_raw_full:
            self._is_peer_paused = False
            self._peer.resume_writing()

    def _pause_peer(self) -> None:
        if not self._is_peer_paused:
            self._is_peer_paused = True
            self._peer.pause_writing()

    # --- inside: ends ------------------------------------------------------------------------------------------------

    def _say_goodbye(self) -> None:
        assert self._records is not None
        self._phase = _Phase.PARTING
        self._below.write(self._records.goodbye())
        if self._records.is_ended or self._is_cut_off:
            self._below.close()
        else:
            # Closed at once, with unread bytes on our side, what was written would be lost to a reset.
            self._below.write_eof()

    def _give_up(self, error: Exception) -> None:
        """End a connection that is of no use any more; an alert that says why has its chance."""
        self._error = error
        self._end()
        self._arm()
        self._below.close()

    def _end(self) -> None:
        self._phase = _Phase.OVER
        self._input = b""
        self._unsent.clear()

    def _arm(self) -> None:
        self._disarm()
        self._left_bytes = self.get_write_buffer_size()
        self._timer = self._scheduler.call_later(SHUTDOWN_S, self._look_for_progress)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_for_progress(self) -> None:
        """End a connection on which nothing was taken since the last look."""
        self._timer = None
        if self.get_write_buffer_size() < self._left_bytes:
            self._arm()
        else:
            self._error = self._error or TimeoutError("the peer did not end the connection after our TLS goodbye")
            self.abort()

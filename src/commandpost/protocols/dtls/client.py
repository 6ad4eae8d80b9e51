"""The DTLS client of one device: for simulated devices and for tests, on the server's own record layer.

Its owner decides where datagrams go and come from, so a device that changes its address needs nothing of it. Source:
RFC 6347, RFC 4279, RFC 9146.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from commandpost.protocols.dtls.alerts import HandshakeFault, encode_alert, is_close, is_fatal
from commandpost.protocols.dtls.client_handshake import ClientHandshake, ClientParameters
from commandpost.protocols.dtls.handshake_messages import Fragment, split_fragments
from commandpost.protocols.dtls.reassembly import Reassembler
from commandpost.protocols.dtls.record_protection import RandomBytes
from commandpost.protocols.dtls.records import Record, encode_record, split_records
from commandpost.protocols.dtls.registries import (
    SEQUENCE_MAX,
    AlertDescription,
    AlertLevel,
    ContentType,
    HandshakeType,
)
from commandpost.protocols.dtls.traffic import PROTECTED_EPOCH, Traffic
from commandpost.protocols.errors import DecodeError, EncodeError

__all__ = ["ClientClosed", "ClientEnd", "ClientOpened", "ClientParameters", "DtlsClient", "PayloadReceived"]

SERVER_MESSAGE_BYTES_MAX: Final = 2_048  # a ServerHello with every extension, or a long identity hint


class ClientEnd(Enum):
    """Why it is over."""

    CLOSED_HERE = "closed_here"
    CLOSED_BY_PEER = "closed_by_peer"
    REFUSED = "refused"
    """The server sent a fatal alert."""
    FAILED = "failed"
    """The server's handshake was not acceptable."""
    TIMED_OUT = "timed_out"
    """A flight was never answered."""


@dataclass(frozen=True, slots=True)
class ClientOpened:
    """The server has proved that it holds the key too."""


@dataclass(frozen=True, slots=True)
class PayloadReceived:
    """An authentic payload, never a replay."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class ClientClosed:
    """The end; a new client begins anew.

    Attributes:
        alert: what the server said, if it did.
    """

    reason: ClientEnd
    alert: int | None = None


ClientEvent: TypeAlias = ClientOpened | PayloadReceived | ClientClosed


class DtlsClient:
    """One handshake and the association it leads to.

    Call `start`, feed it every datagram and, when `next_deadline` has come, the time; after each call drain
    `next_event` and `datagrams_to_send`.
    """

    __slots__ = (
        "_datagrams",
        "_deadline",
        "_events",
        "_flight_timeout_s",
        "_handshake",
        "_is_over",
        "_parameters",
        "_plain_sequence",
        "_random_bytes",
        "_reassembler",
        "_transmissions",
    )

    def __init__(self, parameters: ClientParameters, *, random_bytes: RandomBytes) -> None:
        self._parameters = parameters
        self._random_bytes = random_bytes
        self._handshake = ClientHandshake(parameters, random_bytes=random_bytes)
        self._reassembler = Reassembler(next_number=0, message_bytes_max=SERVER_MESSAGE_BYTES_MAX)
        self._events: deque[ClientEvent] = deque()
        self._datagrams: list[bytes] = []
        self._deadline: float | None = None
        self._flight_timeout_s = parameters.flight_timeout_s
        self._transmissions = 0
        self._plain_sequence = 0
        self._is_over = False

    @property
    def is_open(self) -> bool:
        """Tell whether payloads can be sent."""
        return self._handshake.is_done and not self._is_over

    def start(self, *, now: float) -> None:
        """Say hello."""
        self._begin_flight(now)

    def receive_datagram(self, data: bytes, *, now: float) -> None:
        """Take one datagram; whatever it holds, nothing is raised."""
        for record in split_records(data, connection_id_bytes=len(self._parameters.connection_id or b"")):
            if self._is_over:
                return
            try:
                if record.epoch == 0:
                    self._take_plain(record, now=now)
                else:
                    self._take_protected(record, now=now)
            except DecodeError:
                continue
            except HandshakeFault as fault:
                self._refuse(fault)

    def next_event(self) -> ClientEvent | None:
        """Give the next event, in the order they happened; None if there is no more."""
        return self._events.popleft() if self._events else None

    def datagrams_to_send(self) -> list[bytes]:
        """Give what is to be sent, in order, and forget it."""
        datagrams, self._datagrams = self._datagrams, []
        return datagrams

    def next_deadline(self) -> float | None:
        """Give the time at which `handle_deadline` wants to be called; None if nothing waits."""
        return self._deadline

    def handle_deadline(self, *, now: float) -> None:
        """Repeat the flight, or give up."""
        if self._deadline is None or now < self._deadline:
            return
        if self._transmissions >= self._parameters.flight_transmissions_max:
            self._end(ClientEnd.TIMED_OUT)
            return
        self._flight_timeout_s = min(2 * self._flight_timeout_s, self._parameters.flight_timeout_max_s)
        self._send_flight(now)

    def send(self, payload: bytes, *, now: float) -> None:
        """Send a payload in one record.

        Raises:
            EncodeError: it is larger than a record may be, or the client is not open, or has no number left.
        """
        traffic = self._traffic()
        if not self.is_open or len(payload) > traffic.payload_bytes_max or traffic.write_sequence >= SEQUENCE_MAX:
            raise EncodeError(f"{len(payload)} bytes cannot be sent now")
        self._datagrams.append(traffic.seal(ContentType.APPLICATION_DATA, payload, random_bytes=self._random_bytes))

    def close(self, *, now: float) -> None:
        """Say goodbye."""
        if self._is_over:
            return
        if self._handshake.is_done:
            self._say_goodbye()
        self._end(ClientEnd.CLOSED_HERE)

    def _traffic(self) -> Traffic:
        if self._handshake.traffic is None:
            raise EncodeError("there are no keys yet")
        return self._handshake.traffic

    def _take_plain(self, record: Record, *, now: float) -> None:
        if record.content_type == ContentType.HANDSHAKE:
            for fragment in split_fragments(record.body):
                self._take_fragment(fragment, now=now)
        elif record.content_type == ContentType.ALERT and is_fatal(record.body) and not self._handshake.is_done:
            self._end(ClientEnd.REFUSED, alert=record.body[1])
        # ChangeCipherSpec is not waited for: the epoch of a record says what it would say, and cannot be forged.

    def _take_protected(self, record: Record, *, now: float) -> None:
        traffic = self._handshake.traffic
        if traffic is None or traffic.window.has_seen(record.sequence):
            return
        opened = traffic.open(record)
        if opened is None:
            return
        traffic.window.note(record.sequence)
        content_type, content = opened
        if content_type == ContentType.HANDSHAKE and not self._handshake.is_done:
            for fragment in split_fragments(content):
                self._take_fragment(fragment, now=now)
        elif content_type == ContentType.APPLICATION_DATA and self._handshake.is_done:
            self._events.append(PayloadReceived(content))
        elif content_type == ContentType.ALERT and is_close(content):
            if self._handshake.is_done:
                self._say_goodbye()
            self._end(ClientEnd.CLOSED_BY_PEER)
        elif content_type == ContentType.ALERT and is_fatal(content):
            self._end(ClientEnd.REFUSED, alert=content[1])

    def _take_fragment(self, fragment: Fragment, *, now: float) -> None:
        handshake = self._handshake
        is_repeated = fragment.message_number < self._reassembler.next_number
        if is_repeated and fragment.message_type == HandshakeType.SERVER_HELLO_DONE and handshake.awaits_finished:
            self._send_flight(now)  # RFC 6347 section 4.2.4: the server has not got our flight
            return
        self._reassembler.add(fragment)
        while (message := self._reassembler.next_message()) is not None:
            flight = handshake.flight
            handshake.take(*message)
            if handshake.is_done:
                self._deadline = None
                self._events.append(ClientOpened())
            elif handshake.flight is not flight:
                self._begin_flight(now)

    def _begin_flight(self, now: float) -> None:
        self._transmissions = 0
        self._flight_timeout_s = self._parameters.flight_timeout_s
        self._send_flight(now)

    def _send_flight(self, now: float) -> None:
        datagram = b""
        for epoch, content_type, body in self._handshake.flight:
            if epoch == PROTECTED_EPOCH:
                datagram += self._traffic().seal(content_type, body, random_bytes=self._random_bytes)
            else:
                sequence = self._plain_sequence
                datagram += encode_record(content_type, epoch=0, sequence=sequence, body=body)
                self._plain_sequence += 1
        self._datagrams.append(datagram)
        self._transmissions += 1
        self._deadline = now + self._flight_timeout_s

    def _refuse(self, fault: HandshakeFault) -> None:
        alert = encode_alert(AlertLevel.FATAL, fault.description)
        self._datagrams.append(encode_record(ContentType.ALERT, epoch=0, sequence=self._plain_sequence, body=alert))
        self._end(ClientEnd.FAILED)

    def _say_goodbye(self) -> None:
        alert = encode_alert(AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY)
        self._datagrams.append(self._traffic().seal(ContentType.ALERT, alert, random_bytes=self._random_bytes))

    def _end(self, reason: ClientEnd, *, alert: int | None = None) -> None:
        self._is_over = True
        self._deadline = None
        self._events.append(ClientClosed(reason, alert))

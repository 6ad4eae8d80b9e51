"""The client's end of one MQTT connection: what a simulated device needs.

Source: MQTT 3.1.1 and MQTT 5.0, chapters 3 and 4.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from commandpost.protocols.mqtt.body_decoder import decode_body
from commandpost.protocols.mqtt.codec import PINGREQ, encode
from commandpost.protocols.mqtt.connection import ACKNOWLEDGEMENT_FIRSTS, ConnectionState, MqttConnection
from commandpost.protocols.mqtt.errors import PacketError
from commandpost.protocols.mqtt.events import (
    ClientEvent,
    CloseReason,
    Connected,
    ConnectionClosed,
    ConnectRefused,
    MessageRefused,
    SubscribeAnswered,
    UnsubscribeAnswered,
)
from commandpost.protocols.mqtt.packet_types import Version
from commandpost.protocols.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingresp,
    Suback,
    Subscribe,
    SubscriptionEntry,
    Unsuback,
    Unsubscribe,
)
from commandpost.protocols.mqtt.properties import NO_PROPERTIES, Properties
from commandpost.protocols.mqtt.reason_codes import DISCONNECT_REASONS, ReasonCode

if TYPE_CHECKING:
    from commandpost.protocols.mqtt.limits import MqttLimits
    from commandpost.protocols.mqtt.session import MqttSession


class MqttClientConnection(MqttConnection[ClientEvent]):
    """One connection to a server. Call `connect` first, once the transport is there."""

    __slots__ = (
        "_connect",
        "_connect_session",
        "_keepalive_s",
        "_last_sent_at",
        "_pinged_at",
        "_subscribes",
        "_unsubscribes",
    )

    def __init__(self, *, limits: MqttLimits, now: float) -> None:
        super().__init__(limits=limits, now=now, body_bytes_max=limits.packet_bytes_max)
        self._connect: Connect | None = None  # until it is answered
        self._connect_session: MqttSession | None = None  # the same
        self._keepalive_s = 0
        self._last_sent_at = now
        self._pinged_at: float | None = None  # a PINGREQ waits for its answer
        self._subscribes: dict[int, tuple[SubscriptionEntry, ...]] = {}
        self._unsubscribes: dict[int, tuple[str, ...]] = {}

    # What the driver calls.

    @property
    def is_paused(self) -> bool:
        """Tell whether the owner should stop reading, because too much waits for its acknowledgements."""
        return self._inbound is not None and self._inbound.is_full and self._state is ConnectionState.OPEN

    def bytes_to_send(self) -> list[bytes]:
        """Give the packets to send, in order, and forget them."""
        chunks = super().bytes_to_send()
        if chunks:
            self._last_sent_at = self._channel.now
        return chunks

    def next_deadline(self) -> float | None:
        """Give the time at which `handle_deadline` wants to be called; None if nothing waits."""
        limits = self._channel.limits
        match self._state:
            case ConnectionState.CLOSED | ConnectionState.AWAITING_CONNECT:
                return None
            case ConnectionState.AWAITING_DECISION:
                return self._last_packet_at + limits.login_s
            case ConnectionState.OPEN:
                if self._has_more:
                    return self._channel.now
                due = [] if self._packet_begun_at is None else [self._packet_begun_at + limits.packet_s]
                if self._pinged_at is not None:
                    due.append(self._pinged_at + limits.ping_s)
                elif self._keepalive_s:
                    due.append(self._last_sent_at + self._keepalive_s)
                return None if self.is_paused else min(due, default=None)

    def handle_deadline(self, *, now: float) -> None:
        """Do what is due: ping, end a connection that does not answer, or go on decoding."""
        channel = self._channel
        channel.now = now
        self._has_more = False
        due = self.next_deadline()
        if due is None or now < due:
            return
        if self._state is ConnectionState.AWAITING_DECISION:
            self._close(CloseReason.LOGIN_TIMED_OUT, ReasonCode.KEEP_ALIVE_TIMEOUT)
        elif self._was_paused:
            # What came while the owner kept the peer waiting was read late; silence counts from here.
            self._was_paused = False
            self._pinged_at = None if self._pinged_at is None else now
            self._packet_begun_at = None if self._packet_begun_at is None else now
        elif self._packet_begun_at is not None and now >= self._packet_begun_at + channel.limits.packet_s:
            self._close(CloseReason.PACKET_TIMED_OUT, ReasonCode.KEEP_ALIVE_TIMEOUT)
        elif self._pinged_at is not None:
            self._close(CloseReason.KEEPALIVE_TIMED_OUT, ReasonCode.KEEP_ALIVE_TIMEOUT)
        else:
            self._pinged_at = now
            channel.send(PINGREQ)

    def connection_lost(self, detail: str = "the stream has ended") -> None:
        """Note that the transport has ended; `detail` says how, for a log."""
        self._close(CloseReason.PEER_LOST, ReasonCode.UNSPECIFIED_ERROR)

    # What the owner asks for; see also `acknowledge` and `publish`.

    def connect(self, packet: Connect, session: MqttSession, *, now: float) -> None:
        """Send the CONNECT.

        Args:
            packet: what this end takes (Receive Maximum, packet size, aliases) is put in, if it is MQTT 5.
            session: of this client id, with what an earlier connection left; it is emptied of exchanges if the server
                has none.
        """
        if self._state is not ConnectionState.AWAITING_CONNECT:
            raise ValueError(f"a connection {self._state.value} cannot begin")
        channel = self._channel
        channel.now = now
        channel.version = packet.version
        if packet.version is Version.V5:
            limits, properties = channel.limits, packet.properties
            properties = replace(
                properties,
                receive_maximum=properties.receive_maximum or limits.inbound_unacknowledged_max,
                topic_alias_maximum=limits.topic_aliases_max,
                maximum_packet_bytes=properties.maximum_packet_bytes or limits.packet_bytes_max,
            )
            packet = replace(packet, properties=properties)
        self._state = ConnectionState.AWAITING_DECISION
        self._connect = packet
        self._connect_session = session
        self._last_packet_at = now
        self._send_packet(packet)

    def subscribe(self, *entries: SubscriptionEntry, properties: Properties = NO_PROPERTIES) -> int:
        """Ask for messages; `SubscribeAnswered` comes with the packet id this gives.

        Raises:
            ValueError: it is not open, or too many requests wait for an answer.
        """
        packet_id = self._begin_request()
        self._subscribes[packet_id] = entries
        self._send_packet(Subscribe(packet_id=packet_id, entries=entries, properties=properties))
        return packet_id

    def unsubscribe(self, *topic_filters: str, properties: Properties = NO_PROPERTIES) -> int:
        """Ask for no more of some messages; `UnsubscribeAnswered` comes with the packet id this gives.

        Raises:
            ValueError: it is not open, or too many requests wait for an answer.
        """
        packet_id = self._begin_request()
        self._unsubscribes[packet_id] = topic_filters
        self._send_packet(Unsubscribe(packet_id=packet_id, topic_filters=topic_filters, properties=properties))
        return packet_id

    def disconnect(self, reason: ReasonCode = ReasonCode.SUCCESS, *, properties: Properties = NO_PROPERTIES) -> None:
        """Say goodbye and end the connection; in MQTT 5 a reason may ask for the will all the same."""
        if self._state is ConnectionState.OPEN:
            self._send_packet(Disconnect(reason=reason, properties=properties))
        self._close(CloseReason.LOCAL, reason)

    def _begin_request(self) -> int:
        session = self._session
        if session is None or self._state is not ConnectionState.OPEN:
            raise ValueError(f"a connection {self._state.value} takes no subscriptions")
        waiting = len(self._subscribes) + len(self._unsubscribes)
        if waiting >= self._channel.limits.requests_unanswered_max:
            raise ValueError(f"{waiting} requests wait for an answer")
        return session.reserve_packet_id()

    # What comes.

    def _receive_packet(self, first: int, body: bytes) -> None:
        channel = self._channel
        if self._state is ConnectionState.OPEN and first in ACKNOWLEDGEMENT_FIRSTS:
            self._receive_acknowledgement(first, body)
            return
        packet = decode_body(first, body, channel.version, entries_max=channel.limits.subscribe_entries_max)
        if self._state is not ConnectionState.OPEN:
            if not isinstance(packet, Connack):
                raise PacketError("the first packet is a CONNACK", reason=ReasonCode.PROTOCOL_ERROR)
            self._receive_connack(packet)
            return
        match packet:
            case Pingresp():
                self._pinged_at = None
            case Suback():
                self._receive_suback(packet)
            case Unsuback():
                self._receive_unsuback(packet)
            case Disconnect() if channel.version is Version.V5:
                self._close(CloseReason.PEER_DISCONNECTED, packet.reason, is_clean=True)
            case _:
                raise PacketError(f"{type(packet).__name__} may not come here", reason=ReasonCode.PROTOCOL_ERROR)

    def _receive_connack(self, packet: Connack) -> None:
        connect, session = self._connect, self._connect_session
        assert connect is not None and session is not None  # the state says so
        properties, channel = packet.properties, self._channel
        if packet.reason.is_failure:
            channel.events.append(ConnectRefused(reason=packet.reason, properties=properties))
            self._close(CloseReason.REFUSED, packet.reason)
            return
        if packet.session_present and connect.clean_start:
            raise PacketError("a session is present that was not wanted", reason=ReasonCode.PROTOCOL_ERROR)
        self._connect = self._connect_session = None
        if properties.assigned_client_identifier is not None:
            session.client_id = properties.assigned_client_identifier
        if properties.maximum_packet_bytes is not None:
            channel.peer_packet_bytes_max = properties.maximum_packet_bytes
        expected_s = properties.server_keepalive_s
        self._keepalive_s = connect.keepalive_s if expected_s is None else expected_s
        channel.events.append(Connected(session_present=packet.session_present, properties=properties))
        if not packet.session_present:
            # MQTT 5.0 section 3.2.2.1.1: what the server has forgotten the client forgets too.
            for delivery in session.discard_exchanges():
                if delivery.tag is not None:
                    unknown = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
                    channel.events.append(MessageRefused(tag=delivery.tag, reason=unknown))
        self._open(session, receive_maximum=properties.receive_maximum)

    def _receive_suback(self, packet: Suback) -> None:
        entries = self._subscribes.pop(packet.packet_id, None)
        if entries is None or len(entries) != len(packet.reasons) or self._session is None:
            raise PacketError(f"SUBACK {packet.packet_id} answers nothing", reason=ReasonCode.PROTOCOL_ERROR)
        self._session.free_packet_id(packet.packet_id)
        for entry, reason in zip(entries, packet.reasons, strict=True):
            if not reason.is_failure:
                self._session.subscribe(entry.topic_filter, replace(entry.options, qos=int(reason)))
        self._channel.events.append(
            SubscribeAnswered(packet_id=packet.packet_id, reasons=packet.reasons, properties=packet.properties)
        )

    def _receive_unsuback(self, packet: Unsuback) -> None:
        filters = self._unsubscribes.pop(packet.packet_id, None)
        # In 3.1.1 an UNSUBACK has no codes: everything is unsubscribed.
        reasons = packet.reasons if self._channel.version is Version.V5 else (ReasonCode.SUCCESS,) * len(filters or ())
        if filters is None or len(filters) != len(reasons) or self._session is None:
            raise PacketError(f"UNSUBACK {packet.packet_id} answers nothing", reason=ReasonCode.PROTOCOL_ERROR)
        self._session.free_packet_id(packet.packet_id)
        for topic_filter, reason in zip(filters, reasons, strict=True):
            if not reason.is_failure:
                self._session.unsubscribe(topic_filter)
        self._channel.events.append(
            UnsubscribeAnswered(packet_id=packet.packet_id, reasons=reasons, properties=packet.properties)
        )

    # What goes, and the end.

    def _send_packet(self, packet: Packet) -> None:
        self._channel.send(encode(packet, self._channel.version))

    def _fail(self, error: PacketError) -> None:
        if self._state is ConnectionState.OPEN and self._channel.version is Version.V5:
            reason = error.reason if error.reason in DISCONNECT_REASONS else ReasonCode.PROTOCOL_ERROR
            self._send_packet(Disconnect(reason=reason))
        self._close(self._close_reason(error), error.reason, detail=str(error))

    def _end_refused(self, reason: ReasonCode) -> None:
        self._close(CloseReason.LOCAL, reason)

    def _close(self, reason: CloseReason, code: ReasonCode, *, is_clean: bool = False, detail: str = "") -> None:
        if self._state is ConnectionState.CLOSED:
            return
        self._end()
        for packet_id in (*self._subscribes, *self._unsubscribes):
            assert self._session is not None  # requests are only made on an open connection
            self._session.free_packet_id(packet_id)
        self._connect = self._connect_session = None
        self._channel.events.append(ConnectionClosed(reason=reason, code=code, is_clean=is_clean, detail=detail))

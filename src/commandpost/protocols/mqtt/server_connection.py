"""The server's end of one MQTT connection: bytes, the owner's answers and `now` in; bytes, events and a deadline out.

Who may log in, where a message goes and what is kept is the owner's matter.
Source: MQTT 3.1.1 and MQTT 5.0, chapters 3 and 4.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from commandpost.protocols.mqtt.body_decoder import decode_body, peek_version
from commandpost.protocols.mqtt.codec import PINGRESP, encode
from commandpost.protocols.mqtt.connection import ACKNOWLEDGEMENT_FIRSTS, ConnectionState, MqttConnection
from commandpost.protocols.mqtt.endings import half_a_packet, no_connect, no_decision, no_packet, spelled
from commandpost.protocols.mqtt.errors import PacketError
from commandpost.protocols.mqtt.events import (
    CloseReason,
    ConnectionClosed,
    ConnectRequested,
    ServerEvent,
    SubscribeReceived,
    UnsubscribeReceived,
)
from commandpost.protocols.mqtt.packet_types import PacketType, Version
from commandpost.protocols.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Suback,
    Subscribe,
    SubscriptionEntry,
    Unsuback,
    Unsubscribe,
)
from commandpost.protocols.mqtt.properties import NO_PROPERTIES, Properties
from commandpost.protocols.mqtt.reason_codes import CONNACK_REASONS, DISCONNECT_REASONS, ReasonCode
from commandpost.protocols.mqtt.unanswered import take_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from commandpost.protocols.mqtt.limits import MqttLimits
    from commandpost.protocols.mqtt.packets import Will
    from commandpost.protocols.mqtt.session import MqttSession

_PINGREQ_FIRST = PacketType.PINGREQ << 4


class MqttServerConnection(MqttConnection[ServerEvent]):
    """One connection of a device."""

    __slots__ = (
        "_connect",
        "_keepalive_due_s",
        "_session_expiry_s",
        "_subscribes",
        "_unsubscribes",
        "_will",
    )

    def __init__(self, *, limits: MqttLimits, now: float) -> None:
        super().__init__(limits=limits, now=now, body_bytes_max=limits.connect_bytes_max)
        self._connect: Connect | None = None  # until it is accepted
        # What the owner has not answered, by packet id: one request of the two kinds together, since nothing is read
        # behind it. Made when needed: most of the time there is nothing.
        self._subscribes: dict[int, tuple[SubscriptionEntry, ...]] | None = None
        self._unsubscribes: dict[int, tuple[str, ...]] | None = None
        self._will: Will | None = None
        self._session_expiry_s = 0
        self._keepalive_due_s: float | None = None

    # What the driver calls.

    @property
    def is_paused(self) -> bool:
        """Tell whether the owner should stop reading, because too much waits for its answers.

        One SUBSCRIBE or UNSUBSCRIBE is enough: what its sender sent after it is to find it in effect.
        """
        if self._inbound is None:
            return self._state is ConnectionState.AWAITING_DECISION
        if not (self._inbound.is_full or self._subscribes or self._unsubscribes):
            return False
        return self._state is ConnectionState.OPEN

    def next_deadline(self) -> float | None:
        """Give the time at which `handle_deadline` wants to be called; None if nothing waits."""
        limits = self._channel.limits
        match self._state:
            case ConnectionState.CLOSED:
                return None
            case ConnectionState.AWAITING_CONNECT:
                # No whole packet came yet, so it is since the beginning; a byte now and then does not prolong it.
                return self._last_packet_at + limits.login_s
            case ConnectionState.AWAITING_DECISION:
                return self._last_packet_at + limits.decision_s
            case ConnectionState.OPEN:
                return self._channel.now if self._has_more else self._silence_due_at()

    def handle_deadline(self, *, now: float) -> None:
        """Do what is due: end a connection that has been silent for too long, or go on decoding."""
        limits = self._channel.limits
        self._channel.now = now
        self._has_more = False
        due = self.next_deadline()
        if due is None or now < due:
            return
        if self._state is ConnectionState.AWAITING_CONNECT:
            self._close(CloseReason.LOGIN_TIMED_OUT, ReasonCode.KEEP_ALIVE_TIMEOUT, detail=no_connect(limits))
        elif self._state is ConnectionState.AWAITING_DECISION:
            self._send_packet(Connack(reason=ReasonCode.SERVER_UNAVAILABLE))
            self._close(CloseReason.LOGIN_TIMED_OUT, ReasonCode.SERVER_UNAVAILABLE, detail=no_decision(limits))
        elif self._was_paused:
            # What came while the owner kept the peer waiting was read late; silence counts from here.
            self._was_paused = False
            self._last_packet_at = now
            self._packet_begun_at = None if self._packet_begun_at is None else now
        else:
            silence_s = self._keepalive_due_s
            self._send_disconnect(ReasonCode.KEEP_ALIVE_TIMEOUT)
            if silence_s is not None and now >= self._last_packet_at + silence_s:
                reason, detail = CloseReason.KEEPALIVE_TIMED_OUT, no_packet(silence_s, limits)
            else:
                reason, detail = CloseReason.PACKET_TIMED_OUT, half_a_packet(limits)
            self._close(reason, ReasonCode.KEEP_ALIVE_TIMEOUT, detail=detail)

    def connection_lost(self, detail: str = "the stream has ended") -> None:
        """Note that the transport has ended; `detail` says how, for a log."""
        self._close(CloseReason.PEER_LOST, ReasonCode.UNSPECIFIED_ERROR, detail=detail)

    def drop(self, detail: str) -> None:
        """End the connection without a word, because its transport was given up; `detail` says why, for a log."""
        self._close(CloseReason.LOCAL, ReasonCode.UNSPECIFIED_ERROR, detail=detail)

    # The owner's answers; see also `acknowledge` and `publish`.

    def accept(
        self,
        session: MqttSession,
        *,
        session_present: bool,
        keepalive_s: int,
        properties: Properties = NO_PROPERTIES,
        now: float,
    ) -> bool:
        """Let the client in, send CONNACK and then what its session holds for it.

        Args:
            session: of this client id; no other connection may have it any more.
            keepalive_s: the effective one; 0: silence is allowed for ever. An MQTT 5 client is told if it differs.
            properties: for the CONNACK; the limits of the connection are put in.
        Returns:
            False if the connection has ended meanwhile.
        """
        if self._state is ConnectionState.CLOSED:
            return False
        connect = self._connect
        if connect is None:
            raise ValueError(f"a connection {self._state.value} cannot be accepted")
        channel = self._channel
        channel.now = now
        if connect.version is Version.V5:
            properties = self._connack_properties(properties, connect, keepalive_s)
        if not self._send_packet(Connack(session_present=session_present, properties=properties)):
            return False
        self._connect = None
        self._will = connect.will
        self._session_expiry_s = connect.properties.session_expiry_s or 0
        self._keepalive_due_s = keepalive_s * channel.limits.keepalive_factor if keepalive_s else None
        self._open(session, receive_maximum=connect.properties.receive_maximum)
        return True

    def refuse(self, reason: ReasonCode, *, properties: Properties = NO_PROPERTIES, detail: str = "") -> None:
        """Answer the CONNECT with a reason, or with what 3.1.1 has for it, and end the connection."""
        if self._state is ConnectionState.CLOSED:
            return
        if self._connect is None or not reason.is_failure:
            raise ValueError(f"a connection {self._state.value} cannot be refused with {reason.name}")
        self._send_packet(Connack(reason=reason, properties=properties))
        self._close(CloseReason.REFUSED, reason, detail=detail or f"the CONNECT was answered {spelled(reason)}")

    def grant(
        self, packet_id: int, codes: Sequence[ReasonCode], *, reason_string: str | None = None
    ) -> tuple[ReasonCode, ...]:
        """Answer a SUBSCRIBE; what is granted is kept in the session, also when the connection has closed.

        Returns:
            The codes sent: those given, but QUOTA_EXCEEDED where the session would have too many subscriptions.
        """
        entries = take_request(self._subscribes, packet_id, codes)
        session = self._session
        assert session is not None  # a SUBSCRIBE is only read on an open connection
        granted = tuple(
            code
            if code.is_failure
            or session.subscribe(entry.topic_filter, replace(entry.options, qos=min(code, entry.options.qos)))
            else ReasonCode.QUOTA_EXCEEDED
            for entry, code in zip(entries, codes, strict=True)
        )
        properties = self._channel.problem_properties(reason_string)
        self._send_packet(Suback(packet_id=packet_id, reasons=granted, properties=properties))
        return granted

    def confirm_unsubscribe(
        self, packet_id: int, codes: Sequence[ReasonCode], *, reason_string: str | None = None
    ) -> None:
        """Answer an UNSUBSCRIBE; what is not refused leaves the session, also when the connection has closed."""
        filters = take_request(self._unsubscribes, packet_id, codes)
        assert self._session is not None  # an UNSUBSCRIBE is only read on an open connection
        for topic_filter, code in zip(filters, codes, strict=True):
            if not code.is_failure:
                self._session.unsubscribe(topic_filter)
        properties = self._channel.problem_properties(reason_string)
        self._send_packet(Unsuback(packet_id=packet_id, reasons=tuple(codes), properties=properties))

    def disconnect(self, reason: ReasonCode, *, properties: Properties = NO_PROPERTIES, detail: str = "") -> None:
        """End the connection; an MQTT 5 client that was let in is told why. `detail` is for a log."""
        if reason not in DISCONNECT_REASONS:
            raise ValueError(f"{reason.name} is no reason of a DISCONNECT")  # whatever the version of this one
        self._send_disconnect(reason, properties)
        self._close(CloseReason.LOCAL, reason, detail=detail or f"the server ended it: {spelled(reason)}")

    # What comes.

    def _receive_packet(self, first: int, body: bytes) -> None:
        if self._state is ConnectionState.AWAITING_CONNECT:
            self._receive_connect(first, body)
        elif first in ACKNOWLEDGEMENT_FIRSTS:
            self._receive_acknowledgement(first, body)
        elif first == _PINGREQ_FIRST and not body:
            self._channel.send(PINGRESP)
        else:
            limits, version = self._channel.limits, self._channel.version
            match decode_body(first, body, version, entries_max=limits.subscribe_entries_max):
                case Subscribe() as packet:
                    self._subscribes = {packet.packet_id: packet.entries}
                    event: ServerEvent = SubscribeReceived(
                        packet_id=packet.packet_id, entries=packet.entries, properties=packet.properties
                    )
                    self._channel.events.append(event)
                case Unsubscribe() as packet:
                    self._unsubscribes = {packet.packet_id: packet.topic_filters}
                    event = UnsubscribeReceived(
                        packet_id=packet.packet_id, topic_filters=packet.topic_filters, properties=packet.properties
                    )
                    self._channel.events.append(event)
                case Disconnect() as packet:
                    self._receive_disconnect(packet)
                case packet:
                    # A second CONNECT, an AUTH without an authentication, or a packet only servers send.
                    raise PacketError(f"{type(packet).__name__} may not come here", reason=ReasonCode.PROTOCOL_ERROR)

    def _resolve_properties(self, topic: str, properties: Properties) -> tuple[str, Properties]:
        if properties.subscription_identifiers:  # MQTT 5.0 section 3.3.4: only a server sends them
            raise PacketError("a client sends no subscription identifiers", reason=ReasonCode.PROTOCOL_ERROR)
        return super()._resolve_properties(topic, properties)

    def _receive_connect(self, first: int, body: bytes) -> None:
        """Source: MQTT 3.1.1 section 3.1.4, MQTT 5.0 section 3.1.4."""
        channel = self._channel
        if first != PacketType.CONNECT << 4:
            raise PacketError(f"the first packet is a CONNECT, not {first:#04x}", reason=ReasonCode.PROTOCOL_ERROR)
        channel.version = peek_version(body) or Version.V3_1_1
        try:
            packet = decode_body(first, body, channel.version, entries_max=1)
        except PacketError as error:
            self._refuse_malformed(error)
            return
        assert isinstance(packet, Connect)  # the first byte says so
        properties = packet.properties
        if properties.maximum_packet_bytes is not None:
            channel.peer_packet_bytes_max = properties.maximum_packet_bytes
        channel.wants_problem_information = properties.request_problem_information is not False
        self._state = ConnectionState.AWAITING_DECISION
        self._connect = packet
        if len(packet.client_id.encode()) > channel.limits.client_id_bytes_max:
            self.refuse(ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, detail="the client id is too long")
            return
        if properties.authentication_method is not None:
            self.refuse(ReasonCode.BAD_AUTHENTICATION_METHOD)  # MQTT 5.0 section 4.12: none is supported
            return
        channel.events.append(
            ConnectRequested(
                version=packet.version,
                client_id=packet.client_id,
                clean_start=packet.clean_start,
                keepalive_s=packet.keepalive_s,
                username=packet.username,
                password=packet.password,
                will=packet.will,
                properties=properties,
            )
        )
        self._frames.compact()
        if len(self._frames.held) > channel.limits.held_before_login_bytes_max:
            self._check_held()

    def _refuse_malformed(self, error: PacketError) -> None:
        """Answer a CONNECT that cannot be read: MQTT 5 says what is wrong, 3.1.1 only that it is another version."""
        if self._channel.version is Version.V5 or error.reason is ReasonCode.UNSUPPORTED_PROTOCOL_VERSION:
            reason = error.reason if error.reason in CONNACK_REASONS else ReasonCode.PROTOCOL_ERROR
            self._send_packet(Connack(reason=reason))
        if error.reason is ReasonCode.UNSUPPORTED_PROTOCOL_VERSION:
            self._close(CloseReason.REFUSED, error.reason, detail=str(error))
        else:
            self._close(self._close_reason(error), error.reason, detail=str(error))

    def _receive_disconnect(self, packet: Disconnect) -> None:
        """Source: MQTT 5.0 section 3.14.4; in 3.1.1 every DISCONNECT is the normal one."""
        expiry_s = packet.properties.session_expiry_s
        if expiry_s and not self._session_expiry_s:
            raise PacketError("a session that ends now cannot be kept", reason=ReasonCode.PROTOCOL_ERROR)  # 3.14.2.2.2
        if packet.reason is ReasonCode.SUCCESS:
            self._will = None
        self._close(
            CloseReason.PEER_DISCONNECTED,
            packet.reason,
            is_clean=True,
            session_expiry_s=expiry_s,
            detail=f"the client sent DISCONNECT {spelled(packet.reason)}",
        )

    # What goes.

    def _connack_properties(self, properties: Properties, connect: Connect, keepalive_s: int) -> Properties:
        limits = self._channel.limits
        return replace(
            properties,
            receive_maximum=limits.inbound_unacknowledged_max,
            topic_alias_maximum=limits.topic_aliases_max,
            maximum_packet_bytes=limits.packet_bytes_max,
            server_keepalive_s=keepalive_s if keepalive_s != connect.keepalive_s else None,
        )

    def _send_packet(self, packet: Packet) -> bool:
        """Send a packet, unless it has closed; one too long for the client ends the connection."""
        if self._state is ConnectionState.CLOSED:
            return False
        data = encode(packet, self._channel.version)
        if len(data) > self._channel.peer_packet_bytes_max:
            detail = f"{len(data)} bytes of {type(packet).__name__} are more than the client takes"
            self._close(CloseReason.LIMIT_EXCEEDED, ReasonCode.PACKET_TOO_LARGE, detail=detail)
            return False
        self._channel.send(data)
        return True

    def _send_disconnect(self, reason: ReasonCode, properties: Properties = NO_PROPERTIES) -> None:
        # MQTT 5.0 section 3.14: not before the CONNACK. MQTT 3.1.1 section 3.14: only a client sends it.
        if self._state is ConnectionState.OPEN and self._channel.version is Version.V5:
            self._send_packet(Disconnect(reason=reason, properties=properties))

    # The end.

    def _silence_due_at(self) -> float | None:
        if self.is_paused:
            return None  # it is the owner who keeps the peer waiting
        silence = None if self._keepalive_due_s is None else self._last_packet_at + self._keepalive_due_s
        if self._packet_begun_at is None:
            return silence
        packet = self._packet_begun_at + self._channel.limits.packet_s
        return packet if silence is None else min(packet, silence)

    def _fail(self, error: PacketError) -> None:
        self._send_disconnect(error.reason if error.reason in DISCONNECT_REASONS else ReasonCode.PROTOCOL_ERROR)
        self._close(self._close_reason(error), error.reason, detail=str(error))

    def _end_refused(self, reason: ReasonCode) -> None:
        self._close(CloseReason.LOCAL, reason, detail=f"a message was refused: {spelled(reason)}")

    def _close(
        self,
        reason: CloseReason,
        code: ReasonCode,
        *,
        detail: str,
        is_clean: bool = False,
        session_expiry_s: int | None = None,
    ) -> None:
        if self._state is ConnectionState.CLOSED:
            return
        self._end()
        self._connect = None
        self._channel.events.append(
            ConnectionClosed(
                reason=reason,
                code=code,
                will=self._will,
                is_clean=is_clean,
                session_expiry_s=session_expiry_s,
                detail=detail,
            )
        )
        self._will = None

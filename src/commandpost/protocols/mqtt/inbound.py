"""Messages that come in: acknowledged in their order, and with QoS 2 handed on exactly once.

Used by both sides of a connection. Source: MQTT 3.1.1 sections 4.3 and 4.6, MQTT 5.0 sections 4.3, 4.6 and 4.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from commandpost.protocols.mqtt.errors import PacketError
from commandpost.protocols.mqtt.packet_types import PacketType, Version
from commandpost.protocols.mqtt.publish_handle import PublishHandle
from commandpost.protocols.mqtt.reason_codes import ReasonCode

if TYPE_CHECKING:
    from commandpost.protocols.mqtt.channel import Channel
    from commandpost.protocols.mqtt.session import MqttSession


class InboundFlow:
    """What has come on one connection and is not acknowledged.

    Attributes:
        is_full: so much waits for the owner that nothing more should be read.
    """

    __slots__ = (
        "_awaiting_release",
        "_channel",
        "_is_closed",
        "_quota_used",
        "_session",
        "_waiting",
        "_waiting_bytes",
        "is_full",
    )

    # Any: the events of a channel differ between the two sides, and nothing here looks at them.
    def __init__(self, session: MqttSession, channel: Channel[Any]) -> None:
        self._session = session
        self._channel = channel
        self._waiting: list[PublishHandle] = []  # oldest first; short, and most of the time empty
        self._waiting_bytes = 0
        # QoS 2 ids that came on this connection and were not released.
        self._awaiting_release: set[int] | None = None
        self._quota_used = 0  # of the Receive Maximum we announced
        self._is_closed = False
        self.is_full = False

    def receive(self, packet_id: int, qos: int, payload_bytes: int) -> PublishHandle | None:
        """Take a message with QoS 1 or 2.

        Returns:
            What the owner will acknowledge; None: the owner has the message already.
        Raises:
            PacketError: more is unacknowledged than the peer may send.
        """
        if qos == 2:
            ids = self._session.inbound_ids
            if ids is not None and packet_id in ids:
                self._receive_again(packet_id, ids[packet_id])
                return None
        self._count(packet_id, qos)
        handle = PublishHandle(self, packet_id=packet_id, qos=qos, payload_bytes=payload_bytes)
        if qos == 2:
            self._remember(packet_id, handle)
        self._wait(handle)
        return handle

    def acknowledge(self, handle: PublishHandle, reason: ReasonCode, reason_string: str | None) -> None:
        """Note the owner's word on a message, and send the acknowledgements whose turn it is."""
        handle.is_acknowledged = True
        handle.reason = reason
        handle.reason_string = reason_string
        ids = self._session.inbound_ids
        # A PUBREL that did not wait for its PUBREC has ended the exchange already.
        if handle.qos == 2 and ids is not None and ids.get(handle.packet_id) is handle:
            if reason.is_failure:
                self._forget(handle.packet_id)
            else:
                ids[handle.packet_id] = None
        self._send_due()

    def release(self, packet_id: int) -> bool:
        """Take a PUBREL: the id may come again as another message. False if it was not taken."""
        self._end_exchange(packet_id)
        return self._forget(packet_id)

    def close(self) -> None:
        """Send nothing more; what the owner says of a message still counts for the session."""
        self._is_closed = True
        self._waiting.clear()

    def _receive_again(self, packet_id: int, handle: PublishHandle | None) -> None:
        """Answer a QoS 2 message that came before, now or when the owner has acknowledged the first one."""
        self._count(packet_id, 2)
        if handle is None:
            handle = PublishHandle(self, packet_id=packet_id, qos=2, payload_bytes=0)
            handle.is_acknowledged = True
        elif handle.flow is self:
            return  # its PUBREC is still to come
        handle.flow = self
        self._wait(handle)
        self._send_due()

    def _wait(self, handle: PublishHandle) -> None:
        self._waiting.append(handle)
        self._waiting_bytes += handle.payload_bytes
        self._judge()

    def _judge(self) -> None:
        limits = self._channel.limits
        # An MQTT 5 peer has been told the number and is held to it; a 3.1.1 peer has to be made to wait.
        self.is_full = self._waiting_bytes >= limits.inbound_unacknowledged_bytes_max or (
            self._channel.version is not Version.V5 and len(self._waiting) >= limits.inbound_unacknowledged_max
        )

    def _send_due(self) -> None:
        """Acknowledge in the order in which the messages came (MQTT 3.1.1 section 4.6)."""
        waiting, channel = self._waiting, self._channel
        while waiting and waiting[0].is_acknowledged and not self._is_closed:
            handle = waiting.pop(0)
            self._waiting_bytes -= handle.payload_bytes
            if handle.reason.is_failure and channel.version is not Version.V5:
                channel.refusal = handle.reason  # MQTT 3.1.1 section 3.3.5: acknowledge or close
                self.close()
                return
            kind = PacketType.PUBACK if handle.qos == 1 else PacketType.PUBREC
            channel.send_acknowledgement(kind, handle.packet_id, handle.reason, handle.reason_string)
            if handle.qos == 1:
                self._quota_used -= 1
            elif handle.reason.is_failure:
                self._end_exchange(handle.packet_id)
        self._judge()

    def _count(self, packet_id: int, qos: int) -> None:
        """Hold the peer to its quota (MQTT 5.0 section 3.3.4); each id of QoS 2 is counted once."""
        if qos == 2:
            if self._awaiting_release is None:
                self._awaiting_release = set()
            if packet_id in self._awaiting_release:
                return
            self._awaiting_release.add(packet_id)
        self._quota_used += 1
        limits = self._channel.limits
        if self._channel.version is Version.V5 and self._quota_used > limits.inbound_unacknowledged_max:
            raise PacketError(
                f"more than {limits.inbound_unacknowledged_max} messages are not acknowledged",
                reason=ReasonCode.RECEIVE_MAXIMUM_EXCEEDED,
            )

    def _end_exchange(self, packet_id: int) -> None:
        if self._awaiting_release is not None and packet_id in self._awaiting_release:
            self._awaiting_release.remove(packet_id)
            self._quota_used -= 1

    def _remember(self, packet_id: int, handle: PublishHandle) -> None:
        ids = self._session.inbound_ids
        if ids is None:
            ids = self._session.inbound_ids = {}
        if len(ids) >= self._channel.limits.unreleased_max:
            # Ids of earlier connections that their sender has forgotten would else lock it out for good.
            current = self._awaiting_release or set()
            abandoned = next((old for old in ids if old not in current), None)
            if abandoned is None:
                raise PacketError(
                    f"more than {len(ids)} QoS 2 messages are not released",
                    reason=ReasonCode.RECEIVE_MAXIMUM_EXCEEDED,
                )
            del ids[abandoned]
        ids[packet_id] = handle

    def _forget(self, packet_id: int) -> bool:
        ids = self._session.inbound_ids
        if ids is None or packet_id not in ids:
            return False
        del ids[packet_id]
        if not ids:
            self._session.inbound_ids = None
        return True

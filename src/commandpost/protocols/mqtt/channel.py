"""What the parts of one connection share: its version, the bytes to send and the events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from commandpost.protocols.mqtt.packet_types import PacketType, Version
from commandpost.protocols.mqtt.properties import NO_PROPERTIES, Properties
from commandpost.protocols.mqtt.publish_codec import encode_acknowledgement
from commandpost.protocols.mqtt.reason_codes import ReasonCode
from commandpost.protocols.mqtt.wire import VARINT_MAX

if TYPE_CHECKING:
    from commandpost.protocols.mqtt.limits import MqttLimits

EventType = TypeVar("EventType")


class Channel(Generic[EventType]):
    """The way out of one connection.

    Attributes:
        chunks: the packets to send, in order.
        chunk_bytes: their size.
        events: what the owner is to be told next; short, since nothing more is read while something is in it.
        now: the latest time anybody told.
        peer_packet_bytes_max: a longer packet must not be sent (MQTT 5.0 section 3.1.2.11.4).
        wants_problem_information: False: no reason strings (MQTT 5.0 section 3.1.2.11.7).
        refusal: why the connection has to end, since a 3.1.1 peer cannot be told; None: it need not.
    """

    __slots__ = (
        "chunk_bytes",
        "chunks",
        "events",
        "limits",
        "now",
        "peer_packet_bytes_max",
        "refusal",
        "version",
        "wants_problem_information",
    )

    def __init__(self, *, limits: MqttLimits, now: float) -> None:
        self.limits = limits
        self.now = now
        self.version = Version.V3_1_1
        self.chunks: list[bytes] = []
        self.chunk_bytes = 0
        self.events: list[EventType] = []
        self.peer_packet_bytes_max = VARINT_MAX + 5
        self.wants_problem_information = True
        self.refusal: ReasonCode | None = None

    def send(self, data: bytes) -> None:
        """Put one packet at the end of what is to be sent."""
        self.chunks.append(data)
        self.chunk_bytes += len(data)

    def take_chunks(self) -> list[bytes]:
        """Give what is to be sent, and forget it."""
        chunks = self.chunks
        if chunks:
            self.chunks = []
            self.chunk_bytes = 0
        return chunks

    def problem_properties(self, reason_string: str | None) -> Properties:
        """Give the properties of an answer: a reason string, if there is one and the peer wants it."""
        if reason_string is None or not self.wants_problem_information or self.version is not Version.V5:
            return NO_PROPERTIES
        return Properties(reason_string=reason_string)

    def send_acknowledgement(
        self, kind: PacketType, packet_id: int, reason: ReasonCode, reason_string: str | None = None
    ) -> None:
        """Send a PUBACK, PUBREC, PUBREL or PUBCOMP; a reason string that makes it too long is left out."""
        properties = self.problem_properties(reason_string)
        version = self.version
        data = encode_acknowledgement(kind, packet_id, reason=reason, properties=properties, version=version)
        if properties is not NO_PROPERTIES and len(data) > self.peer_packet_bytes_max:
            data = encode_acknowledgement(kind, packet_id, reason=reason, version=version)
        self.send(data)

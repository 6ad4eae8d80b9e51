"""By what the owner of a connection acknowledges a message."""

from __future__ import annotations

from typing import Protocol

from commandpost.protocols.mqtt.reason_codes import ReasonCode


class Acknowledger(Protocol):
    """Who waits for the owner's word on a message: the flow of a connection."""

    def acknowledge(self, handle: PublishHandle, reason: ReasonCode, reason_string: str | None) -> None:
        """Note it, and send the acknowledgements whose turn it is."""
        ...


class PublishHandle:
    """One received message that wants an acknowledgement. Opaque to the owner: keep it, give it back once."""

    __slots__ = ("flow", "is_acknowledged", "packet_id", "payload_bytes", "qos", "reason", "reason_string")

    def __init__(self, flow: Acknowledger, *, packet_id: int, qos: int, payload_bytes: int) -> None:
        self.flow = flow  # of the connection that waits for it: a QoS 2 message may come again on the next one
        self.packet_id = packet_id
        self.qos = qos
        self.payload_bytes = payload_bytes
        self.is_acknowledged = False
        self.reason = ReasonCode.SUCCESS
        self.reason_string: str | None = None

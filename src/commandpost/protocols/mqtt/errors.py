"""The decode error of MQTT: what is wrong, where, and the reason code that says so to the peer."""

from commandpost.protocols.errors import DecodeError
from commandpost.protocols.mqtt.reason_codes import ReasonCode


class PacketError(DecodeError):
    """A packet the standard does not allow; the connection cannot go on.

    Attributes:
        reason: what an MQTT 5 peer is told before the connection ends.
    """

    def __init__(self, message: str, *, offset: int = 0, reason: ReasonCode = ReasonCode.MALFORMED_PACKET) -> None:
        super().__init__(message, offset=offset)
        self.reason = reason

"""Alerts: two bytes that say what went wrong, and the error that becomes one. Source: RFC 5246 section 7.2."""

from commandpost.protocols.dtls.registries import AlertDescription, AlertLevel
from commandpost.protocols.errors import ProtocolError

ALERT_BYTES = 2


class HandshakeFault(ProtocolError):
    """The peer's handshake cannot go on.

    Attributes:
        description: the alert that tells the peer why.
    """

    def __init__(self, description: AlertDescription, message: str) -> None:
        super().__init__(message)
        self.description = description


def encode_alert(level: AlertLevel, description: AlertDescription) -> bytes:
    """Encode an alert: level, description."""
    return bytes((level, description))


def is_close(alert: bytes) -> bool:
    """Tell whether the alert is close_notify, whatever its level."""
    return len(alert) == ALERT_BYTES and alert[1] == AlertDescription.CLOSE_NOTIFY


def is_fatal(alert: bytes) -> bool:
    """Tell whether the alert ends the association of its sender."""
    return len(alert) == ALERT_BYTES and alert[0] == AlertLevel.FATAL

"""Rules about topic sessions and messages that every store applies."""

from typing import Final

from commandpost.domain.instant import Instant, after
from commandpost.domain.topic import TopicMessage, TopicSession

NEVER_S: Final = 2**32 - 1  # MQTT 5.0 section 3.1.2.11.2
SWEPT_MESSAGES: Final = 1_000
"""With so many messages gone along with their sessions, a slice ends: that is one full queue, and at most two."""


def session_expires_at(session: TopicSession) -> Instant | None:
    """Give when a session ends that nobody comes back to; None while its device is connected, or never."""
    if session.left_at is None or session.expiry_s == NEVER_S:
        return None
    return after(session.left_at, duration_ms=session.expiry_s * 1000)


def message_bytes(message: TopicMessage) -> int:
    """Give what a queued message counts against QUEUED_BYTES_MAX."""
    return len(message.topic.encode()) + len(message.payload)

"""The retained messages of one product, and a search among them that can wait anywhere.

Source: OASIS MQTT 3.1.1 section 3.3.1.3, MQTT 5.0 sections 3.3.1.3 and 3.8.3.1.
"""

from collections import deque
from typing import Final

from commandpost.domain.instant import Instant
from commandpost.domain.topic import RETAINED_MAX, TopicMessage
from commandpost.protocols.mqtt.topic_tree import TopicTree
from commandpost.southbound.mqtt.messages import Subscribed

RETAINED_BYTES_MAX: Final = 64 * 1024 * 1024  # of a product, in topics and payloads: they are kept in memory
SEARCH_SLICE: Final = 500  # nodes of the tree visited without letting others have a turn


class RetainedMessages:
    """See the module."""

    def __init__(self) -> None:
        self.tree: TopicTree[TopicMessage] = TopicTree(topics_max=RETAINED_MAX)
        self._held_bytes = 0

    def has_room(self, message: TopicMessage) -> bool:
        """Tell whether a message may be put in place of its topic's."""
        if not message.payload:
            return True
        known = self.tree.get(message.topic)
        more = _size(message) - (0 if known is None else _size(known))
        has_place = known is not None or len(self.tree) < RETAINED_MAX
        return has_place and self._held_bytes + more <= RETAINED_BYTES_MAX

    def put(self, message: TopicMessage) -> None:
        """Put a message in place of the topic's; an empty payload removes that."""
        self._forget(message.topic)
        if message.payload and self.tree.set(message.topic, message):
            self._held_bytes += _size(message)

    def find(self, topic: str, now: Instant) -> TopicMessage | None:
        """Give the message of a topic; one that is no longer wanted is let go."""
        message = self.tree.get(topic)
        if message is None or message.expires_at is None or now < message.expires_at:
            return message
        self._forget(topic)
        return None

    def _forget(self, topic: str) -> None:
        known = self.tree.get(topic)
        if known is not None:
            self._held_bytes -= _size(known)
            self.tree.delete(topic)


class RetainedSearch:
    """What one subscription finds: the next message stays the next until it is taken."""

    __slots__ = ("_found", "_retained", "_search", "subscribed")

    def __init__(self, retained: RetainedMessages, topic_filter: str, subscribed: Subscribed) -> None:
        self.subscribed = subscribed
        self._retained = retained
        self._search = retained.tree.search(topic_filter)
        # Topics and not messages: what is sent late is what the topic has then, never what it had.
        self._found: deque[str] = deque()

    @property
    def is_finished(self) -> bool:
        """Whether everything was found and taken."""
        return not self._found and self._search.is_finished

    def look_on(self) -> None:
        """Visit the next slice of the tree."""
        self._found.extend(topic for topic, _ in self._search.next_slice(SEARCH_SLICE))

    def next_message(self, now: Instant) -> TopicMessage | None:
        """Give the next message; None: nothing more was found so far."""
        while self._found:
            message = self._retained.find(self._found[0], now)
            if message is not None:
                return message
            self._found.popleft()
        return None

    def take(self) -> None:
        """Go past the message that `next_message` gives."""
        self._found.popleft()


def _size(message: TopicMessage) -> int:
    return len(message.topic) + len(message.payload) + len(message.properties)

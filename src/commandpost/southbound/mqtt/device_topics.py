"""One device's topic session: the engine's session, its connection if there is one, and what waits for it on disk.

A session that outlives its connection keeps its messages on disk; memory holds a window of them while the device is
connected. A session that does not, keeps them in memory alone and loses them with the connection.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import SECOND_MS, Instant
from commandpost.domain.ports import Clock
from commandpost.domain.topic import QueuedMessage
from commandpost.domain.topic_ports import TopicReader
from commandpost.protocols.mqtt.session import MqttSession, OutboundMessage
from commandpost.southbound.mqtt.messages import OutgoingMessage, QueuedTag, Subscribed
from commandpost.southbound.mqtt.retained_messages import RetainedSearch

PAGE_SIZE: Final = 64  # messages read from the disk at a time
AHEAD_MAX: Final = 32  # messages on their way when more of what waits follows: two windows of 16
FOREVER_S: Final = 2**32 - 1  # MQTT 5.0 section 3.1.2.11.2


class TopicLink(Protocol):
    """A device's open connection, as far as messages go."""

    def send_message(self, message: OutboundMessage) -> bool:
        """Send, or let it wait; False: there is no room."""
        ...

    @property
    def is_full(self) -> bool:
        """Whether the device leaves what is written to it lying."""
        ...


class DeviceTopics:
    """See the module."""

    __slots__ = (
        "device_id",
        "dropped",
        "expiry_s",
        "has_backlog",
        "is_durable",
        "is_reading",
        "is_sending",
        "left_at",
        "link",
        "missed",
        "newest_number",
        "searches",
        "session",
        "subscribed",
        "subscribing",
    )

    def __init__(self, device_id: DeviceId, session: MqttSession, *, is_durable: bool, expiry_s: int) -> None:
        self.device_id = device_id
        self.session = session
        self.is_durable = is_durable
        self.expiry_s = expiry_s
        self.link: TopicLink | None = None
        self.left_at: Instant | None = None
        self.subscribed: dict[str, Subscribed] = {}
        self.subscribing = 0  # new filters that are being written: they count, or packets in a row would pass the limit
        self.has_backlog = False
        self.is_reading = False  # a page is being read from the disk, or will be in a moment
        # What new subscriptions find among the retained messages, by filter, the first one under way; None: nothing.
        # A filter that is subscribed anew begins anew, so there are never more of them than subscriptions.
        self.searches: dict[str, RetainedSearch] | None = None
        self.is_sending = False  # retained messages are being sent, or will be in a moment
        self.missed = 0
        self.newest_number = 0
        self.dropped = 0

    @property
    def subscriptions_held(self) -> int:
        """How many filters the device has, those that only the engine knows and those on their way to the disk too."""
        return len(self.subscribed.keys() | self.session.subscriptions.keys()) + self.subscribing

    def count_fresh(self, topic_filters: Sequence[str]) -> int:
        """How many of these filters it does not have yet."""
        held = self.subscribed.keys() | self.session.subscriptions.keys()
        return len(set(topic_filters) - held)

    def has_expired(self, now: Instant) -> bool:
        """Tell whether the device has been away for longer than its session lasts."""
        if self.link is not None or self.left_at is None or self.expiry_s == FOREVER_S:
            return False
        return now >= self.left_at + self.expiry_s * SECOND_MS

    # --- room ---------------------------------------------------------------------------------------------------

    @property
    def waits(self) -> bool:
        """Whether something waits for room: retained messages, or what lies on disk."""
        return self.has_backlog or self.searches is not None

    @property
    def has_room(self) -> bool:
        """Whether what waits may follow. It never takes all the room: commands and live messages need some."""
        link, session = self.link, self.session
        is_open = link is not None and not link.is_full
        return is_open and session.pending_count < AHEAD_MAX and not session.is_half_full

    def begin_search(self, topic_filter: str, search: RetainedSearch) -> None:
        """Let what a new subscription finds wait, behind what others find."""
        if self.link is None:
            return
        self.end_search(topic_filter)
        if self.searches is None:
            self.searches = {}
        self.searches[topic_filter] = search

    def end_search(self, topic_filter: str) -> None:
        """Everything was sent, or is no longer wanted."""
        if self.searches is not None:
            self.searches.pop(topic_filter, None)
            self.searches = self.searches or None

    # --- messages -----------------------------------------------------------------------------------------------

    def deliver(
        self,
        outgoing: OutgoingMessage,
        *,
        qos: int,
        retain: bool,
        identifiers: tuple[int, ...],
        number: int | None,
    ) -> None:
        """Hand a message to the device now, or leave it where it is kept.

        Args:
            number: under which it lies on disk for this device; None: nowhere.
        """
        link = self.link
        if link is None or (number is not None and (self.waits or self.is_reading)):
            if number is not None:
                # Its turn comes after what waits, which is older.
                self.has_backlog = True
                self.missed += 1
        elif link.send_message(outgoing.copy(qos=qos, retain=retain, identifiers=identifiers, number=number)):
            if number is not None:
                self.newest_number = number
        elif number is not None:
            self.has_backlog = True
        else:
            self.dropped += 1

    def send(
        self,
        outgoing: OutgoingMessage,
        *,
        qos: int,
        retain: bool,
        identifiers: tuple[int, ...],
        number: int | None = None,
    ) -> bool:
        """Hand a message to the device now; False: it is not connected, or there is no room."""
        link = self.link
        if link is None:
            return False
        return link.send_message(outgoing.copy(qos=qos, retain=retain, identifiers=identifiers, number=number))

    def attach(self, link: TopicLink) -> None:
        """The device is connected. The link says when there is room for what waits."""
        self.link = link
        self.left_at = None

    def detach(self, now: Instant) -> None:
        """The connection is over. Messages not sent yet lie on disk, or are lost with a session that ends."""
        self.link = None
        self.left_at = now
        self.searches = None
        unsent: list[int] = []
        while self.session.next_queued() is not None:
            tag = self.session.take_queued().tag
            if isinstance(tag, QueuedTag):
                unsent.append(tag.number)
        if unsent:
            # Messages go out in the order of their numbers: what was sent, acknowledged or not, lies below.
            self.newest_number = unsent[0] - 1
        self.has_backlog = self.is_durable

    async def refill(self, reader: TopicReader, clock: Clock) -> bool:
        """Read the next page from the disk and hand it over; False: as far as there was room.

        `is_reading` is set by the caller, from the moment it decides to read.
        """
        try:
            link, missed = self.link, self.missed
            page = await reader.list_queued_messages(self.device_id, after=self.newest_number, limit=PAGE_SIZE)
            if self.link is not link:
                return True  # read for an earlier connection, of which something came back that lies before this page
            is_all = self._hand_over(page, clock)
            if is_all and len(page) < PAGE_SIZE and missed == self.missed:
                self.has_backlog = False
            return is_all
        finally:
            self.is_reading = False

    def _hand_over(self, page: tuple[QueuedMessage, ...], clock: Clock) -> bool:
        for queued in page:
            message = queued.message
            if not self.send(
                OutgoingMessage(message, clock),
                qos=message.qos,
                retain=message.is_retained,
                identifiers=queued.identifiers,
                number=queued.number,
            ):
                return False
            self.newest_number = queued.number
        return True

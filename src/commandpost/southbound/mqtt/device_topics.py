"""One device's topic session: the engine's session, its connection if there is one, and what waits for it on disk.

A session that outlives its connection keeps its messages on disk; memory holds a window of them while the device is
connected. A session that does not, keeps them in memory alone and loses them with the connection.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import Instant
from commandpost.domain.topic import QueuedMessage, TopicMessage
from commandpost.domain.topic_ports import TopicReader
from commandpost.protocols.mqtt.session import MqttSession, OutboundMessage
from commandpost.southbound.mqtt.messages import QueuedTag, Subscribed, from_kept_properties

PAGE_SIZE: Final = 64  # messages read from the disk at a time
REFILL_BELOW: Final = 32  # messages left in memory when the next page is read


class TopicLink(Protocol):
    """A device's open connection, as far as messages go."""

    def send_message(self, message: OutboundMessage) -> bool:
        """Send, or let it wait; False: there is no room."""
        ...

    def monotonic_of(self, expires_at: Instant) -> float:
        """Give a wall time on the engine's clock."""
        ...

    def read_more(self, topics: "DeviceTopics") -> None:
        """Have `refill` run soon."""
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
        "left_at",
        "link",
        "missed",
        "newest_number",
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
        self.is_reading = False
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

    def deliver(
        self, message: TopicMessage, *, qos: int, retain: bool, identifiers: tuple[int, ...], number: int | None
    ) -> None:
        """Hand a message to the device now, or leave it where it is kept.

        Args:
            number: under which it lies on disk for this device; None: nowhere.
        """
        link = self.link
        if link is None or (number is not None and (self.has_backlog or self.is_reading)):
            if number is not None:
                self.has_backlog = True
                self.missed += 1
            return
        outbound = self._outbound(message, link, qos=qos, retain=retain, identifiers=identifiers, number=number)
        if link.send_message(outbound):
            if number is not None:
                self.newest_number = number
        elif number is not None:
            self.has_backlog = True
        else:
            self.dropped += 1

    def attach(self, link: TopicLink) -> None:
        """The device is connected: what waits on disk follows."""
        self.link = link
        self.left_at = None
        if self.has_backlog:
            link.read_more(self)

    def detach(self, now: Instant) -> None:
        """The connection is over. Messages not sent yet lie on disk, or are lost with a session that ends."""
        self.link = None
        self.left_at = now
        unsent: list[int] = []
        while self.session.next_queued() is not None:
            tag = self.session.take_queued().tag
            if isinstance(tag, QueuedTag):
                unsent.append(tag.number)
        if unsent:
            # Messages go out in the order of their numbers: what was sent, acknowledged or not, lies below.
            self.newest_number = unsent[0] - 1
        self.has_backlog = self.is_durable

    def acknowledged(self) -> None:
        """The device took a message: there may be room for the next page."""
        link = self.link
        if link is not None and self.has_backlog and not self.is_reading and self.session.pending_count < REFILL_BELOW:
            link.read_more(self)

    async def refill(self, reader: TopicReader) -> None:
        """Read the next page from the disk and hand it over."""
        if self.is_reading or self.link is None:
            return
        self.is_reading = True
        try:
            missed = self.missed
            page = await reader.list_queued_messages(self.device_id, after=self.newest_number, limit=PAGE_SIZE)
            is_all = self._hand_over(page)
            if is_all and len(page) < PAGE_SIZE and missed == self.missed:
                self.has_backlog = False
        finally:
            self.is_reading = False
        self.acknowledged()

    def _hand_over(self, page: tuple[QueuedMessage, ...]) -> bool:
        for queued in page:
            link = self.link
            if link is None:
                return False
            message = queued.message
            outbound = self._outbound(
                message,
                link,
                qos=message.qos,
                retain=message.is_retained,
                identifiers=queued.identifiers,
                number=queued.number,
            )
            if not link.send_message(outbound):
                return False
            self.newest_number = queued.number
        return True

    def _outbound(
        self,
        message: TopicMessage,
        link: TopicLink,
        *,
        qos: int,
        retain: bool,
        identifiers: tuple[int, ...],
        number: int | None,
    ) -> OutboundMessage:
        return OutboundMessage(
            topic=message.topic,
            payload=message.payload,
            qos=qos,
            retain=retain,
            properties=from_kept_properties(message.properties, identifiers),
            tag=None if number is None else QueuedTag(number),
            expires_at=None if message.expires_at is None else link.monotonic_of(message.expires_at),
        )

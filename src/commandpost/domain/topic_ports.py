"""Questions about topic sessions and messages, answered from what is committed."""

from collections.abc import Sequence
from typing import Protocol

from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.topic import QueuedMessage, TopicMessage, TopicSession


class TopicReader(Protocol):
    """See the module."""

    async def list_topic_sessions(
        self, product_id: ProductId, *, after: DeviceId, limit: int
    ) -> tuple[TopicSession, ...]:
        """Sessions of a product's devices with a device id above `after`, by device id."""
        ...

    async def list_queued_messages(self, device_id: DeviceId, *, after: int, limit: int) -> tuple[QueuedMessage, ...]:
        """What waits for a device with a number above `after`, by number."""
        ...

    async def list_retained(self, product_id: ProductId, *, after: str, limit: int) -> tuple[TopicMessage, ...]:
        """A product's retained messages with a topic above `after` (bytewise), by topic."""
        ...


class TopicMessenger(Protocol):
    """Whoever hands messages to connected devices: the broker, seen from the application's side (northbound 6.6)."""

    async def publish(self, product_id: ProductId, message: TopicMessage) -> None:
        """Hand a message to every device of the product that has subscribed its topic.

        Raises:
            Invalid: the topic cannot be published to.
        """
        ...

    async def list_topics(self, product_id: ProductId) -> Sequence[str]:
        """Every filter that a device of the product has subscribed, sorted."""
        ...

    async def list_subscribers(self, product_id: ProductId, topic_filter: str) -> Sequence[DeviceId]:
        """The devices that have subscribed a filter, by id."""
        ...

    async def list_subscriptions(self, product_id: ProductId, device_id: DeviceId) -> Sequence[str]:
        """The filters a device has subscribed, sorted."""
        ...

"""The application's side of topic messages: publishing over HTTP, and who has subscribed what.

It is the TopicMessenger of the northbound side. Source: northbound reference 6.6.
"""

import asyncio
from collections.abc import Sequence

from commandpost.domain.errors import Invalid, StoreUnavailable
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.topic import TopicMessage
from commandpost.protocols.errors import DecodeError
from commandpost.protocols.mqtt.topics import check_topic_name
from commandpost.southbound.mqtt.broker import Broker


class Messenger:
    """See the module."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def publish(self, product_id: ProductId, message: TopicMessage) -> None:
        """Hand a message of an application to every device that has subscribed its topic.

        Raises:
            Invalid: the topic cannot be published to.
            StoreUnavailable: it could not be kept for those it has to be kept for.
        """
        try:
            check_topic_name(message.topic)
        except DecodeError as error:
            raise Invalid("topic", message.topic[:200], f"a topic name ({error.args[0]})") from None
        if message.topic.startswith("$"):
            raise Invalid("topic", message.topic[:200], "a topic that does not begin with $")
        await self._broker.load(product_id)
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def decided(is_safe: bool) -> None:
            if not done.done():
                done.set_result(is_safe)

        self._broker.route(product_id, message, sender=None, then=decided)
        if not await done:
            raise StoreUnavailable("the message could not be kept")

    async def list_topics(self, product_id: ProductId) -> Sequence[str]:
        """Every filter that a device of the product has subscribed, sorted."""
        product = await self._broker.load(product_id)
        return sorted({topic_filter: None for topics in product.devices.values() for topic_filter in topics.subscribed})

    async def list_subscribers(self, product_id: ProductId, topic_filter: str) -> Sequence[DeviceId]:
        """The devices that have subscribed a filter, by id."""
        product = await self._broker.load(product_id)
        return sorted(device_id for device_id, topics in product.devices.items() if topic_filter in topics.subscribed)

    async def list_subscriptions(self, product_id: ProductId, device_id: DeviceId) -> Sequence[str]:
        """The filters a device has subscribed, sorted."""
        product = await self._broker.load(product_id)
        topics = product.devices.get(device_id)
        return [] if topics is None else sorted(topics.subscribed)

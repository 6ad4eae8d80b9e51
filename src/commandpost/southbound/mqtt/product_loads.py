"""Reading a product's topics from the disk, once, when its first device connects or an application asks.

Source: OASIS MQTT 5.0 section 4.1.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from commandpost.domain.errors import CommandpostError, StoreUnavailable
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.ports import Clock
from commandpost.domain.topic import TopicSession
from commandpost.domain.topic_ports import TopicReader
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.protocols.mqtt.session import MqttSession
from commandpost.southbound.mqtt.device_topics import DeviceTopics
from commandpost.southbound.mqtt.messages import from_kept
from commandpost.southbound.mqtt.product_topics import ProductTopics

PAGE_SIZE: Final = 500  # sessions, or retained messages, read at a time


class ProductLoads:
    """The products in memory, each read when it is first asked for."""

    def __init__(
        self,
        *,
        reader: TopicReader,
        clock: Clock,
        limits: MqttLimits,
        on_away: Callable[[ProductTopics, DeviceTopics], object],
    ) -> None:
        """Begin with none; `on_away` hears of every session found whose device is away."""
        self._reader = reader
        self._clock = clock
        self._limits = limits
        self._on_away = on_away
        self._products: dict[ProductId, ProductTopics] = {}
        self._loads: dict[ProductId, asyncio.Future[ProductTopics]] = {}

    def find(self, product_id: ProductId) -> ProductTopics | None:
        """Give a product that is in memory."""
        return self._products.get(product_id)

    def forget_device(self, device_id: DeviceId) -> None:
        """The device was deleted, of whatever product."""
        for product in self._products.values():
            product.drop(device_id)

    async def load(self, product_id: ProductId) -> ProductTopics:
        """Give a product, read if it must be.

        Raises:
            PortError: it could not be read.
        """
        known = self._products.get(product_id)
        if known is not None:
            return known
        loading = self._loads.get(product_id)
        if loading is not None:
            return await asyncio.shield(loading)
        future: asyncio.Future[ProductTopics] = asyncio.get_running_loop().create_future()
        self._loads[product_id] = future
        try:
            product = await self._read(product_id)
        except BaseException as error:
            future.set_exception(error if isinstance(error, CommandpostError) else StoreUnavailable("broken off"))
            future.exception()  # whoever waits is told; nobody may wait
            raise
        finally:
            del self._loads[product_id]
        self._products[product_id] = product
        future.set_result(product)
        return product

    async def _read(self, product_id: ProductId) -> ProductTopics:
        product = ProductTopics(product_id)
        now = self._clock.wall_ms()
        after = DeviceId(0)
        while sessions := await self._reader.list_topic_sessions(product_id, after=after, limit=PAGE_SIZE):
            after = sessions[-1].device_id
            for kept in sessions:
                topics = self._restored(kept, now)
                if topics is not None:
                    product.put(topics)
                    self._on_away(product, topics)
        topic = ""
        while retained := await self._reader.list_retained(product_id, after=topic, limit=PAGE_SIZE):
            topic = retained[-1].topic
            for message in retained:
                product.retained.put(message)
        return product

    def _restored(self, kept: TopicSession, now: Instant) -> DeviceTopics | None:
        """Give a session of the disk. One that was connected when its run ended has been away since an instant that
        nobody knows: it counts as away from now."""
        if kept.expiry_s == 0:
            return None
        session = MqttSession(str(kept.device_id), limits=self._limits)
        topics = DeviceTopics(kept.device_id, session, is_durable=True, expiry_s=kept.expiry_s)
        topics.left_at = now if kept.left_at is None else kept.left_at
        if topics.has_expired(now):
            return None
        topics.has_backlog = True
        for subscription in kept.subscriptions:
            subscribed = from_kept(subscription)
            topics.subscribed[subscription.topic_filter] = subscribed
            session.subscribe(subscription.topic_filter, subscribed.options)
        return topics

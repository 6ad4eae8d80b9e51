"""The topics of one product: who has subscribed what, and the retained messages. Nothing ever leaves the product."""

from collections.abc import Callable
from typing import NamedTuple

from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.ports import Clock
from commandpost.domain.topic import TopicMessage
from commandpost.protocols.mqtt.subscription_tree import SubscriptionTree
from commandpost.southbound.mqtt.device_topics import DeviceTopics
from commandpost.southbound.mqtt.messages import Subscribed
from commandpost.southbound.mqtt.retained_messages import RetainedMessages


class Receiver(NamedTuple):
    """A device that takes a message, once, however many of its filters match (MQTT 3.1.1 section 3.3.5)."""

    # A tuple, unlike the other records: one is made for every message and device, in half the time.

    topics: DeviceTopics
    qos: int
    retain_as_published: bool
    identifiers: tuple[int, ...]


class ProductTopics:
    """See the module."""

    def __init__(self, product_id: ProductId) -> None:
        self.product_id = product_id
        self.devices: dict[DeviceId, DeviceTopics] = {}
        self.tree: SubscriptionTree[DeviceId, Subscribed] = SubscriptionTree()
        self.retained = RetainedMessages()
        # By sender that has a message on its way to the disk: what came after that and goes nowhere near a disk. It is
        # bounded by what a sender may have unanswered; None is an application.
        self.behind: dict[DeviceId | None, list[Callable[[], object]]] = {}

    # --- devices ------------------------------------------------------------------------------------------------

    def put(self, topics: DeviceTopics) -> None:
        """Take a device's session in, with what it has subscribed."""
        self.devices[topics.device_id] = topics
        for topic_filter, subscribed in topics.subscribed.items():
            self.tree.add(topic_filter, topics.device_id, subscribed)

    def drop(self, device_id: DeviceId) -> None:
        """A device's session is over."""
        topics = self.devices.pop(device_id, None)
        for topic_filter in () if topics is None else topics.subscribed:
            self.tree.remove(topic_filter, device_id)

    def subscribe(self, topics: DeviceTopics, topic_filter: str, subscribed: Subscribed) -> bool:
        """Keep a subscription; True when it is a new one."""
        topics.subscribed[topic_filter] = subscribed
        return self.tree.add(topic_filter, topics.device_id, subscribed)

    def unsubscribe(self, topics: DeviceTopics, topic_filter: str) -> bool:
        """Forget a subscription; False if there was none."""
        topics.subscribed.pop(topic_filter, None)
        topics.end_search(topic_filter)
        return self.tree.remove(topic_filter, topics.device_id)

    # --- messages -----------------------------------------------------------------------------------------------

    def receivers(self, message: TopicMessage, sender: DeviceId | None, clock: Clock) -> list[Receiver]:
        """Give who takes a message, each device once with the highest QoS its filters ask for.

        A session that has expired takes none, whether or not it was swept up.
        """
        found: dict[DeviceId, Receiver] = {}
        for device_id, subscribed in self.tree.match(message.topic):
            options = subscribed.options
            if options.no_local and device_id == sender:
                continue
            qos = min(message.qos, options.qos)
            identifiers = () if subscribed.identifier is None else (subscribed.identifier,)
            known = found.get(device_id)
            if known is None:
                topics = self.devices[device_id]
                if topics.link is None and topics.has_expired(clock.wall_ms()):
                    continue
                found[device_id] = Receiver(
                    topics=topics,
                    qos=qos,
                    retain_as_published=options.retain_as_published,
                    identifiers=identifiers,
                )
            else:
                found[device_id] = Receiver(
                    topics=known.topics,
                    qos=max(qos, known.qos),
                    retain_as_published=known.retain_as_published or options.retain_as_published,
                    identifiers=known.identifiers + identifiers,
                )
        return list(found.values())

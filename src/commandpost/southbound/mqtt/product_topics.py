"""The topics of one product: who has subscribed what, and the retained messages. Nothing ever leaves the product."""

from dataclasses import dataclass
from typing import Final

from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.topic import RETAINED_MAX, TopicMessage
from commandpost.protocols.mqtt.subscription_tree import SubscriptionTree
from commandpost.protocols.mqtt.topic_tree import TopicTree
from commandpost.southbound.mqtt.device_topics import DeviceTopics
from commandpost.southbound.mqtt.messages import Subscribed

RETAINED_BYTES_MAX: Final = 64 * 1024 * 1024  # of a product, in topics and payloads: they are kept in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A device that takes a message, once, however many of its filters match (MQTT 3.1.1 section 3.3.5)."""

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
        self.retained: TopicTree[TopicMessage] = TopicTree(topics_max=RETAINED_MAX)
        self._retained_bytes = 0

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
        return self.tree.remove(topic_filter, topics.device_id)

    # --- messages -----------------------------------------------------------------------------------------------

    def receivers(self, message: TopicMessage, sender: DeviceId | None) -> list[Receiver]:
        """Give who takes a message, each device once with the highest QoS its filters ask for."""
        found: dict[DeviceId, Receiver] = {}
        for device_id, subscribed in self.tree.match(message.topic):
            options = subscribed.options
            if options.no_local and device_id == sender:
                continue
            qos = min(message.qos, options.qos)
            identifiers = () if subscribed.identifier is None else (subscribed.identifier,)
            known = found.get(device_id)
            if known is None:
                found[device_id] = Receiver(
                    topics=self.devices[device_id],
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

    def may_retain(self, message: TopicMessage) -> bool:
        """Tell whether there is room for a retained message."""
        if not message.payload:
            return True
        known = self.retained.get(message.topic)
        more = _size(message) - (0 if known is None else _size(known))
        has_place = known is not None or len(self.retained) < RETAINED_MAX
        return has_place and self._retained_bytes + more <= RETAINED_BYTES_MAX

    def retain(self, message: TopicMessage) -> None:
        """Put a message in place of the topic's retained one; an empty payload removes that."""
        known = self.retained.get(message.topic)
        if known is not None:
            self._retained_bytes -= _size(known)
            self.retained.delete(message.topic)
        if message.payload and self.retained.set(message.topic, message):
            self._retained_bytes += _size(message)

    def forget_expired(self, message: TopicMessage, now: Instant) -> bool:
        """Tell whether a retained message is no longer wanted, and let it go then."""
        if message.expires_at is None or now < message.expires_at:
            return False
        if self.retained.get(message.topic) is message:
            self._retained_bytes -= _size(message)
            self.retained.delete(message.topic)
        return True


def _size(message: TopicMessage) -> int:
    return len(message.topic) + len(message.payload) + len(message.properties)

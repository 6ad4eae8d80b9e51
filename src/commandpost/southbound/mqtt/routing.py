"""Where a message goes: to everybody who has subscribed its topic, through the disk where it has to be kept.

Messages of one sender reach each device in the order in which they came, however long the disk takes for some of them.
Source: OASIS MQTT 3.1.1 and 5.0, section 4.6.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.ports import Clock, EventSink, Scheduler
from commandpost.domain.topic import TopicMessage
from commandpost.domain.topic_facts import KeepTopicMessage, TopicReceiver
from commandpost.services.open_writes import OpenWrites
from commandpost.southbound.mqtt.messages import OutgoingMessage
from commandpost.southbound.mqtt.product_loads import ProductLoads
from commandpost.southbound.mqtt.product_topics import ProductTopics, Receiver

Then: TypeAlias = Callable[[bool], object]


class Routing:
    """See the module."""

    def __init__(
        self, *, products: ProductLoads, writes: OpenWrites, clock: Clock, scheduler: Scheduler, events: EventSink
    ) -> None:
        self._products = products
        self._writes = writes
        self._clock = clock
        self._scheduler = scheduler
        self._events = events

    def route(self, product_id: ProductId, message: TopicMessage, *, sender: DeviceId | None, then: Then) -> None:
        """Hand a message to everybody who has subscribed its topic; `then` hears once it is safe, or that it is not.

        A message with `is_retained` takes the place of its topic's retained one, where there is room for it.
        """
        product = self._products.find(product_id)
        if product is None:
            self._scheduler.call_soon(then, False)
            return
        retains = message.is_retained and product.retained.has_room(message)
        if message.is_retained and not retains:
            self._events.emit("message_not_retained", product_id=product_id, topic=message.topic[:200])
        receivers = product.receivers(message, sender, self._clock)
        durable = [each for each in receivers if each.topics.is_durable and each.qos > 0]
        if durable or retains:
            self._keep(product, message, receivers, durable, retains=retains, sender=sender, then=then)
            return
        behind = product.behind.get(sender) if product.behind else None
        if behind is None:
            self._hand_over(message, receivers)
            then(True)
        else:
            behind.append(partial(self._pass_on, message, receivers, then))

    def _keep(
        self,
        product: ProductTopics,
        message: TopicMessage,
        receivers: Sequence[Receiver],
        durable: Sequence[Receiver],
        *,
        retains: bool,
        sender: DeviceId | None,
        then: Then,
    ) -> None:
        """Hand a message over once it is kept. What its sender sends meanwhile and nobody has to keep goes behind it;
        the next one that is kept needs no such care, since the disk has an order of its own."""
        behind: list[Callable[[], object]] = []
        product.behind[sender] = behind

        def kept(numbers: tuple[int | None, ...] | None) -> None:
            if numbers is not None:
                if retains:
                    product.retained.put(message)
                by_device = {each.topics.device_id: number for each, number in zip(durable, numbers, strict=True)}
                self._hand_over(message, receivers, by_device)
            then(numbers is not None)
            try:
                for follow in behind:  # it may grow on the way
                    follow()
            finally:
                if product.behind.get(sender) is behind:
                    del product.behind[sender]

        fact = KeepTopicMessage(
            product_id=product.product_id,
            message=message,
            retains=retains,
            receivers=tuple(
                TopicReceiver(
                    device_id=each.topics.device_id,
                    qos=each.qos,
                    identifiers=each.identifiers,
                    is_retained=message.is_retained and each.retain_as_published,
                )
                for each in durable
            ),
            at=self._clock.wall_ms(),
        )
        self._writes.submit(fact, kept)

    def _pass_on(self, message: TopicMessage, receivers: Sequence[Receiver], then: Then) -> None:
        self._hand_over(message, receivers)
        then(True)

    def _hand_over(
        self,
        message: TopicMessage,
        receivers: Sequence[Receiver],
        numbers: dict[DeviceId, int | None] | None = None,
    ) -> None:
        if not receivers:
            return
        outgoing = OutgoingMessage(message, self._clock)
        for each in receivers:
            topics, number = each.topics, None
            if numbers is not None and topics.device_id in numbers:
                number = numbers[topics.device_id]
                if number is None:
                    topics.dropped += 1  # its queue on disk is full
                    continue
            topics.deliver(
                outgoing,
                qos=each.qos,
                retain=message.is_retained and each.retain_as_published,
                identifiers=each.identifiers,
                number=number,
            )

"""Messages between the devices of a product: sessions, subscriptions, retained messages, wills.

What a sender is acknowledged lies on disk for every receiver whose session outlives its connection. Within a product
everything MQTT has but shared subscriptions; never anything across products (P12).

Here: sessions and subscriptions, and what is kept of them. Not here: where a message goes (routing), what waits for
room (waiting_messages), packets (protocols/mqtt), sockets and logins (peer).
Source: OASIS MQTT 3.1.1 and 5.0, chapter 4; southbound reference 5.1, 5.4; northbound reference 6.6.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from commandpost.domain.connection import Connection
from commandpost.domain.errors import StoreUnavailable
from commandpost.domain.facts import Fact
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.ports import Clock, EventSink, Scheduler, StoreWriter
from commandpost.domain.topic import SESSION_EXPIRY_S, TopicMessage, TopicSession
from commandpost.domain.topic_facts import (
    DropSubscriptions,
    DropTopicMessages,
    DropTopicSession,
    KeepSubscriptions,
    KeepTopicSession,
)
from commandpost.domain.topic_ports import TopicReader
from commandpost.protocols.mqtt.events import ConnectionClosed
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.protocols.mqtt.session import MqttSession
from commandpost.services.open_writes import OpenWrites
from commandpost.services.write_behind import WriteBehind
from commandpost.southbound.mqtt.device_topics import DeviceTopics
from commandpost.southbound.mqtt.messages import Subscribed, to_kept
from commandpost.southbound.mqtt.product_loads import ProductLoads
from commandpost.southbound.mqtt.product_topics import ProductTopics
from commandpost.southbound.mqtt.retained_messages import RetainedSearch
from commandpost.southbound.mqtt.routing import Routing, Then
from commandpost.southbound.mqtt.waiting_messages import WaitingMessages
from commandpost.southbound.mqtt.wills import Wills

SWEEP_MAX: Final = 2_000  # sessions looked at in one tick
BEHIND_MAX: Final = 20_000  # facts kept while the writer is overloaded


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionWish:
    """What a CONNECT says of its session."""

    client_id: str
    starts_clean: bool
    expiry_s: int
    """How long it outlives the connection; 0: not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """The session a connection goes on with."""

    topics: DeviceTopics
    is_present: bool
    expiry_s: int
    """What the server grants."""


class Broker:
    """See the module."""

    def __init__(
        self,
        *,
        writer: StoreWriter,
        reader: TopicReader,
        clock: Clock,
        scheduler: Scheduler,
        events: EventSink,
        limits: MqttLimits,
        session_expiry_max_s: int = SESSION_EXPIRY_S,
    ) -> None:
        self._writer = writer
        self._clock = clock
        self._scheduler = scheduler
        self._limits = limits
        self._session_expiry_max_s = session_expiry_max_s
        self._writes = OpenWrites(writer=writer, scheduler=scheduler, clock=clock, events=events)
        self._behind = WriteBehind(writer=writer, scheduler=scheduler, events=events, kept_max=BEHIND_MAX)
        self._products = ProductLoads(reader=reader, clock=clock, limits=limits, on_away=self._note_away)
        self._waiting = WaitingMessages(reader=reader, clock=clock, scheduler=scheduler, events=events)
        self._routing = Routing(
            products=self._products, writes=self._writes, clock=clock, scheduler=scheduler, events=events
        )
        self._wills = Wills(publish=self._publish_will, clock=clock, scheduler=scheduler, events=events)
        # Sessions whose devices are away, longest looked at first.
        self._away: dict[DeviceId, tuple[ProductTopics, DeviceTopics]] = {}

    # --- sessions -----------------------------------------------------------------------------------------------

    async def attach(self, connection: Connection, wish: SessionWish, is_wanted: Callable[[], bool]) -> Attached | None:
        """Give a new connection its session; what has to be on disk of it is.

        Args:
            is_wanted: asked after every wait: whether the connection is the device's newest, and open still.
        Returns:
            None: it is not. What it asked for of an earlier session is done all the same: a clean start ends that.
        Raises:
            PortError: it could not be read or written.
        """
        product = await self._products.load(connection.product_id)
        known = product.devices.get(connection.device_id)
        expiry_s = min(wish.expiry_s, self._session_expiry_max_s)
        is_durable = expiry_s > 0
        now = self._clock.wall_ms()
        is_present = known is not None and not wish.starts_clean and not known.has_expired(now)
        if known is not None and is_present and known.link is None:
            known.left_at = now  # here again: it does not expire while that is written
        was_durable = known is not None and known.is_durable
        if is_durable or (is_present and was_durable):
            session = TopicSession(
                device_id=connection.device_id, product_id=connection.product_id, expiry_s=expiry_s, left_at=None
            )
            fact = KeepTopicSession(session=session, starts_clean=not is_present)
            if not await self._writer.perform(fact):
                raise StoreUnavailable("the device is gone")
        elif was_durable:
            await self._writer.perform(DropTopicSession(device_id=connection.device_id))
        if not is_wanted():
            overtaken = product.devices.get(connection.device_id)
            if wish.starts_clean and overtaken is known and known is not None and known.link is None:
                product.drop(connection.device_id)  # as on disk; a connection that came after this one starts anew
            return None
        self._wills.settle(connection.device_id, is_session_present=is_present)
        known = product.devices.get(connection.device_id)
        if known is None or not is_present:
            product.drop(connection.device_id)
            session_of_engine = MqttSession(wish.client_id, limits=self._limits)
            known = DeviceTopics(connection.device_id, session_of_engine, is_durable=is_durable, expiry_s=expiry_s)
            product.put(known)
            is_present = False
        # What a session of before had on disk is dropped by now, unless this connection goes on with it.
        known.is_durable = is_durable or (is_present and was_durable)
        known.expiry_s = expiry_s
        return Attached(topics=known, is_present=is_present, expiry_s=expiry_s)

    def detach(self, connection: Connection, topics: DeviceTopics, closed: ConnectionClosed) -> None:
        """A connection is over: its will, and what becomes of its session."""
        product = self._products.find(connection.product_id)
        if product is None or product.devices.get(connection.device_id) is not topics:
            return
        now = self._clock.wall_ms()
        topics.detach(now)
        if closed.session_expiry_s is not None:
            topics.expiry_s = min(closed.session_expiry_s, self._session_expiry_max_s)
        ends_now = topics.expiry_s == 0
        if ends_now:
            product.drop(connection.device_id)
            if topics.is_durable:
                self._write(DropTopicSession(device_id=connection.device_id))
        else:
            self._note_away(product, topics)
            session = TopicSession(
                device_id=connection.device_id,
                product_id=connection.product_id,
                expiry_s=topics.expiry_s,
                left_at=now,
            )
            self._write(KeepTopicSession(session=session, starts_clean=False))
        if closed.will is not None:
            self._wills.keep(connection, closed.will, session_s=0 if ends_now else topics.expiry_s)

    def forget_device(self, device_id: DeviceId) -> None:
        """The device was deleted with everything it had."""
        self._wills.forget(device_id)
        self._products.forget_device(device_id)

    def _note_away(self, product: ProductTopics, topics: DeviceTopics) -> None:
        self._away[topics.device_id] = product, topics

    def _publish_will(self, product_id: ProductId, message: TopicMessage, sender: DeviceId) -> None:
        self.route(product_id, message, sender=sender, then=lambda _is_safe: None)

    # --- subscriptions ------------------------------------------------------------------------------------------

    def subscribe(
        self, connection: Connection, topics: DeviceTopics, wanted: Sequence[tuple[str, Subscribed]], then: Then
    ) -> None:
        """Keep subscriptions; `then` hears whether they are kept, and retained messages follow them."""

        def kept(is_kept: bool | None) -> None:
            product = self._products.find(connection.product_id)
            if not is_kept or product is None or product.devices.get(connection.device_id) is not topics:
                then(False)
                return
            fresh = [
                (topic_filter, subscribed)
                for topic_filter, subscribed in wanted
                if _wants_retained(subscribed, is_new=product.subscribe(topics, topic_filter, subscribed))
            ]
            then(True)
            for topic_filter, subscribed in fresh:
                search = RetainedSearch(product.retained, topic_filter, subscribed)
                self._waiting.bring_retained(topics, topic_filter, search)

        if topics.is_durable:
            subscriptions = tuple(to_kept(topic_filter, subscribed) for topic_filter, subscribed in wanted)
            fact = KeepSubscriptions(device_id=connection.device_id, subscriptions=subscriptions)
            self._writes.submit(fact, kept)
        else:
            self._scheduler.call_soon(kept, True)

    def unsubscribe(
        self,
        connection: Connection,
        topics: DeviceTopics,
        topic_filters: Sequence[str],
        then: Callable[[Sequence[bool] | None], object],
    ) -> None:
        """Forget subscriptions; `then` hears for each whether there was one, or None when the disk did not take it."""

        def dropped(was_session: bool | None) -> None:
            product = self._products.find(connection.product_id)
            if was_session is None or product is None:
                then(None)
            else:
                then([product.unsubscribe(topics, topic_filter) for topic_filter in topic_filters])

        if topics.is_durable:
            fact = DropSubscriptions(device_id=connection.device_id, topic_filters=tuple(topic_filters))
            self._writes.submit(fact, dropped)
        else:
            self._scheduler.call_soon(dropped, True)

    # --- messages -----------------------------------------------------------------------------------------------

    def route(self, product_id: ProductId, message: TopicMessage, *, sender: DeviceId | None, then: Then) -> None:
        """Hand a message to everybody who has subscribed its topic; `then` hears once it is safe, or that it is not."""
        self._routing.route(product_id, message, sender=sender, then=then)

    def acknowledged(self, topics: DeviceTopics, number: int) -> None:
        """A device took a message that lay on disk for it."""
        self._behind.write(DropTopicMessages(device_id=topics.device_id, numbers=(number,)))

    def go_on(self, topics: DeviceTopics) -> None:
        """There may be room for what waits for a device: its connection says so after whatever happened on it."""
        self._waiting.go_on(topics)

    async def load(self, product_id: ProductId) -> ProductTopics:
        """Give a product's topics; `route` knows a product from then on.

        Raises:
            PortError: they could not be read.
        """
        return await self._products.load(product_id)

    # --- upkeep -------------------------------------------------------------------------------------------------

    def sweep(self) -> None:
        """Let go of sessions whose devices have been away for longer than they asked for; the disk is pruned apart."""
        now = self._clock.wall_ms()
        for device_id in list(islice(self._away, SWEEP_MAX)):
            product, topics = self._away.pop(device_id)
            if topics.link is not None or product.devices.get(device_id) is not topics:
                continue  # it is back, or gone
            if topics.has_expired(now):
                product.drop(device_id)
                self._write(DropTopicSession(device_id=device_id))
            else:
                self._note_away(product, topics)

    async def drain(self, timeout_s: float) -> None:
        """Wait for what is being written."""
        self._wills.stop()
        await self._writes.wait(self._clock.monotonic() + timeout_s)

    def _write(self, fact: Fact[object]) -> None:
        self._writes.submit(fact, lambda _result: None)


def _wants_retained(subscribed: Subscribed, *, is_new: bool) -> bool:
    """MQTT 5.0 section 3.8.3.1: 0 always, 1 for a new subscription, 2 never. In 3.1.1 it is always 0."""
    handling = subscribed.options.retain_handling
    return handling == 0 or (handling == 1 and is_new)

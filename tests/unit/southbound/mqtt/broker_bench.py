"""A Broker over the reference store, with links that take as much as a test lets them."""

from commandpost.domain.command import Transport
from commandpost.domain.connection import Connection
from commandpost.domain.device import Device, Product
from commandpost.domain.ids import DeviceId, ProductId, StartId
from commandpost.domain.instant import SECOND_MS, Instant
from commandpost.domain.session import Remote
from commandpost.domain.topic import TopicMessage
from commandpost.protocols.mqtt.events import CloseReason, ConnectionClosed
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.protocols.mqtt.packets import SubscriptionOptions, Will
from commandpost.protocols.mqtt.properties import Properties
from commandpost.protocols.mqtt.reason_codes import ReasonCode
from commandpost.protocols.mqtt.session import OutboundMessage
from commandpost.services.devices import NewDevice
from commandpost.southbound.mqtt.broker import Broker, SessionWish
from commandpost.southbound.mqtt.device_topics import DeviceTopics
from commandpost.southbound.mqtt.messages import QueuedTag, Subscribed
from tests.unit.services.payload_house import PayloadHouse

HOUR_S = 3_600
PAGES_MAX = 20  # a full queue has sixteen


class FakeLink:
    """A device's connection: takes messages until it is full."""

    def __init__(self, bench: "BrokerBench", connection: Connection, topics: DeviceTopics) -> None:
        self.connection = connection
        self.topics = topics
        self.sent: list[OutboundMessage] = []
        self.room = 1_000
        self.is_full = False
        self.is_noisy = False
        """Something happens on the connection with every message."""
        self._bench = bench

    def send_message(self, message: OutboundMessage) -> bool:
        if len(self.sent) >= self.room:
            return False
        self.sent.append(message)
        if self.is_noisy:
            self.pump()
        return True

    @property
    def payloads(self) -> list[bytes]:
        """What was sent, in order."""
        return [each.payload for each in self.sent]

    def acknowledge(self, *payloads: bytes) -> None:
        """The device took these."""
        for each in self.sent:
            if each.payload in payloads and isinstance(each.tag, QueuedTag):
                self._bench.broker.acknowledged(self.topics, each.tag.number)
        self.pump()

    def pump(self) -> None:
        """Something happened on the connection, whatever it was."""
        self._bench.broker.go_on(self.topics)


class BrokerBench:
    """One product's devices and the broker between them; a second bench stands on the disk of the first: a restart."""

    def __init__(self, *, before: "BrokerBench | None" = None, session_expiry_max_s: int = 7 * 86_400) -> None:
        self.house: PayloadHouse = PayloadHouse(before=None if before is None else before.house)
        self.broker = Broker(
            writer=self.house.writer,
            reader=self.house.store,
            clock=self.house.clock,
            scheduler=self.house.scheduler,
            events=self.house.events,
            limits=MqttLimits(),
            session_expiry_max_s=session_expiry_max_s,
        )
        self._product: Product | None = None if before is None else before._product
        self._epoch = 0

    async def add_device(self, name: str) -> Device:
        """Make a device of the one product."""
        if self._product is None:
            self._product = (await self.house.do(self.house.products.create(name="topics"))).product
        new = NewDevice(protocol="MQTT", title=name, auth_info=f'"secret of {name}"')
        return await self.house.do(self.house.devices.create(self._product, new))

    async def attach(
        self, device: Device, *, expiry_s: int = 0, is_clean: bool = False, room: int = 1_000
    ) -> tuple[FakeLink, bool]:
        """Connect a device; gives its link, and whether it had a session."""
        link, is_present = await self.house.do(self.let_in(device, expiry_s=expiry_s, is_clean=is_clean, room=room))
        link.pump()
        for _ in range(PAGES_MAX):  # each page of what waits is read by a task of its own
            await self.house.settle()
        return link, is_present

    async def let_in(
        self, device: Device, *, expiry_s: int = 0, is_clean: bool = False, room: int = 1_000
    ) -> tuple[FakeLink, bool]:
        """The same, for a test that lets happen by itself what has to."""
        self._epoch += 1
        connection = Connection(
            device_id=device.id,
            product_id=device.product_id,
            transport=Transport.MQTT,
            start_id=StartId(1),
            remote=Remote(b"here"),
            keepalive_s=120,
            connected_at=self.house.clock.wall_ms(),
            epoch=self._epoch,
        )
        wish = SessionWish(client_id=str(device.id), starts_clean=is_clean, expiry_s=expiry_s)
        attached = await self.broker.attach(connection, wish, lambda: True)
        assert attached is not None
        link = FakeLink(self, connection, attached.topics)
        link.room = room
        attached.topics.attach(link)
        return link, attached.is_present

    async def detach(self, link: FakeLink, *, will: Will | None = None) -> None:
        """Break a connection."""
        closed = ConnectionClosed(
            reason=CloseReason.PEER_LOST,
            code=ReasonCode.UNSPECIFIED_ERROR,
            will=will,
            is_clean=False,
            session_expiry_s=None,
            detail="",
        )
        self.broker.detach(link.connection, link.topics, closed)
        await self.house.settle()

    async def subscribe(
        self,
        link: FakeLink,
        topic_filter: str,
        qos: int = 1,
        *,
        no_local: bool = False,
        retain_handling: int = 0,
        retain_as_published: bool = False,
        identifier: int | None = None,
    ) -> bool:
        """Subscribe; gives whether it is kept."""
        options = SubscriptionOptions(
            qos=qos, no_local=no_local, retain_handling=retain_handling, retain_as_published=retain_as_published
        )
        kept: list[bool] = []
        wanted = [(topic_filter, Subscribed(options=options, identifier=identifier))]
        self.broker.subscribe(link.connection, link.topics, wanted, kept.append)
        await self.house.settle()
        return kept[0]

    async def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int = 1,
        *,
        retain: bool = False,
        sender: DeviceId | None = None,
        expires_in_s: int | None = None,
    ) -> list[bool]:
        """Route a message; gives what its sender was told."""
        now = self.house.clock.wall_ms()
        message = TopicMessage(
            topic=topic,
            payload=payload,
            qos=qos,
            is_retained=retain,
            expires_at=None if expires_in_s is None else Instant(now + expires_in_s * SECOND_MS),
        )
        told: list[bool] = []
        self.broker.route(self.product_id, message, sender=sender, then=told.append)
        await self.house.settle()
        return told

    @property
    def product_id(self) -> ProductId:
        """The product of all devices."""
        assert self._product is not None
        return self._product.id


def will(topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, delay_s: int | None = None) -> Will:
    """A will as a CONNECT brings it."""
    return Will(topic=topic, payload=payload, qos=qos, retain=retain, properties=Properties(will_delay_s=delay_s))

"""Peers of both protocols with all that stands behind them, on transports that obey and a clock that stands still."""

from collections.abc import Sequence

from commandpost.domain.datapoint import Datapoint
from commandpost.domain.device import Device, Product
from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.proof import Proof
from commandpost.protocols.edp.limits import EdpLimits
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.services.datapoints import DataOrigin, Datapoints
from commandpost.services.logins import Logins
from commandpost.southbound.edp.peer import EdpHouse, EdpPeer, EdpPeers
from commandpost.southbound.memory_budget import MemoryBudget
from commandpost.southbound.mqtt.broker import Broker
from commandpost.southbound.mqtt.entrance import MqttHouse
from commandpost.southbound.mqtt.peer import MqttPeer
from commandpost.southbound.reported_data import ReportedData
from commandpost.southbound.stream_peer import StreamPeer
from commandpost.southbound.stream_server import StreamLimits, StreamRegistry
from tests.unit.services.payload_house import PayloadHouse
from tests.unit.southbound.stream_fakes import FakeTransport

SECRET = "secret-of-m"  # as PayloadHouse has it


class NoKeys:
    """No key opens anything."""

    async def prove(
        self, *, api_key: str | None, token: str | None, product_id: ProductId, device: Device
    ) -> Proof | None:
        return None


class NoPoints(Datapoints):
    """Stores nothing."""

    def __init__(self) -> None:
        """Without a store."""

    async def add(
        self,
        device_id: DeviceId,
        product_id: ProductId,
        points: Sequence[Datapoint],
        *,
        origin: DataOrigin = DataOrigin.DEVICE,
    ) -> None:
        """At once."""


class Streams:
    """The drivers of MQTT and EDP."""

    def __init__(self, *, unproven_max: int = 100) -> None:
        self.house = house = PayloadHouse()
        self.budget = MemoryBudget(bytes_max=10_000_000)
        self.data = ReportedData(
            points=NoPoints(), budget=self.budget, clock=house.clock, utc_offset_ms=0, events=house.events
        )
        self.logins = Logins(reader=house.store, keyring=NoKeys())
        limits = StreamLimits(connections_max=100, unproven_max=unproven_max)
        self.registry = StreamRegistry(limits=limits, events=house.events)
        self.mqtt = MqttHouse(
            clock=house.clock,
            scheduler=house.scheduler,
            events=house.events,
            logins=self.logins,
            connections=house.connections,
            dispatcher=house.payload_dispatcher,
            data=self.data,
            broker=Broker(
                writer=house.writer,
                reader=house.store,
                clock=house.clock,
                scheduler=house.scheduler,
                events=house.events,
                limits=MqttLimits(),
            ),
            registry=self.registry,
            budget=self.budget,
            limits=MqttLimits(),
            session_expiry_s=3_600,
        )
        self.edp = EdpHouse(
            clock=house.clock,
            scheduler=house.scheduler,
            events=house.events,
            logins=self.logins,
            connections=house.connections,
            dispatcher=house.payload_dispatcher,
            data=self.data,
            peers=EdpPeers(),
            registry=self.registry,
            budget=self.budget,
            limits=EdpLimits(),
            random_bytes=bytes,
        )

    async def furnish(self, protocol: str = "MQTT") -> tuple[Product, Device]:
        """Give a product with a device."""
        return await self.house.add_product_with_device(protocol)

    def mqtt_stream(self, *, takes_all: bool = True) -> tuple[MqttPeer, FakeTransport]:
        """Give a fresh MQTT connection."""
        peer = MqttPeer(self.mqtt)
        return peer, self._open(peer, takes_all=takes_all)

    def edp_stream(self, *, takes_all: bool = True) -> tuple[EdpPeer, FakeTransport]:
        """Give a fresh EDP connection."""
        peer = EdpPeer(self.edp)
        return peer, self._open(peer, takes_all=takes_all)

    def _open(self, peer: StreamPeer, *, takes_all: bool) -> FakeTransport:
        transport = FakeTransport(self.house.scheduler, peer, takes_all=takes_all)
        peer.connection_made(transport)
        return transport

    async def say(self, peer: StreamPeer, data: bytes | str) -> None:
        """Let bytes arrive, and let happen what needs no time."""
        peer.data_received(bytes.fromhex(data) if isinstance(data, str) else data)
        await self.house.settle()

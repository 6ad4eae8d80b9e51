"""The side of a platform that devices connect to over TCP: everything between a payload or a report and a socket.

Here: building and connecting those objects, and binding their sockets. Not here: the rest of the platform (assembly).
"""

import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from commandpost.app.disk import CannotStart
from commandpost.config import ListenAddress, Settings, Takeover
from commandpost.domain.ids import DeviceId, StartId
from commandpost.domain.ports import Clock, EventSink, IdSource, Scheduler, StoreReader, StoreWriter
from commandpost.domain.topic_ports import TopicReader
from commandpost.protocols.edp.limits import EdpLimits
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.services.access import Authenticator
from commandpost.services.connections import Connections
from commandpost.services.datapoints import Datapoints
from commandpost.services.logins import LoginRefusals, Logins
from commandpost.services.payload_dispatcher import PayloadDispatcher
from commandpost.southbound.edp.peer import EdpHouse, EdpPeer, EdpPeers
from commandpost.southbound.mqtt.broker import Broker
from commandpost.southbound.mqtt.entrance import MqttHouse
from commandpost.southbound.mqtt.messenger import Messenger
from commandpost.southbound.mqtt.peer import MqttPeer
from commandpost.southbound.reported_data import ReportedData
from commandpost.southbound.stream_peer import MemoryBudget
from commandpost.southbound.stream_server import StreamLimits, StreamRegistry, StreamServer

UNPROVEN_SHARE: Final = 10  # of all connections, one in so many may be one that has not logged in


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPorts:
    """What the stream side stands on."""

    clock: Clock
    scheduler: Scheduler
    ids: IdSource
    writer: StoreWriter
    reader: StoreReader
    topic_reader: TopicReader
    events: EventSink
    start_id: StartId
    random_bytes: Callable[[int], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """The connected objects."""

    connections: Connections
    dispatcher: PayloadDispatcher
    broker: Broker
    messenger: Messenger
    data: ReportedData
    mqtt: MqttHouse
    edp: EdpHouse

    async def start(self) -> None:
        """End what the run before left connected: before anybody is heard."""
        await self.connections.recover()

    async def stop(self, timeout_s: float) -> None:
        """Begin nothing new, write what is to be kept, and let everybody go."""
        await self.dispatcher.drain(timeout_s)
        await self.data.drain(timeout_s)
        await self.connections.drain(timeout_s)
        await self.broker.drain(timeout_s)
        self.mqtt.registry.abort_all()
        self.edp.registry.abort_all()

    def forget_device(self, device_id: DeviceId) -> None:
        """A device was deleted."""
        self.connections.forget_device(device_id)
        self.broker.forget_device(device_id)


def build_payload_side(ports: StreamPorts) -> tuple[PayloadDispatcher, Connections]:
    """Build what payloads need, with or without sockets."""
    dispatcher = PayloadDispatcher(
        writer=ports.writer,
        ids=ports.ids,
        clock=ports.clock,
        scheduler=ports.scheduler,
        start_id=ports.start_id,
        events=ports.events,
    )
    connections = Connections(
        writer=ports.writer,
        dispatcher=dispatcher,
        clock=ports.clock,
        scheduler=ports.scheduler,
        start_id=ports.start_id,
        events=ports.events,
    )
    return dispatcher, connections


def build_streams(
    settings: Settings,
    ports: StreamPorts,
    *,
    dispatcher: PayloadDispatcher,
    connections: Connections,
    authenticator: Authenticator,
    datapoints: Datapoints,
    refusals: LoginRefusals,
) -> Streams:
    """Build the drivers of MQTT and EDP; nothing listens yet."""
    clock, scheduler, events = ports.clock, ports.scheduler, ports.events
    logins = Logins(reader=ports.reader, keyring=authenticator, refusals=refusals)
    data = ReportedData(
        points=datapoints,
        clock=clock,
        utc_offset_ms=int(settings.utc_offset.total_seconds() * 1000),
        events=events,
    )
    limits = _mqtt_limits(settings)
    broker = Broker(
        writer=ports.writer,
        reader=ports.topic_reader,
        clock=clock,
        scheduler=scheduler,
        events=events,
        limits=limits,
        session_expiry_max_s=settings.mqtt.session_expiry_s,
    )
    budget = MemoryBudget(bytes_max=settings.data.held_bytes_max)
    mqtt = MqttHouse(
        clock=clock,
        scheduler=scheduler,
        events=events,
        logins=logins,
        connections=connections,
        dispatcher=dispatcher,
        data=data,
        broker=broker,
        registry=_registry(settings.mqtt.connections_max, events),
        budget=budget,
        limits=limits,
        session_expiry_s=settings.mqtt.session_expiry_s,
    )
    edp = EdpHouse(
        clock=clock,
        scheduler=scheduler,
        events=events,
        logins=logins,
        connections=connections,
        dispatcher=dispatcher,
        data=data,
        peers=EdpPeers(),
        registry=_registry(settings.edp.connections_max, events),
        budget=budget,
        limits=EdpLimits(),
        random_bytes=ports.random_bytes,
        takes_over=settings.edp.takeover is Takeover.ALWAYS,
    )
    return Streams(
        connections=connections,
        dispatcher=dispatcher,
        broker=broker,
        messenger=Messenger(broker),
        data=data,
        mqtt=mqtt,
        edp=edp,
    )


def _registry(connections_max: int, events: EventSink) -> StreamRegistry:
    unproven_max = max(connections_max // UNPROVEN_SHARE, 1)
    return StreamRegistry(
        limits=StreamLimits(connections_max=connections_max, unproven_max=unproven_max), events=events
    )


def _mqtt_limits(settings: Settings) -> MqttLimits:
    packet_bytes_max = settings.mqtt.packet_bytes_max
    plain = MqttLimits()
    return MqttLimits(
        packet_bytes_max=packet_bytes_max,
        # One packet of the largest size has to fit, whatever else is held.
        held_bytes_max=max(plain.held_bytes_max, packet_bytes_max + plain.held_before_login_bytes_max),
        inbound_unacknowledged_bytes_max=max(plain.inbound_unacknowledged_bytes_max, packet_bytes_max),
    )


# --- sockets ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSockets:
    """Bound sockets by the flag that asked for them."""

    mqtt: Sequence[socket.socket]
    mqtts: Sequence[socket.socket]
    edp: Sequence[socket.socket]
    tls: ssl.SSLContext | None

    def addresses(self) -> dict[str, list[str]]:
        """Give where is listened, by flag; flags that were not given are left out."""
        found = {"mqtt": self.mqtt, "mqtts": self.mqtts, "edp": self.edp}
        return {
            name: [format_address(each.getsockname()) for each in sockets] for name, sockets in found.items() if sockets
        }

    async def serve(self, streams: Streams) -> list[StreamServer]:
        """Begin to accept."""
        return [
            await StreamServer.start(self.mqtt, lambda: MqttPeer(streams.mqtt)),
            await StreamServer.start(self.mqtts, lambda: MqttPeer(streams.mqtt), tls=self.tls),
            await StreamServer.start(self.edp, lambda: EdpPeer(streams.edp)),
        ]


def bind_streams(settings: Settings, stack: ExitStack, *, tls: ssl.SSLContext | None) -> StreamSockets:
    """Bind every socket the settings ask for.

    Raises:
        CannotStart: one cannot be bound.
    """
    return StreamSockets(
        mqtt=_bind("mqtt", settings.mqtt.listen, stack),
        mqtts=_bind("mqtts", settings.mqtt.tls_listen, stack),
        edp=_bind("edp", settings.edp.listen, stack),
        tls=tls,
    )


def _bind(name: str, addresses: Sequence[ListenAddress], stack: ExitStack) -> list[socket.socket]:
    sockets = []
    for address in addresses:
        try:
            bound = StreamServer.bind(address.host, address.port)
        except OSError as error:
            raise CannotStart(bind_fault(name, address, error)) from error
        stack.callback(bound.close)
        sockets.append(bound)
    return sockets


def format_address(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """Write where a socket listens as it would be given."""
    return str(ListenAddress(host=address[0], port=address[1]))


def bind_fault(name: str, address: ListenAddress, error: OSError) -> str:
    """Say which flag's address cannot be bound."""
    return f"--{name} {address} cannot be bound: {error.strerror or error}"

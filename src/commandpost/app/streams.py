"""The side of a platform that devices connect to over TCP: everything between a payload or a report and a socket.

Here: building and connecting those objects. Not here: the rest of the platform (assembly), their sockets
(stream_sockets).
"""

from dataclasses import dataclass
from typing import Final

from commandpost.app.stop_budget import StopBudget
from commandpost.app.world import World
from commandpost.config import Settings, Takeover
from commandpost.domain.device import Device
from commandpost.domain.ids import DeviceId
from commandpost.domain.ports import Clock, EventSink
from commandpost.domain.proof import AuthInfoChanged, RegisteredDeviceGone, fingerprint_auth_info
from commandpost.protocols.edp.limits import EdpLimits
from commandpost.protocols.mqtt.limits import MqttLimits
from commandpost.services.access import Authenticator
from commandpost.services.connections import Connections
from commandpost.services.datapoints import Datapoints
from commandpost.services.logins import LoginRefusals, Logins
from commandpost.services.payload_dispatcher import PayloadDispatcher
from commandpost.southbound.edp.peer import EdpHouse, EdpPeers
from commandpost.southbound.memory_budget import MemoryBudget
from commandpost.southbound.mqtt.broker import Broker
from commandpost.southbound.mqtt.entrance import MqttHouse
from commandpost.southbound.mqtt.messenger import Messenger
from commandpost.southbound.reported_data import ReportedData
from commandpost.southbound.stream_server import StreamLimits, StreamRegistry

UNPROVEN_SHARE: Final = 10  # of all connections, one in so many may be one that has not logged in


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
    clock: Clock

    async def start(self) -> None:
        """End what the run before left connected: before anybody is heard."""
        await self.connections.recover()

    async def stop(self, timeout_s: float) -> None:
        """Begin nothing new, write what is to be kept, and let everybody go; all of it within a time."""
        budget = StopBudget(self.clock, timeout_s)
        await self.dispatcher.drain(budget.share())
        await self.data.drain(budget.share())
        await self.connections.drain(budget.share())
        await self.broker.drain(budget.left())
        self.mqtt.registry.abort_all()
        self.edp.registry.abort_all()

    def forget_device(self, device_id: DeviceId) -> None:
        """A device was deleted."""
        self.connections.forget_device(device_id)
        self.connections.credential_changed(RegisteredDeviceGone(device_id=device_id))
        self.broker.forget_device(device_id)

    def device_changed(self, device: Device) -> None:
        """A device was changed, maybe in what it logs in with."""
        fingerprint = fingerprint_auth_info(device.auth_info)
        self.connections.credential_changed(AuthInfoChanged(only_device=device.id, fingerprint=fingerprint))


def build_payload_side(world: World) -> tuple[PayloadDispatcher, Connections]:
    """Build what payloads need, with or without sockets."""
    dispatcher = PayloadDispatcher(
        writer=world.writer,
        ids=world.ids,
        clock=world.clock,
        scheduler=world.scheduler,
        start_id=world.start_id,
        events=world.events,
    )
    connections = Connections(
        writer=world.writer,
        dispatcher=dispatcher,
        clock=world.clock,
        scheduler=world.scheduler,
        start_id=world.start_id,
        events=world.events,
    )
    return dispatcher, connections


def build_streams(
    settings: Settings,
    world: World,
    *,
    dispatcher: PayloadDispatcher,
    connections: Connections,
    authenticator: Authenticator,
    datapoints: Datapoints,
    refusals: LoginRefusals,
) -> Streams:
    """Build the drivers of MQTT and EDP; nothing listens yet."""
    clock, scheduler, events = world.clock, world.scheduler, world.events
    logins = Logins(reader=world.reader, keyring=authenticator, refusals=refusals)
    budget = MemoryBudget(bytes_max=settings.data.held_bytes_max)
    data = ReportedData(
        points=datapoints,
        budget=budget,
        clock=clock,
        utc_offset_ms=int(settings.utc_offset.total_seconds() * 1000),
        events=events,
    )
    limits = _mqtt_limits(settings)
    broker = Broker(
        writer=world.writer,
        reader=world.reader,
        clock=clock,
        scheduler=scheduler,
        events=events,
        limits=limits,
        session_expiry_max_s=settings.mqtt.session_expiry_s,
    )
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
        limits=EdpLimits(login_s=settings.edp.login_s),
        random_bytes=world.random_bytes,
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
        clock=clock,
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
        login_s=settings.mqtt.login_s,
        packet_bytes_max=packet_bytes_max,
        # One packet of the largest size has to fit, whatever else is held.
        held_bytes_max=max(plain.held_bytes_max, packet_bytes_max + plain.held_before_login_bytes_max),
        inbound_unacknowledged_bytes_max=max(plain.inbound_unacknowledged_bytes_max, packet_bytes_max),
    )

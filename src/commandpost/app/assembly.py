"""One platform: every object of a server, connected, over whatever ports it is given.

The same connections run on real sockets (server) and in a virtual world (tests).
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Final, Protocol

from commandpost.app.part_settings import (
    bootstrap_settings,
    coap_settings,
    datapoint_settings,
    dispatcher_settings,
    northbound_settings,
    payload_settings,
    rate_settings,
    session_settings,
)
from commandpost.app.pushing import Pushing, PushPorts, build_pushing
from commandpost.app.streams import StreamPorts, Streams, build_payload_side, build_streams
from commandpost.config import Settings
from commandpost.domain.audit import AuditReader
from commandpost.domain.data_ports import DataReader
from commandpost.domain.dtls_association import AssociationReader
from commandpost.domain.errors import CommandpostError
from commandpost.domain.ids import DeviceId, StartId
from commandpost.domain.instant import DAY_MS
from commandpost.domain.object_model import ObjectModel
from commandpost.domain.payload_ports import DeviceKeyReader, PayloadReader
from commandpost.domain.ports import (
    Clock,
    DatagramLink,
    EventSink,
    IdSource,
    Scheduler,
    SecretBox,
    StoreReader,
    StoreWriter,
)
from commandpost.domain.push_ports import PushReader, PushSender
from commandpost.domain.session import Remote
from commandpost.domain.topic_ports import TopicReader
from commandpost.northbound.api import Api
from commandpost.protocols.coap.endpoint import CoapEndpoint
from commandpost.services.access import Authenticator
from commandpost.services.audit import AuditKeeper, AuditLog, AuditPruner
from commandpost.services.bootstraps import Bootstraps
from commandpost.services.commands import Commands, CommandSettings
from commandpost.services.datapoints import Datapoints
from commandpost.services.device_keys import DeviceKeys
from commandpost.services.devices import Devices
from commandpost.services.dispatcher import Dispatcher
from commandpost.services.dtls_associations import DtlsAssociations
from commandpost.services.failed_logins import FailedLogins
from commandpost.services.identities import Identities
from commandpost.services.login_refusals import RefusedLogins
from commandpost.services.maintenance import AddressKeeper, Expirer, Maintenance, Pruner, Rescuer, SessionSweeper
from commandpost.services.observations import Observations
from commandpost.services.payloads import Payloads
from commandpost.services.products import Products
from commandpost.services.rate_limits import RateLimits
from commandpost.services.retention import DataPruner, TopicPruner
from commandpost.services.self_registration import SelfRegistration
from commandpost.services.session_guard import Identify, nobody
from commandpost.services.sessions import Sessions
from commandpost.southbound.coap_driver import CoapDriver
from commandpost.southbound.lwm2m_bootstrap import BootstrapServer
from commandpost.southbound.lwm2m_downlink import Lwm2mDownlink
from commandpost.southbound.lwm2m_reports import Lwm2mReports
from commandpost.southbound.lwm2m_server import Lwm2mServer
from commandpost.southbound.remote import format_remote, host_of

TICK_S: Final = 1.0  # the lateness of an expiry or of an offline event; what is read is exact all the same
TICKS_PER_PRUNING: Final = 60  # what is kept for months may stay a minute longer
DRAIN_S: Final = 0.75  # with what else stopping takes, less than the 5 s that SIGTERM promises


class Reader(
    StoreReader,
    PayloadReader,
    DeviceKeyReader,
    DataReader,
    TopicReader,
    PushReader,
    AuditReader,
    AssociationReader,
    Protocol,
):
    """Every question that is asked of a store."""


def _pass_over(device_id: DeviceId) -> None:
    del device_id


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Every port a platform stands on."""

    clock: Clock
    scheduler: Scheduler
    ids: IdSource
    secrets: SecretBox
    writer: StoreWriter
    reader: Reader
    link: DatagramLink
    random: Random
    random_bytes: Callable[[int], bytes]
    """Of a source fit for keys."""
    sender: PushSender
    events: EventSink
    start_id: StartId
    object_model: ObjectModel
    identify: Identify = nobody
    """Says who has proved to be at an address of `link`; without DTLS nobody."""
    on_keys_changed: Callable[[DeviceId], object] = _pass_over
    """Told of each device whose keys or DTLS identity are others now, or that is gone."""
    describe_remote: Callable[[Remote | None], str] = format_remote
    """Writes an address of `link` for the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """The connected objects of one server."""

    products: Products
    devices: Devices
    identities: Identities
    associations: DtlsAssociations
    commands: Commands
    sessions: Sessions
    dispatcher: Dispatcher
    payloads: Payloads
    datapoints: Datapoints
    streams: Streams
    pushing: Pushing
    audit: AuditLog
    maintenance: Maintenance
    driver: CoapDriver
    lwm2m_server: Lwm2mServer
    api: Api

    async def start(self) -> None:
        """Recover, and only then hear devices."""
        await self.dispatcher.recover()
        await self.streams.start()
        self.pushing.deliveries.start()
        self.lwm2m_server.start()
        self.maintenance.start()

    async def stop(self) -> None:
        """Begin nothing new, and hand everything that is to be kept to the writer."""
        await self.maintenance.stop()
        await self.pushing.deliveries.stop()
        await self.lwm2m_server.drain(DRAIN_S)
        await self.dispatcher.drain(DRAIN_S)
        await self.streams.stop(DRAIN_S)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.sessions.flush(), DRAIN_S)
        with suppress(TimeoutError, CommandpostError):
            await asyncio.wait_for(self.audit.flush(), DRAIN_S)


def build_platform(settings: Settings, world: World, *, tick_s: float = TICK_S) -> Platform:
    """Build every object of one platform and connect them; nothing runs yet.

    Args:
        tick_s: how often the store is asked what is due; a simulation of days asks less often.
    """
    clock, writer, reader, events = world.clock, world.writer, world.reader, world.events
    coap = coap_settings(settings)
    sessions = Sessions(
        writer=writer,
        reader=reader,
        secrets=world.secrets,
        ids=world.ids,
        clock=clock,
        start_id=world.start_id,
        settings=session_settings(settings),
        events=events,
        identify=world.identify,
        host_of=host_of,
    )
    driver = CoapDriver(
        endpoint=CoapEndpoint(
            parameters=coap.transmission_parameters(), limits=coap.endpoint_limits(), random=world.random
        ),
        link=world.link,
        clock=clock,
        scheduler=world.scheduler,
        known_peers_max=coap.known_peers_max,
        known_peer_idle_s=coap.known_peer_idle_s,
    )
    datapoints = Datapoints(
        writer=writer, reader=reader, ids=world.ids, clock=clock, settings=datapoint_settings(settings)
    )
    reports = Lwm2mReports(
        observations=Observations(points=datapoints, events=events), model=world.object_model, clock=clock
    )
    dispatcher = Dispatcher(
        writer=writer,
        reader=reader,
        downlink=Lwm2mDownlink(
            driver=driver,
            sessions=sessions,
            model=world.object_model,
            clock=clock,
            settings=coap,
            reports=reports,
        ),
        sessions=sessions,
        ids=world.ids,
        clock=clock,
        scheduler=world.scheduler,
        start_id=world.start_id,
        settings=dispatcher_settings(settings),
        events=events,
    )
    products = Products(
        writer=writer,
        reader=reader,
        secrets=world.secrets,
        ids=world.ids,
        clock=clock,
        on_changed=(sessions.product_changed,),
    )
    identities = Identities(
        writer=writer,
        reader=reader,
        secrets=world.secrets,
        ids=world.ids,
        on_keys_changed=(world.on_keys_changed,),
    )
    authenticator = Authenticator(
        products=products, reader=reader, key_reader=reader, secrets=world.secrets, clock=clock
    )
    audit = AuditLog(writer=writer, reader=reader, clock=clock, events=events)
    failed_logins = FailedLogins(clock=clock) if settings.limits.failed_login_delay else None
    ports = _stream_ports(world)
    payload_dispatcher, connections = build_payload_side(ports)
    streams = build_streams(
        settings,
        ports,
        dispatcher=payload_dispatcher,
        connections=connections,
        authenticator=authenticator,
        datapoints=datapoints,
        refusals=RefusedLogins(audit=audit, failed_logins=failed_logins, clock=clock),
    )
    devices = Devices(
        writer=writer,
        reader=reader,
        sessions=sessions,
        dispatcher=dispatcher,
        identities=identities,
        secrets=world.secrets,
        clock=clock,
        on_removed=(streams.forget_device, authenticator.forget_device, world.on_keys_changed),
    )
    payloads = Payloads(
        writer=writer,
        reader=reader,
        payloads=reader,
        connections=connections,
        dispatcher=payload_dispatcher,
        ids=world.ids,
        clock=clock,
        settings=payload_settings(settings),
    )
    commands = Commands(
        writer=writer,
        reader=reader,
        dispatcher=dispatcher,
        ids=world.ids,
        clock=clock,
        settings=CommandSettings(waiting_max=settings.limits.waiting_max_per_device),
    )
    pushing = build_pushing(settings, _push_ports(world), tick_s=tick_s, pruning_s=tick_s * TICKS_PER_PRUNING)
    duties = (
        *pushing.duties,
        Expirer(writer=writer, clock=clock, interval_s=tick_s),
        Rescuer(writer=writer, reader=reader, dispatcher=dispatcher, clock=clock, interval_s=tick_s),
        SessionSweeper(sessions=sessions, clock=clock, interval_s=tick_s),
        AddressKeeper(sessions=sessions, interval_s=tick_s),
        Pruner(
            writer=writer,
            clock=clock,
            retention_ms=settings.store.retention_days * DAY_MS,
            interval_s=tick_s * TICKS_PER_PRUNING,
        ),
        DataPruner(
            writer=writer,
            clock=clock,
            retention_ms=settings.data.retention_days * DAY_MS,
            interval_s=tick_s * TICKS_PER_PRUNING,
        ),
        AuditKeeper(audit=audit, interval_s=tick_s),
        AuditPruner(
            writer=writer,
            clock=clock,
            retention_ms=settings.audit.retention_days * DAY_MS,
            rows_max=settings.audit.rows_max,
            interval_s=tick_s * TICKS_PER_PRUNING,
        ),
        TopicPruner(writer=writer, clock=clock, sweep=streams.broker.sweep, interval_s=tick_s * TICKS_PER_PRUNING),
    )
    return Platform(
        products=products,
        devices=devices,
        identities=identities,
        associations=DtlsAssociations(
            writer=writer,
            reader=reader,
            secrets=world.secrets,
            clock=clock,
            events=events,
            idle_timeout_s=settings.dtls.idle_timeout_s,
        ),
        commands=commands,
        sessions=sessions,
        dispatcher=dispatcher,
        payloads=payloads,
        datapoints=datapoints,
        streams=streams,
        pushing=pushing,
        audit=audit,
        maintenance=Maintenance(duties=duties, events=events),
        driver=driver,
        lwm2m_server=Lwm2mServer(
            driver=driver,
            sessions=sessions,
            uplinks=dispatcher,
            clock=clock,
            events=events,
            settings=coap,
            reports=reports,
            bootstraps=_bootstrap_server(settings, world, driver, identities),
            describe_remote=world.describe_remote,
        ),
        api=Api(
            authenticator=authenticator,
            devices=devices,
            device_keys=DeviceKeys(
                writer=writer,
                reader=reader,
                key_reader=reader,
                authenticator=authenticator,
                secrets=world.secrets,
                ids=world.ids,
                clock=clock,
            ),
            self_registration=SelfRegistration(
                writer=writer, products=products, secrets=world.secrets, ids=world.ids, clock=clock
            ),
            identities=identities,
            commands=commands,
            payloads=payloads,
            datapoints=datapoints,
            topics=streams.messenger,
            push=pushing.services,
            clock=clock,
            events=events,
            settings=northbound_settings(settings),
            rates=RateLimits(clock=clock, settings=rate_settings(settings)),
            audit=audit,
            failed_logins=failed_logins,
        ),
    )


def _bootstrap_server(
    settings: Settings, world: World, driver: CoapDriver, identities: Identities
) -> BootstrapServer | None:
    if not settings.lwm2m.bootstrap:
        return None
    bootstraps = Bootstraps(
        reader=world.reader,
        identities=identities,
        secrets=world.secrets,
        events=world.events,
        settings=bootstrap_settings(settings),
        identify=world.identify,
    )
    return BootstrapServer(
        driver=driver,
        bootstraps=bootstraps,
        ids=world.ids,
        clock=world.clock,
        scheduler=world.scheduler,
        events=world.events,
        open_max=coap_settings(settings).bootstraps_open_max,
        describe_remote=world.describe_remote,
    )


def _push_ports(world: World) -> PushPorts:
    return PushPorts(
        clock=world.clock,
        ids=world.ids,
        secrets=world.secrets,
        writer=world.writer,
        reader=world.reader,
        sender=world.sender,
        events=world.events,
    )


def _stream_ports(world: World) -> StreamPorts:
    return StreamPorts(
        clock=world.clock,
        scheduler=world.scheduler,
        ids=world.ids,
        writer=world.writer,
        reader=world.reader,
        topic_reader=world.reader,
        events=world.events,
        start_id=world.start_id,
        random_bytes=world.random_bytes,
    )

"""One platform: every object of a server, connected, over whatever ports it is given.

The same connections run on real sockets (server) and in a virtual world (tests).
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Final

from commandpost.config import Settings
from commandpost.domain.ids import StartId
from commandpost.domain.instant import DAY_MS, SECOND_MS
from commandpost.domain.object_model import ObjectModel
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
from commandpost.northbound.api import Api
from commandpost.northbound.settings import ErrnoProfile, NorthboundSettings
from commandpost.protocols.coap.endpoint import CoapEndpoint
from commandpost.services.commands import Commands, CommandSettings
from commandpost.services.devices import Devices
from commandpost.services.dispatcher import Dispatcher, DispatcherSettings
from commandpost.services.maintenance import AddressKeeper, Expirer, Maintenance, Pruner, Rescuer, SessionSweeper
from commandpost.services.products import Products
from commandpost.services.sessions import Sessions, SessionSettings
from commandpost.southbound.coap_driver import CoapDriver
from commandpost.southbound.lwm2m_downlink import Lwm2mDownlink
from commandpost.southbound.lwm2m_server import Lwm2mServer
from commandpost.southbound.settings import CoapSettings

TICK_S: Final = 1.0  # the lateness of an expiry or of an offline event; what is read is exact all the same
TICKS_PER_PRUNING: Final = 60  # what is kept for months may stay a minute longer
DRAIN_S: Final = 0.75  # with what else stopping takes, less than the 5 s that SIGTERM promises


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Every port a platform stands on."""

    clock: Clock
    scheduler: Scheduler
    ids: IdSource
    secrets: SecretBox
    writer: StoreWriter
    reader: StoreReader
    link: DatagramLink
    random: Random
    events: EventSink
    start_id: StartId
    object_model: ObjectModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """The connected objects of one server."""

    products: Products
    devices: Devices
    commands: Commands
    sessions: Sessions
    dispatcher: Dispatcher
    maintenance: Maintenance
    driver: CoapDriver
    lwm2m_server: Lwm2mServer
    api: Api

    async def start(self) -> None:
        """Recover, and only then hear devices."""
        await self.dispatcher.recover()
        self.lwm2m_server.start()
        self.maintenance.start()

    async def stop(self) -> None:
        """Begin nothing new, and hand everything that is to be kept to the writer."""
        await self.maintenance.stop()
        await self.lwm2m_server.drain(DRAIN_S)
        await self.dispatcher.drain(DRAIN_S)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.sessions.flush(), DRAIN_S)


def build_platform(settings: Settings, world: World, *, tick_s: float = TICK_S) -> Platform:
    """Build every object of one platform and connect them; nothing runs yet.

    Args:
        tick_s: how often the store is asked what is due; a simulation of days asks less often.
    """
    clock, writer, reader, events = world.clock, world.writer, world.reader, world.events
    coap = _coap_settings(settings)
    sessions = Sessions(
        writer=writer,
        reader=reader,
        secrets=world.secrets,
        ids=world.ids,
        clock=clock,
        start_id=world.start_id,
        settings=_session_settings(settings),
        events=events,
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
    dispatcher = Dispatcher(
        writer=writer,
        reader=reader,
        downlink=Lwm2mDownlink(driver=driver, sessions=sessions, model=world.object_model, clock=clock, settings=coap),
        sessions=sessions,
        ids=world.ids,
        clock=clock,
        scheduler=world.scheduler,
        start_id=world.start_id,
        settings=_dispatcher_settings(settings),
        events=events,
    )
    products = Products(writer=writer, reader=reader, secrets=world.secrets, ids=world.ids, clock=clock)
    devices = Devices(
        writer=writer, reader=reader, sessions=sessions, dispatcher=dispatcher, secrets=world.secrets, clock=clock
    )
    commands = Commands(
        writer=writer,
        reader=reader,
        dispatcher=dispatcher,
        ids=world.ids,
        clock=clock,
        settings=CommandSettings(waiting_max=settings.limits.waiting_max_per_device),
    )
    duties = (
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
    )
    return Platform(
        products=products,
        devices=devices,
        commands=commands,
        sessions=sessions,
        dispatcher=dispatcher,
        maintenance=Maintenance(duties=duties, events=events),
        driver=driver,
        lwm2m_server=Lwm2mServer(
            driver=driver, sessions=sessions, uplinks=dispatcher, clock=clock, events=events, settings=coap
        ),
        api=Api(
            products=products,
            devices=devices,
            commands=commands,
            clock=clock,
            events=events,
            settings=_northbound_settings(settings),
        ),
    )


def _session_settings(settings: Settings) -> SessionSettings:
    return SessionSettings(
        lifetime_grace_ms=settings.lwm2m.lifetime_grace_s * SECOND_MS,
        registrations_max=settings.limits.registrations_max,
        auto_observe_excluded=frozenset(settings.lwm2m.auto_observe_excluded),
    )


def _dispatcher_settings(settings: Settings) -> DispatcherSettings:
    return DispatcherSettings(
        setup_timeout_ms=int(settings.lwm2m.setup_timeout_s * SECOND_MS),
        setup_budget_ms=int(settings.lwm2m.setup_budget_s * SECOND_MS),
        setup_delay_ms=int(settings.lwm2m.setup_delay_s * SECOND_MS),
        cached_before_setup=settings.lwm2m.cached_before_setup,
        instants_max=settings.limits.instants_max,
        instants_per_device_max=settings.limits.instant_waiting_max_per_device,
    )


def _coap_settings(settings: Settings) -> CoapSettings:
    return CoapSettings(
        ack_timeout_s=settings.coap.ack_timeout_s,
        ack_random_factor=settings.coap.ack_random_factor,
        block_bytes=settings.coap.block_bytes,
        has_strict_execute_arguments=settings.lwm2m.strict_execute_arguments,
        receive_buffer_bytes=settings.coap.receive_buffer_bytes,
    )


def _northbound_settings(settings: Settings) -> NorthboundSettings:
    return NorthboundSettings(
        errno_profile=ErrnoProfile(settings.errno_profile.value),
        utc_offset_minutes=int(settings.utc_offset.total_seconds() // 60),
    )

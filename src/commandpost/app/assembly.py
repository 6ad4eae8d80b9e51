"""One platform: every object of a server, connected, over whatever ports it is given.

The same connections run on real sockets (server) and in a virtual world (tests). Here: what the sides share and what
applications call. Not here: the sides themselves (lwm2m_side, streams, pushing), what is done regularly (duties).
"""

from dataclasses import dataclass
from typing import Final

from commandpost.app.duties import build_duties
from commandpost.app.lwm2m_side import Lwm2mSide, build_lwm2m_side
from commandpost.app.part_settings import datapoint_settings, northbound_settings, payload_settings, rate_settings
from commandpost.app.pushing import Pushing, build_pushing
from commandpost.app.stop_budget import StopBudget
from commandpost.app.streams import Streams, build_payload_side, build_streams
from commandpost.app.world import World
from commandpost.config import Settings
from commandpost.domain.ports import Clock
from commandpost.northbound.api import Api
from commandpost.services.access import Authenticator
from commandpost.services.audit import AuditLog
from commandpost.services.commands import Commands, CommandSettings
from commandpost.services.datapoints import Datapoints
from commandpost.services.device_keys import DeviceKeys
from commandpost.services.devices import Devices
from commandpost.services.dtls_associations import DtlsAssociations
from commandpost.services.failed_logins import FailedLogins
from commandpost.services.identities import Identities
from commandpost.services.login_refusals import RefusedLogins
from commandpost.services.maintenance import Maintenance
from commandpost.services.payloads import Payloads
from commandpost.services.products import Products
from commandpost.services.rate_limits import RateLimits
from commandpost.services.self_registration import SelfRegistration

TICK_S: Final = 1.0  # the lateness of an expiry or of an offline event; what is read is exact all the same
STOP_S: Final = 2.0  # where nobody says how much of the 5 s that SIGTERM promises is left


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """The connected objects of one server."""

    products: Products
    devices: Devices
    identities: Identities
    associations: DtlsAssociations
    commands: Commands
    payloads: Payloads
    datapoints: Datapoints
    lwm2m: Lwm2mSide
    streams: Streams
    pushing: Pushing
    audit: AuditLog
    maintenance: Maintenance
    api: Api
    clock: Clock

    async def start(self) -> None:
        """Recover, and only then hear devices."""
        await self.lwm2m.dispatcher.recover()
        await self.streams.start()
        self.pushing.deliveries.start()
        self.lwm2m.server.start()
        self.maintenance.start()

    async def stop(self, timeout_s: float = STOP_S) -> None:
        """Begin nothing new, and hand everything that is to be kept to the writer; all of it within a time."""
        budget = StopBudget(self.clock, timeout_s)
        await budget.spend(budget.share(), self.maintenance.stop())
        await budget.spend(budget.share(), self.pushing.deliveries.stop())
        await self.lwm2m.server.drain(budget.share())
        await self.lwm2m.dispatcher.drain(budget.share())
        await self.streams.stop(budget.share())
        await budget.spend(budget.share(), self.lwm2m.sessions.flush())
        await budget.spend(budget.left(), self.audit.flush())


def build_platform(settings: Settings, world: World, *, tick_s: float = TICK_S) -> Platform:
    """Build every object of one platform and connect them; nothing runs yet.

    Args:
        tick_s: how often the store is asked what is due; a simulation of days asks less often.
    """
    clock, writer, reader, events = world.clock, world.writer, world.reader, world.events
    audit = AuditLog(writer=writer, reader=reader, clock=clock, events=events)
    failed_logins = FailedLogins(clock=clock) if settings.limits.failed_login_delay else None
    identities = Identities(
        writer=writer,
        reader=reader,
        secrets=world.secrets,
        ids=world.ids,
        on_keys_changed=(world.on_keys_changed,),
    )
    datapoints = Datapoints(
        writer=writer, reader=reader, ids=world.ids, clock=clock, events=events, settings=datapoint_settings(settings)
    )
    lwm2m = build_lwm2m_side(settings, world, datapoints=datapoints, identities=identities)
    payload_dispatcher, connections = build_payload_side(world)
    products = Products(
        writer=writer,
        reader=reader,
        secrets=world.secrets,
        ids=world.ids,
        clock=clock,
        on_changed=(lwm2m.sessions.product_changed,),
        on_key_replaced=(connections.credential_changed,),
    )
    authenticator = Authenticator(
        products=products, reader=reader, key_reader=reader, secrets=world.secrets, clock=clock
    )
    streams = build_streams(
        settings,
        world,
        dispatcher=payload_dispatcher,
        connections=connections,
        authenticator=authenticator,
        datapoints=datapoints,
        refusals=RefusedLogins(audit=audit, failed_logins=failed_logins, clock=clock),
    )
    devices = Devices(
        writer=writer,
        reader=reader,
        sessions=lwm2m.sessions,
        dispatcher=lwm2m.dispatcher,
        identities=identities,
        secrets=world.secrets,
        clock=clock,
        on_removed=(streams.forget_device, authenticator.forget_device, world.on_keys_changed),
        on_changed=(streams.device_changed,),
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
        dispatcher=lwm2m.dispatcher,
        ids=world.ids,
        clock=clock,
        settings=CommandSettings(waiting_max=settings.limits.waiting_max_per_device),
    )
    pushing = build_pushing(settings, world, tick_s=tick_s)
    duties = build_duties(settings, world, tick_s=tick_s, lwm2m=lwm2m, streams=streams, audit=audit)
    api = Api(
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
            on_changed=(connections.credential_changed,),
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
    )
    return Platform(
        products=products,
        devices=devices,
        identities=identities,
        associations=_associations(settings, world),
        commands=commands,
        payloads=payloads,
        datapoints=datapoints,
        lwm2m=lwm2m,
        streams=streams,
        pushing=pushing,
        audit=audit,
        maintenance=Maintenance(duties=duties, events=events),
        api=api,
        clock=clock,
    )


def _associations(settings: Settings, world: World) -> DtlsAssociations:
    return DtlsAssociations(
        writer=world.writer,
        reader=world.reader,
        secrets=world.secrets,
        clock=world.clock,
        events=world.events,
        idle_timeout_s=settings.dtls.idle_timeout_s,
    )

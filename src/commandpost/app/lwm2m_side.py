"""The side of a platform that LwM2M devices speak to: everything between a command and a datagram.

Here: building and connecting those objects. Not here: the rest of the platform (assembly), sockets and DTLS
(coap_listeners).
"""

from dataclasses import dataclass

from commandpost.app.part_settings import bootstrap_settings, coap_settings, dispatcher_settings, session_settings
from commandpost.app.world import World
from commandpost.config import Settings
from commandpost.protocols.coap.endpoint import CoapEndpoint
from commandpost.services.bootstraps import Bootstraps
from commandpost.services.datapoints import Datapoints
from commandpost.services.dispatcher import Dispatcher
from commandpost.services.identities import Identities
from commandpost.services.observations import Observations
from commandpost.services.sessions import Sessions
from commandpost.southbound.coap_driver import CoapDriver
from commandpost.southbound.lwm2m_bootstrap import BootstrapServer
from commandpost.southbound.lwm2m_downlink import Lwm2mDownlink
from commandpost.southbound.lwm2m_reports import Lwm2mReports
from commandpost.southbound.lwm2m_server import Lwm2mServer
from commandpost.southbound.remote import host_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Lwm2mSide:
    """The connected objects."""

    sessions: Sessions
    driver: CoapDriver
    dispatcher: Dispatcher
    server: Lwm2mServer


def build_lwm2m_side(settings: Settings, world: World, *, datapoints: Datapoints, identities: Identities) -> Lwm2mSide:
    """Build every object; no datagram is answered before `server.start`."""
    sessions = Sessions(
        writer=world.writer,
        reader=world.reader,
        secrets=world.secrets,
        ids=world.ids,
        clock=world.clock,
        start_id=world.start_id,
        settings=session_settings(settings),
        events=world.events,
        identify=world.identify,
        host_of=host_of,
    )
    identities.listen_for_auth_codes(sessions.auth_code_changed)
    driver = _coap_driver(settings, world)
    reports = Lwm2mReports(
        observations=Observations(points=datapoints, events=world.events),
        model=world.object_model,
        clock=world.clock,
    )
    dispatcher = Dispatcher(
        writer=world.writer,
        reader=world.reader,
        downlink=Lwm2mDownlink(
            driver=driver,
            sessions=sessions,
            model=world.object_model,
            clock=world.clock,
            settings=coap_settings(settings),
            reports=reports,
        ),
        sessions=sessions,
        ids=world.ids,
        clock=world.clock,
        scheduler=world.scheduler,
        start_id=world.start_id,
        settings=dispatcher_settings(settings),
        events=world.events,
    )
    server = Lwm2mServer(
        driver=driver,
        sessions=sessions,
        uplinks=dispatcher,
        ids=world.ids,
        before_keeping=world.before_keeping,
        clock=world.clock,
        events=world.events,
        settings=coap_settings(settings),
        reports=reports,
        bootstraps=_bootstrap_server(settings, world, driver, identities),
        describe_remote=world.describe_remote,
    )
    return Lwm2mSide(sessions=sessions, driver=driver, dispatcher=dispatcher, server=server)


def _coap_driver(settings: Settings, world: World) -> CoapDriver:
    coap = coap_settings(settings)
    return CoapDriver(
        endpoint=CoapEndpoint(
            parameters=coap.transmission_parameters(), limits=coap.endpoint_limits(), random=world.random
        ),
        link=world.link,
        clock=world.clock,
        scheduler=world.scheduler,
        known_peers_max=coap.known_peers_max,
        known_peer_idle_s=coap.known_peer_idle_s,
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

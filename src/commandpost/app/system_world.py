"""The ports of a platform on this machine: real clocks, real randomness, a log on stderr."""

import asyncio
import os
import sys
from random import SystemRandom

from commandpost.app.disk import Disk
from commandpost.app.push_sender import LatePushSender
from commandpost.app.system import SystemIds, new_start_id
from commandpost.app.world import World
from commandpost.config import LogFormat, Settings
from commandpost.domain.ports import Clock, DatagramLink, EventSink, StoreWriter
from commandpost.northbound.event_log import EventLog
from commandpost.southbound.dtls_peers import DtlsPeers


def system_world(
    settings: Settings,
    disk: Disk,
    clock: Clock,
    writer: StoreWriter,
    link: DatagramLink,
    events: EventSink,
    *,
    peers: DtlsPeers | None = None,
) -> World:
    """Give every port of a platform on the running event loop; without `peers` nobody comes over DTLS."""
    if peers is None:
        peers = DtlsPeers()
    return World(
        clock=clock,
        scheduler=asyncio.get_running_loop(),
        ids=SystemIds(),
        secrets=disk.secrets,
        writer=writer,
        reader=disk.store,
        link=link,
        random=SystemRandom(),
        random_bytes=os.urandom,
        sender=LatePushSender(settings),
        events=events,
        start_id=new_start_id(clock),
        object_model=disk.object_model,
        identify=peers.identify,
        on_keys_changed=peers.keys_changed,
        before_keeping=peers.settle,
        describe_remote=peers.describe,
    )


def open_event_log(settings: Settings, clock: Clock) -> EventLog:
    """Give the log as the settings want it, on stderr."""
    return EventLog(
        stream=sys.stderr,
        level=settings.log_level.value,
        as_json=settings.log_format is LogFormat.JSON,
        wall_ms=clock.wall_ms,
        is_terminal=sys.stderr.isatty(),
    )

"""The store of a data directory that nobody serves, opened for the command line."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from commandpost.app.assembly import build_platform
from commandpost.app.disk import open_disk
from commandpost.app.system import SystemClock
from commandpost.app.system_world import open_event_log, system_world
from commandpost.config import Settings
from commandpost.domain.errors import CommandpostError
from commandpost.domain.session import Remote
from commandpost.northbound.admin import AdminApi
from commandpost.stores.commit_drivers import InlineDriver
from commandpost.stores.group_commit import GroupCommit

WRITER_STOP_S: Final = 10.0  # a call has been answered by then; only a disk that hangs takes longer


class _NoLink:
    """The link of a platform that talks to no device: a command line that opened the store itself."""

    def listen(self, receiver: Callable[[Remote, bytes], object]) -> None:
        """Nothing will come."""

    def send(self, remote: Remote, datagram: bytes) -> None:
        """Lose it."""


@asynccontextmanager
async def open_admin(settings: Settings) -> AsyncIterator[AdminApi]:
    """Open the store of a data directory that nobody serves, for one or more calls.

    Raises:
        DataDirectoryLocked: somebody does serve it.
        And what `open_disk` raises.
    """
    clock = SystemClock()
    with open_disk(settings, clock) as disk:
        events = open_event_log(settings, clock)
        writer = GroupCommit(
            InlineDriver(disk.store, monotonic=clock.monotonic),
            clock=clock,
            scheduler=asyncio.get_running_loop(),
            events=events,
            on_broken=lambda error: None,  # whoever waits for the fact is told
        )
        world = system_world(settings, disk, clock, writer, _NoLink(), events)
        platform = build_platform(settings, world)
        try:
            yield AdminApi(
                products=platform.products,
                devices=platform.devices,
                commands=platform.commands,
                audit=platform.audit,
                subscriptions=platform.pushing.subscriptions,
                clock=clock,
            )
        finally:
            await platform.pushing.deliveries.stop()
            with suppress(CommandpostError):
                await platform.audit.flush()
            await writer.close(timeout_s=WRITER_STOP_S)

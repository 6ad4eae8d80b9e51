"""Sessions that another run of the server, or this one, has written: read, and taken into memory if they still live.

How often, and how many at a time: session_loads.
"""

from collections.abc import Callable
from dataclasses import replace

from commandpost.domain.ids import DeviceId, StartId
from commandpost.domain.instant import Instant
from commandpost.domain.ports import Clock, EventSink, StoreReader
from commandpost.domain.session import Remote, Session, stored_slack_ms
from commandpost.services.registration import SessionSettings, share_links
from commandpost.services.session_guard import SessionGuard
from commandpost.services.session_loads import SessionLoads
from commandpost.services.session_table import SessionTable
from commandpost.services.session_touches import SessionTouches


class StoredSessions:
    """See the module."""

    def __init__(
        self,
        *,
        reader: StoreReader,
        table: SessionTable,
        touches: SessionTouches,
        guard: SessionGuard,
        clock: Clock,
        start_id: StartId,
        settings: SessionSettings,
        events: EventSink,
        on_lost: Callable[[Session | None], object],
    ) -> None:
        """Connect it; `on_lost` hears which session, if any, lost its address to the one that was read."""
        self._reader = reader
        self._table = table
        self._touches = touches
        self._guard = guard
        self._clock = clock
        self._start_id = start_id
        self._on_lost = on_lost
        self.loads = SessionLoads(
            self._read, loads_max=settings.loads_max, waiters_max=settings.load_waiters_max, events=events
        )
        """Reads; what it gives is in memory by then. None: the device has no session that is online."""

    async def find_at(self, remote: Remote) -> Session | None:
        """Give the session that has this address, read by what the store says of it; its way may be forbidden by now.

        What is in memory knows better than the store where its device is.
        """
        stored = await self._reader.find_session_by_remote(remote)
        if stored is None:
            return None
        session = self._table.find(stored.device_id) or await self.loads.fetch(stored.device_id)
        return session if session is not None and session.remote == remote else None

    async def _read(self, device_id: DeviceId) -> Session | None:
        stored = await self._reader.find_session(device_id)
        device = None if stored is None else await self._reader.find_device(device_id)
        product = None if device is None else await self._reader.find_product(device.product_id)
        current = self._table.find(device_id)
        if current is not None:
            return current
        if stored is None or device is None or product is None or not self.loads.is_current(device_id):
            return None
        self._guard.learn(product)
        return self._adopt(stored, device.sealed_auth_code)

    def _adopt(self, stored: Session, sealed_auth_code: bytes | None) -> Session | None:
        """Take a stored session into memory, if it is still online.

        What another run of the server wrote may lag behind the truth, so it gets that much slack (design 4). Its
        address is its own only if nobody was heard from there since.
        """
        session = replace(stored, stored_deadline=stored.deadline, links=share_links(stored.links))
        if session.start_id != self._start_id:
            session.deadline = Instant(session.deadline + stored_slack_ms(session.lifetime_s))
        if not session.is_online(self._clock.wall_ms()):
            return None
        owner = None if session.remote is None else self._table.find_by_remote(session.remote)
        if owner is not None and owner.last_heard_at >= session.last_heard_at:
            session.remote = None
            self._touches.note_urgent(session)
        self._on_lost(self._table.put(session, sealed_auth_code))
        return session

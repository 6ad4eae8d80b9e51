"""UPDATEs: a plain one is answered from memory; one that says something new is on disk before it is in memory.

What could not be written has changed nothing, so that the device's next try is written and not taken for a plain one.
Changes of one device follow each other, because each is made from what the one before has left.
Source: southbound reference 1.5; design section 4.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from weakref import WeakValueDictionary

from commandpost.domain.device import Device, Product
from commandpost.domain.errors import PortError
from commandpost.domain.ids import DeviceId
from commandpost.domain.ports import Clock, EventSink, StoreReader, StoreWriter
from commandpost.domain.session import Remote, Session
from commandpost.domain.session_facts import ChangeSession
from commandpost.services.background import Background
from commandpost.services.registration import (
    IMEI_CHARACTERS_MAX,
    RegistrationUpdate,
    SessionRefusal,
    SessionSettings,
    apply_update,
    deadline_of,
    is_plain,
)
from commandpost.services.session_guard import SessionGuard
from commandpost.services.session_hearing import SessionHearing
from commandpost.services.session_table import SessionTable
from commandpost.services.session_touches import SessionTouches

Answered = Session | SessionRefusal


class SessionUpdates:
    """See the module."""

    def __init__(
        self,
        *,
        writer: StoreWriter,
        reader: StoreReader,
        clock: Clock,
        table: SessionTable,
        touches: SessionTouches,
        guard: SessionGuard,
        hearing: SessionHearing,
        load_by_location: Callable[[str], Awaitable[Session | None]],
        settings: SessionSettings,
        events: EventSink,
    ) -> None:
        """Connect it; `load_by_location` gives a session that is online, from memory or else from the store."""
        self._writer = writer
        self._reader = reader
        self._clock = clock
        self._table = table
        self._touches = touches
        self._guard = guard
        self._hearing = hearing
        self._load_by_location = load_by_location
        self._settings = settings
        self._events = events
        self._changes = Background(tasks_max=settings.changes_max, events=events)
        self._turns: WeakValueDictionary[DeviceId, asyncio.Lock] = WeakValueDictionary()
        self._unwritten: dict[DeviceId, Session] = {}
        """Sessions as they will be when what is being written is on disk."""

    def update(self, update: RegistrationUpdate, remote: Remote, then: Callable[[Answered], object]) -> None:
        """Renew a session; `then` is called at once for a plain update of a session in memory."""
        session = self._table.find_by_location(update.location)
        if session is not None and self._is_plain(update, session):
            then(self._hearing.renew(session, update.auth_code, remote) or session)
        elif len(update.location) > IMEI_CHARACTERS_MAX:
            then(SessionRefusal.NOT_FOUND)
        elif self._changes.is_full:
            then(SessionRefusal.UNAVAILABLE)
        else:
            self._changes.start(self._update_slowly(update, remote, then), name=f"update-{update.location}")

    def _is_plain(self, update: RegistrationUpdate, session: Session) -> bool:
        """Tell whether it says nothing new, neither now nor once what is being written holds."""
        unwritten = self._unwritten.get(session.device_id, session)
        return is_plain(update, session) and is_plain(update, unwritten)

    async def _update_slowly(
        self, update: RegistrationUpdate, remote: Remote, then: Callable[[Answered], object]
    ) -> None:
        try:
            answer = await self._update(update, remote)
        except PortError as error:
            self._events.emit("update_failed", location=update.location, error=error.code)
            answer = SessionRefusal.UNAVAILABLE
        then(answer)

    async def _update(self, update: RegistrationUpdate, remote: Remote) -> Answered:
        found = await self._load_by_location(update.location)
        if found is None:
            return SessionRefusal.NOT_FOUND
        async with self._turns.setdefault(found.device_id, asyncio.Lock()):
            device = await self._reader.find_device(found.device_id)
            product = await self._reader.find_product(found.product_id)
            session = self._table.find(found.device_id)
            if session is None or device is None or product is None:
                return SessionRefusal.NOT_FOUND
            self._guard.learn(product)
            refusal = self._hearing.renew(session, update.auth_code, remote)
            if refusal is not None or is_plain(update, session):
                return refusal or session
            return await self._change(session, update, device, product)

    async def _change(self, session: Session, update: RegistrationUpdate, device: Device, product: Product) -> Answered:
        changed = replace(session)
        apply_update(changed, update, device, product, self._settings)
        changed.deadline = deadline_of(changed.lifetime_s, self._clock.wall_ms(), self._settings)
        kept = {observation.coap_token for observation in changed.observations}
        fact = ChangeSession(
            session=changed,
            dropped_tokens=tuple(each.coap_token for each in session.observations if each.coap_token not in kept),
            has_new_objects=changed.links != session.links,
        )
        self._unwritten[session.device_id] = changed
        try:
            is_written = await self._writer.perform(fact)
        finally:
            del self._unwritten[session.device_id]
        if not is_written or self._table.find(session.device_id) is not session:
            return SessionRefusal.NOT_FOUND
        # Once more, on the session as it is by now: meanwhile it was heard, and steps of its setup have ended.
        apply_update(session, update, device, product, self._settings)
        session.deadline = session.stored_deadline = changed.deadline
        self._touches.note_heard(session)
        return session

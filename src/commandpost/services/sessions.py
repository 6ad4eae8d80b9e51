"""Sessions: registering, updating, leaving, and being heard.

A REGISTER, a de-register and changed objects are on disk before our reply; a plain UPDATE is answered from memory, and
what it changed is written behind (design 4). Only the lifetime decides whether a device is online.

Here: the life of a session, and the one door to everything about sessions. Not here: who may register (registration),
what an UPDATE changes (session_updates), what being heard does (session_hearing), what happens on the wire afterwards
(dispatcher).
Source: southbound reference 1.4, 1.5, 2.2, 4.4.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from commandpost.domain.device import Device, Product
from commandpost.domain.errors import PortError
from commandpost.domain.ids import DeviceId, StartId
from commandpost.domain.instant import Instant
from commandpost.domain.ports import Clock, EventSink, IdSource, SecretBox, StoreReader, StoreWriter
from commandpost.domain.session import Observation, Remote, Session
from commandpost.domain.session_facts import AddObservation, DropObservation, EndSession, StartSession
from commandpost.services.registrants import find_registrant
from commandpost.services.registration import (
    IMEI_CHARACTERS_MAX,
    Registration,
    RegistrationUpdate,
    SessionRefusal,
    SessionSettings,
    may_come,
    new_session,
)
from commandpost.services.session_addresses import SessionAddresses
from commandpost.services.session_guard import Identify, SessionGuard, nobody
from commandpost.services.session_hearing import SessionHearing
from commandpost.services.session_listeners import SessionListener, SessionListeners
from commandpost.services.session_table import SessionTable
from commandpost.services.session_touches import SessionTouches
from commandpost.services.session_updates import Answered, SessionUpdates
from commandpost.services.stored_sessions import StoredSessions

__all__ = [
    "Registration",
    "RegistrationUpdate",
    "SessionListener",
    "SessionRefusal",
    "SessionSettings",
    "Sessions",
]


class Sessions:
    """See the module."""

    def __init__(
        self,
        *,
        writer: StoreWriter,
        reader: StoreReader,
        secrets: SecretBox,
        ids: IdSource,
        clock: Clock,
        start_id: StartId,
        settings: SessionSettings,
        events: EventSink,
        identify: Identify = nobody,
        host_of: Callable[[Remote], bytes] = bytes,
    ) -> None:
        """Connect the service.

        Args:
            identify: says who has proved to be at an address; without DTLS nobody.
            host_of: gives what an address has in common with another port of it.
        """
        self._guard = SessionGuard(
            secrets=secrets, identify=identify, host_of=host_of, address_following=settings.address_following
        )
        self._writer = writer
        self._reader = reader
        self._secrets = secrets
        self._ids = ids
        self._clock = clock
        self._start_id = start_id
        self._settings = settings
        self._events = events
        self._table = SessionTable()
        self._listeners = SessionListeners()
        self._registering = 0
        self._codes_changed = 0
        self._touches = SessionTouches(writer=writer, table=self._table)
        self._addresses = SessionAddresses(table=self._table, touches=self._touches, listeners=self._listeners)
        self._stored = StoredSessions(
            reader=reader,
            table=self._table,
            touches=self._touches,
            guard=self._guard,
            clock=clock,
            start_id=start_id,
            settings=settings,
            events=events,
            on_lost=self._addresses.tell_lost,
        )
        self._loads = self._stored.loads
        self._hearing = SessionHearing(
            table=self._table,
            touches=self._touches,
            addresses=self._addresses,
            guard=self._guard,
            stored=self._stored,
            clock=clock,
            settings=settings,
            events=events,
        )
        self._updates = SessionUpdates(
            writer=writer,
            reader=reader,
            clock=clock,
            table=self._table,
            touches=self._touches,
            guard=self._guard,
            hearing=self._hearing,
            load_by_location=self._load_by_location,
            settings=settings,
            events=events,
        )

    def __len__(self) -> int:
        return len(self._table)

    def listen(self, listener: SessionListener) -> None:
        """Say who hears what becomes of sessions."""
        self._listeners.add(listener)

    # --- register, update, leave --------------------------------------------------------------------------------

    async def register(self, registration: Registration, remote: Remote) -> Answered:
        """Register a device in place of whatever session it had; committed when this returns."""
        if self._registering >= self._settings.registrations_max:
            return SessionRefusal.UNAVAILABLE
        self._registering += 1
        try:
            return await self._register(registration, remote)
        except PortError as error:
            self._events.emit("registration_failed", endpoint_name=registration.endpoint_name, error=error.code)
            return SessionRefusal.UNAVAILABLE
        finally:
            self._registering -= 1

    async def _register(self, registration: Registration, remote: Remote) -> Answered:
        identity = self._guard.identify(remote)
        if registration.endpoint_name is None and identity is None:
            return SessionRefusal.BAD_REQUEST
        codes_changed = self._codes_changed
        device = await find_registrant(self._reader, registration.endpoint_name, identity)
        product = None if device is None else await self._reader.find_product(device.product_id)
        if (
            device is None
            or product is None
            or not may_come(
                device,
                product,
                endpoint_name=registration.endpoint_name,
                auth_code=registration.auth_code,
                identity=identity,
                secrets=self._secrets,
            )
            or (identity is None and await self._is_bound(device.id, product))
        ):
            return SessionRefusal.FORBIDDEN
        self._guard.learn(product)
        session = new_session(
            registration,
            device,
            product,
            remote,
            now=self._clock.wall_ms(),
            start_id=self._start_id,
            settings=self._settings,
            identity=identity,
        )
        epoch = await self._writer.perform(StartSession(session=replace(session)))
        if epoch is None:
            return SessionRefusal.FORBIDDEN
        session.epoch = epoch
        if codes_changed != self._codes_changed:
            device = await self._reader.find_device(device.id) or device  # the code it showed may be void by now
        previous = self._table.find(session.device_id)
        if previous is None or previous.epoch < epoch:  # else a later REGISTER has overtaken this one
            self._install(session, previous, device.sealed_auth_code)
        return session

    async def _is_bound(self, device_id: DeviceId, product: Product) -> bool:
        """Tell whether the device lives on DTLS now, so that nobody without it takes its place."""
        if not product.device_security.allows_dtls:
            return False
        session = self._table.find(device_id) or await self._reader.find_session(device_id)
        if session is None or session.identity_label is None:
            return False
        return await self.load(device_id) is not None  # what was stored may have more time left than it says

    def _install(self, session: Session, previous: Session | None, sealed_auth_code: bytes | None) -> None:
        self._loads.forget(session.device_id)
        loser = self._table.put(session, sealed_auth_code)
        self._listeners.started(session, previous)
        self._addresses.tell_lost(loser)

    def update(self, update: RegistrationUpdate, remote: Remote, then: Callable[[Answered], object]) -> None:
        """Renew a session; `then` is called at once for a plain update of a session in memory."""
        self._updates.update(update, remote, then)

    async def deregister(self, location: str, auth_code: bytes | None, remote: Remote) -> Answered:
        """End a session at its device's wish; gives it as it was. From elsewhere it counts as an UPDATE would."""
        try:
            session = await self._load_by_location(location)
            if session is None:
                return SessionRefusal.NOT_FOUND
            refusal = self._hearing.refuse(session, auth_code, remote)
            if refusal is not None:
                return refusal
            is_ended = await self._end(session)
        except PortError as error:
            self._events.emit("deregistration_failed", location=location, error=error.code)
            return SessionRefusal.UNAVAILABLE
        return session if is_ended else SessionRefusal.NOT_FOUND

    async def _end(self, session: Session) -> bool:
        fact = EndSession(device_id=session.device_id, epoch=session.epoch, at=self._clock.wall_ms())
        is_ended = await self._writer.perform(fact)
        current = self._table.find(session.device_id)
        if current is not None and current.epoch == session.epoch:
            self._remove(session.device_id)
            self._listeners.ended(current)
        return is_ended

    # --- being heard --------------------------------------------------------------------------------------------

    def hear_notification(
        self,
        coap_token: bytes,
        remote: Remote,
        then: Callable[[tuple[Session, Observation] | None], object],
        otherwise: Callable[[], object],
    ) -> None:
        """Find whose notification it is; None asks for a RST.

        Refreshes address and last-heard, not the deadline. At once when the session is in memory. Where the store
        cannot be asked now, `otherwise` is called: the notification is as if it had been lost, because a careless RST
        would stop a real device (southbound reference 1.8).
        """
        self._hearing.notification(coap_token, remote, then, otherwise)

    def hear_sender(
        self, remote: Remote, then: Callable[[Session | None], object], otherwise: Callable[[], object]
    ) -> None:
        """Find the online session whose address this is: a Send names nobody else.

        Refreshes last-heard, not the deadline. At once when the session is in memory; else the store is asked, for an
        earlier run of the server may have heard it there. Where that is not possible now, `otherwise` is called.
        """
        self._hearing.sender(remote, then, otherwise)

    def hear_answer(self, device_id: DeviceId) -> None:
        """The device answered a request of ours."""
        self._hearing.answer(device_id)

    # --- looking up ---------------------------------------------------------------------------------------------

    def find(self, device_id: DeviceId) -> Session | None:
        """Give a session that is in memory, online or not."""
        return self._table.find(device_id)

    async def load(self, device_id: DeviceId) -> Session | None:
        """Give a device's session from memory, else from the store; None when it is not online.

        Nor when it came by a way that its product does not allow any more.
        """
        session = self._table.find(device_id) or await self._loads.fetch(device_id)
        if session is None or not self._guard.is_allowed(session):
            return None
        return session if session.is_online(self._clock.wall_ms()) else None

    def product_changed(self, product: Product) -> None:
        """A product allows other ways now."""
        self._guard.learn(product)

    def auth_code_changed(self, device: Device) -> None:
        """The device has to show another code; its next uplink with the old one is refused."""
        self._codes_changed += 1
        self._loads.forget(device.id)  # what is being read may be of before
        self._table.set_auth_code(device.id, device.sealed_auth_code)

    def forget_device(self, device_id: DeviceId) -> None:
        """The device was deleted; its next UPDATE finds nothing."""
        self._loads.forget(device_id)
        self._remove(device_id)

    def _remove(self, device_id: DeviceId) -> None:
        self._table.remove(device_id)
        self._touches.forget(device_id)

    async def _load_by_location(self, location: str) -> Session | None:
        session = self._table.find_by_location(location)
        if session is not None or len(location) > IMEI_CHARACTERS_MAX:
            return session
        stored = await self._reader.find_session_by_location(location)
        session = None if stored is None else await self._loads.fetch(stored.device_id)
        # One whose way is forbidden by now is given, too: that is for the guard to say.
        return session if session is not None and session.is_online(self._clock.wall_ms()) else None

    # --- observations -------------------------------------------------------------------------------------------

    async def add_observation(self, session: Session, observation: Observation) -> bool:
        """Put an observation on disk and into the session; False when the session is another by now."""
        fact = AddObservation(device_id=session.device_id, epoch=session.epoch, observation=observation)
        is_kept = await self._writer.perform(fact)
        if is_kept:
            self.note_observation(session, observation)
        return is_kept

    def note_observation(self, session: Session, observation: Observation) -> None:
        """Take into the session what is on disk; it replaces another observation of the same path."""
        others = tuple(known for known in session.observations if known.path != observation.path)
        session.observations = (*others, observation)

    async def drop_observation(self, session: Session, coap_token: bytes) -> None:
        """Forget an observation, in memory and on disk."""
        self.note_dropped(session, coap_token)
        await self._writer.perform(DropObservation(device_id=session.device_id, coap_token=coap_token))

    def note_dropped(self, session: Session, coap_token: bytes) -> None:
        """Take an observation out of the session."""
        session.observations = tuple(known for known in session.observations if known.coap_token != coap_token)

    # --- duties -------------------------------------------------------------------------------------------------

    async def sweep(self, now: Instant) -> int:
        """End sessions whose lifetime is over, a slice of them; gives how many."""
        overdue = await self._reader.overdue_sessions(now, self._settings.sweep_max)
        ended = []
        for stored in overdue:
            session = self._table.find(stored.device_id) or await self.load(stored.device_id)
            if session is None:
                ended.append(stored)
            elif session.is_online(now):
                self._touches.note_urgent(session)  # the disk lags behind
            else:
                ended.append(session)
        await asyncio.gather(*(self._end(session) for session in ended))
        return len(ended)

    def write_behind(self, rows_max: int) -> int:
        """Hand addresses and deadlines to the writer, the urgent ones first; gives how many."""
        return self._touches.write(rows_max)

    async def flush(self) -> None:
        """Write everything that is behind; for the end of a run."""
        await self._touches.flush()

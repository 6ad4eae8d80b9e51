"""Sessions: registering, updating, leaving, and being heard.

A REGISTER, a de-register and changed objects are on disk before our reply; a plain UPDATE is answered from memory, and
what it changed is written behind (design 4). Only the lifetime decides whether a device is online.

Here: the life of a session. Not here: who may register (registration), whose an address is (session_table), what
happens on the wire afterwards (dispatcher).
Source: southbound reference 1.4, 1.5, 2.2, 4.4.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from commandpost.domain.errors import Overloaded, PortError
from commandpost.domain.facts import (
    AddObservation,
    ChangeSession,
    DropObservation,
    EndSession,
    KeepResources,
    StartSession,
)
from commandpost.domain.ids import DeviceId, StartId
from commandpost.domain.instant import Instant
from commandpost.domain.ports import Clock, EventSink, IdSource, SecretBox, StoreReader, StoreWriter
from commandpost.domain.session import OBSERVATION_TOKEN_BYTES, Observation, Remote, Session, stored_slack_ms
from commandpost.services.background import Background
from commandpost.services.registration import (
    IMEI_CHARACTERS_MAX,
    Registration,
    RegistrationUpdate,
    SessionRefusal,
    SessionSettings,
    apply_update,
    deadline_of,
    is_auth_code_right,
    is_identity_known,
    is_plain,
    new_session,
    share_links,
    split_endpoint_name,
)
from commandpost.services.session_loads import SessionLoads
from commandpost.services.session_table import SessionTable
from commandpost.services.session_touches import SessionTouches
from commandpost.services.setup import listed_objects

__all__ = [
    "Registration",
    "RegistrationUpdate",
    "SessionListener",
    "SessionRefusal",
    "SessionSettings",
    "Sessions",
]

Answered = Session | SessionRefusal


class SessionListener(Protocol):
    """Hears what becomes of sessions; called after it is on disk."""

    def session_started(self, session: Session, previous: Session | None) -> None:
        """A device registered; `previous` is what it had, if that was in memory."""
        ...

    def session_ended(self, session: Session) -> None:
        """A device left, or its lifetime is over."""
        ...

    def remote_lost(self, session: Session) -> None:
        """Another device was heard from this session's address; it has none now."""
        ...

    def remote_left(self, session: Session, remote: Remote) -> None:
        """The device was heard from another address; nobody is at this one any more."""
        ...


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
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._secrets = secrets
        self._ids = ids
        self._clock = clock
        self._start_id = start_id
        self._settings = settings
        self._events = events
        self._table = SessionTable()
        self._listeners: list[SessionListener] = []
        self._registering = 0
        self._changes = Background(tasks_max=settings.changes_max, events=events)
        self._loads = SessionLoads(
            self._read_session,
            loads_max=settings.loads_max,
            waiters_max=settings.load_waiters_max,
            events=events,
        )
        self._touches = SessionTouches(writer=writer, table=self._table)

    def __len__(self) -> int:
        return len(self._table)

    def listen(self, listener: SessionListener) -> None:
        """Say who hears what becomes of sessions."""
        self._listeners.append(listener)

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
        imei, imsi = split_endpoint_name(registration.endpoint_name)
        device = await self._reader.find_device_by_imei(imei) if 0 < len(imei) <= IMEI_CHARACTERS_MAX else None
        product = None if device is None else await self._reader.find_product(device.product_id)
        if (
            device is None
            or product is None
            or not is_identity_known(device, product, imsi)
            or not is_auth_code_right(device.sealed_auth_code, registration.auth_code, self._secrets)
        ):
            return SessionRefusal.FORBIDDEN
        session = new_session(
            registration,
            device,
            product,
            remote,
            now=self._clock.wall_ms(),
            start_id=self._start_id,
            settings=self._settings,
        )
        epoch = await self._writer.perform(StartSession(session=replace(session)))
        if epoch is None:
            return SessionRefusal.FORBIDDEN
        session.epoch = epoch
        previous = self._table.find(session.device_id)
        if previous is None or previous.epoch < epoch:  # else a later REGISTER has overtaken this one
            self._install(session, previous, device.sealed_auth_code)
            await self._keep_listed(session)
        return session

    def _install(self, session: Session, previous: Session | None, sealed_auth_code: bytes | None) -> None:
        self._loads.forget(session.device_id)
        loser = self._table.put(session, sealed_auth_code)
        for listener in self._listeners:
            listener.session_started(session, previous)
        self._tell_lost(loser)

    async def _keep_listed(self, session: Session) -> None:
        known = await self._reader.list_resources(session.device_id)
        objects = listed_objects(session.links, known)
        if objects == known:
            return
        try:
            self._writer.submit(KeepResources(device_id=session.device_id, objects=objects, forget_others=True))
        except Overloaded:
            self._events.emit("objects_not_kept", device_id=session.device_id)

    def update(self, update: RegistrationUpdate, remote: Remote, then: Callable[[Answered], object]) -> None:
        """Renew a session; `then` is called at once for a plain update of a session in memory."""
        session = self._table.find_by_location(update.location)
        if session is not None and is_plain(update, session):
            then(self._renew(session, update, remote))
        elif len(update.location) > IMEI_CHARACTERS_MAX:
            then(SessionRefusal.NOT_FOUND)
        elif self._changes.is_full:
            then(SessionRefusal.UNAVAILABLE)
        else:
            self._changes.start(self._update_slowly(update, remote, then), name=f"update-{update.location}")

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
        session = await self._load_by_location(update.location)
        if session is None:
            return SessionRefusal.NOT_FOUND
        device = await self._reader.find_device(session.device_id)
        product = await self._reader.find_product(session.product_id)
        session = self._table.find(session.device_id)
        if session is None or device is None or product is None:
            return SessionRefusal.NOT_FOUND
        answer = self._renew(session, update, remote)
        if isinstance(answer, SessionRefusal) or is_plain(update, session):
            return answer
        has_new_objects = update.links is not None and update.links != session.links
        apply_update(session, update, device, product, self._settings)
        session.deadline = deadline_of(session.lifetime_s, self._clock.wall_ms(), self._settings)
        self._touches.forget(session.device_id)
        session.stored_deadline = session.deadline
        if not await self._writer.perform(ChangeSession(session=replace(session))):
            return SessionRefusal.NOT_FOUND
        if has_new_objects:
            await self._keep_listed(session)
        return session

    def _renew(self, session: Session, update: RegistrationUpdate, remote: Remote) -> Answered:
        refusal = self._refuse(session, update.auth_code)
        if refusal is not None:
            return refusal
        now = self._clock.wall_ms()
        session.last_heard_at = now
        session.deadline = deadline_of(session.lifetime_s, now, self._settings)
        self._move(session, remote)
        self._touches.note_heard(session)
        return session

    def _refuse(self, session: Session, auth_code: bytes | None) -> SessionRefusal | None:
        if not session.is_online(self._clock.wall_ms()):
            return SessionRefusal.NOT_FOUND
        sealed = self._table.sealed_auth_code(session.device_id)
        return None if is_auth_code_right(sealed, auth_code, self._secrets) else SessionRefusal.FORBIDDEN

    async def deregister(self, location: str, auth_code: bytes | None, remote: Remote) -> Answered:
        """End a session at its device's wish; gives it as it was. The address it is asked from does not matter."""
        try:
            session = await self._load_by_location(location)
            if session is None:
                return SessionRefusal.NOT_FOUND
            refusal = self._refuse(session, auth_code)
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
            for listener in self._listeners:
                listener.session_ended(current)
        return is_ended

    # --- being heard --------------------------------------------------------------------------------------------

    def hear_notification(
        self, coap_token: bytes, remote: Remote, then: Callable[[tuple[Session, Observation] | None], object]
    ) -> None:
        """Find whose notification it is; None asks for a RST.

        Refreshes address and last-heard, not the deadline. At once when the session is in memory. Where the store
        cannot be asked now, `then` is not called: the notification is as if it had been lost, because a careless RST
        would stop a real device (southbound reference 1.8).
        """
        if len(coap_token) != OBSERVATION_TOKEN_BYTES:
            then(None)
            return
        device_id = DeviceId(int.from_bytes(coap_token[:4], "big"))
        session = self._table.find(device_id)
        if session is not None:
            then(self._note_notification(session, coap_token, remote))
            return
        self._loads.fetch_soon(
            device_id,
            lambda loaded: then(None if loaded is None else self._note_notification(loaded, coap_token, remote)),
        )

    def _note_notification(
        self, session: Session, coap_token: bytes, remote: Remote
    ) -> tuple[Session, Observation] | None:
        now = self._clock.wall_ms()
        observation = session.find_observation(coap_token)
        if observation is None or not session.is_online(now):
            return None
        session.last_heard_at = now
        self._move(session, remote)
        self._touches.note_heard(session)
        return session, observation

    def hear_answer(self, device_id: DeviceId) -> None:
        """The device answered a request of ours."""
        session = self._table.find(device_id)
        if session is not None:
            session.last_heard_at = self._clock.wall_ms()
            self._touches.note_heard(session)

    def _move(self, session: Session, remote: Remote) -> None:
        if session.remote == remote:
            return
        left = session.remote
        loser = self._table.move(session, remote)
        self._touches.note_urgent(session)
        self._tell_lost(loser)
        if left is not None and self._table.find_by_remote(left) is None:
            for listener in self._listeners:
                listener.remote_left(session, left)

    def _tell_lost(self, loser: Session | None) -> None:
        if loser is None:
            return
        self._touches.note_urgent(loser)
        for listener in self._listeners:
            listener.remote_lost(loser)

    # --- looking up ---------------------------------------------------------------------------------------------

    def find(self, device_id: DeviceId) -> Session | None:
        """Give a session that is in memory, online or not."""
        return self._table.find(device_id)

    async def load(self, device_id: DeviceId) -> Session | None:
        """Give a device's session from memory, else from the store; None when it is not online."""
        session = self._table.find(device_id) or await self._loads.fetch(device_id)
        return session if session is not None and session.is_online(self._clock.wall_ms()) else None

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
        return None if stored is None else await self.load(stored.device_id)

    async def _read_session(self, device_id: DeviceId) -> Session | None:
        stored = await self._reader.find_session(device_id)
        device = None if stored is None else await self._reader.find_device(device_id)
        current = self._table.find(device_id)
        if current is not None:
            return current
        if stored is None or device is None or not self._loads.is_current(device_id):
            return None
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
        self._tell_lost(self._table.put(session, sealed_auth_code))
        return session

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

"""Being heard: what an UPDATE, a notification, a Send or an answer does to the session it comes from.

Only an UPDATE renews the deadline; all of them say that the device lives, and some where it is. Not here: what a device
says of itself (session_updates), what it measured (observations).
Source: southbound reference 1.5, 1.8, 2.2.
"""

from collections.abc import Callable

from commandpost.domain.errors import PortError
from commandpost.domain.ids import DeviceId
from commandpost.domain.ports import Clock, EventSink
from commandpost.domain.session import OBSERVATION_TOKEN_BYTES, Observation, Remote, Session
from commandpost.services.background import Background
from commandpost.services.registration import SessionRefusal, SessionSettings, deadline_of
from commandpost.services.session_addresses import SessionAddresses
from commandpost.services.session_guard import SessionGuard
from commandpost.services.session_table import SessionTable
from commandpost.services.session_touches import SessionTouches
from commandpost.services.stored_sessions import StoredSessions


class SessionHearing:
    """See the module."""

    def __init__(
        self,
        *,
        table: SessionTable,
        touches: SessionTouches,
        addresses: SessionAddresses,
        guard: SessionGuard,
        stored: StoredSessions,
        clock: Clock,
        settings: SessionSettings,
        events: EventSink,
    ) -> None:
        self._table = table
        self._touches = touches
        self._addresses = addresses
        self._guard = guard
        self._stored = stored
        self._clock = clock
        self._settings = settings
        self._events = events
        # Apart from changes: anybody may send from anywhere, and must not keep a device's change out.
        self._searches = Background(tasks_max=settings.loads_max, events=events)

    def refuse(self, session: Session, auth_code: bytes | None, remote: Remote) -> SessionRefusal | None:
        """Say why a peer may not go on with a session or end it; None: it may."""
        if not session.is_online(self._clock.wall_ms()):
            return SessionRefusal.NOT_FOUND
        return self._guard.refuse(session, remote, auth_code, self._table.sealed_auth_code(session.device_id))

    def renew(self, session: Session, auth_code: bytes | None, remote: Remote) -> SessionRefusal | None:
        """An UPDATE has come: refuse it, or renew the session."""
        refusal = self.refuse(session, auth_code, remote)
        if refusal is not None:
            return refusal
        now = self._clock.wall_ms()
        session.last_heard_at = now
        session.deadline = deadline_of(session.lifetime_s, now, self._settings)
        self._addresses.move(session, remote)
        self._touches.note_heard(session)
        return None

    def notification(
        self,
        coap_token: bytes,
        remote: Remote,
        then: Callable[[tuple[Session, Observation] | None], object],
        otherwise: Callable[[], object],
    ) -> None:
        """Find whose notification it is; see Sessions.hear_notification."""
        if len(coap_token) != OBSERVATION_TOKEN_BYTES:
            then(None)
            return
        device_id = DeviceId(int.from_bytes(coap_token[:4], "big"))
        session = self._table.find(device_id)
        if session is not None:
            then(self._note_notification(session, coap_token, remote))
            return
        self._stored.loads.fetch_soon(
            device_id,
            lambda loaded: then(None if loaded is None else self._note_notification(loaded, coap_token, remote)),
            otherwise,
        )

    def _note_notification(
        self, session: Session, coap_token: bytes, remote: Remote
    ) -> tuple[Session, Observation] | None:
        now = self._clock.wall_ms()
        observation = session.find_observation(coap_token)
        if observation is None or not session.is_online(now) or not self._guard.may_report(session, remote):
            return None
        session.last_heard_at = now
        if self._guard.may_move_by_token(session, remote):
            self._addresses.move(session, remote)
        self._touches.note_heard(session)
        return session, observation

    def sender(self, remote: Remote, then: Callable[[Session | None], object], otherwise: Callable[[], object]) -> None:
        """Find whose address it is; see Sessions.hear_sender."""
        session = self._table.find_by_remote(remote)
        if session is not None:
            then(self._note_sender(session, remote))
        elif self._searches.is_full:
            otherwise()
        else:
            self._searches.start(self._find_sender(remote, then, otherwise), name="find-sender")

    async def _find_sender(
        self, remote: Remote, then: Callable[[Session | None], object], otherwise: Callable[[], object]
    ) -> None:
        try:
            session = await self._stored.find_at(remote)
        except PortError as error:
            self._events.emit("sender_not_found", error=error.code)
            otherwise()
            return
        then(None if session is None else self._note_sender(session, remote))

    def _note_sender(self, session: Session, remote: Remote) -> Session | None:
        if not session.is_online(self._clock.wall_ms()) or not self._guard.may_report(session, remote):
            return None
        self.answer(session.device_id)
        return session

    def answer(self, device_id: DeviceId) -> None:
        """The device answered a request of ours."""
        session = self._table.find(device_id)
        if session is not None:
            session.last_heard_at = self._clock.wall_ms()
            self._touches.note_heard(session)

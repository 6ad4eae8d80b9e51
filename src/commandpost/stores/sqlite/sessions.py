"""Facts about sessions, on SQLite: a narrow row for what plain uplinks change, a detail, and observations."""

import sqlite3

from commandpost.domain.ids import DeviceId
from commandpost.domain.session import Observation
from commandpost.domain.session_facts import (
    AddObservation,
    ChangeSession,
    DropObservation,
    EndSession,
    KeepSetup,
    StartSession,
    TouchSession,
)
from commandpost.stores.batch_store import FactHandlers
from commandpost.stores.record_texts import SETUP
from commandpost.stores.rows import observation_from_row, observation_to_row, session_to_row
from commandpost.stores.sqlite.devices import DeviceFacts
from commandpost.stores.sqlite.queries import load_queries

_NARROW = ("device_id", "product_id", "epoch", "start_id", "remote", "lifetime_s", "last_heard_at", "deadline")
_DETAIL = (
    "device_id",
    "endpoint_name",
    "location",
    "registered_at",
    "binding",
    "is_queue_mode",
    "lwm2m_version",
    "links",
    "alternate_path",
    "accepted_formats",
    "pending_setup",
    "identity_label",
)
_TOUCHED = ("device_id", "epoch", "remote", "last_heard_at", "deadline")
_TOUCHES = ("touch_session", "touch_session_deadline", "touch_session_remote")


class SessionFacts:
    """Applies the facts about sessions, inside the transaction the store has begun."""

    def __init__(self, connection: sqlite3.Connection, *, devices: DeviceFacts) -> None:
        self._execute = connection.execute
        self._devices = devices
        self._sql = load_queries("sessions.sql")

    def handlers(self) -> FactHandlers:
        """Which method applies which fact."""
        return {
            StartSession: self._start,
            EndSession: self._end,
            ChangeSession: self._change,
            AddObservation: self._add_observation,
            DropObservation: self._drop_observation,
            KeepSetup: self._keep_setup,
            TouchSession: self._touch,
        }

    def _start(self, fact: StartSession) -> int | None:
        session = fact.session
        before = self._execute(self._sql["find_registrant"], (session.device_id, session.product_id)).fetchone()
        if before is None:
            return None
        epoch = 1 if before[0] is None else int(before[0]) + 1
        row = {**session_to_row(session), "epoch": epoch}
        self._execute(self._sql["put_session"], {name: row[name] for name in _NARROW})
        self._execute(self._sql["put_session_detail"], {name: row[name] for name in _DETAIL})
        self._put_observations(session.device_id, session.observations)
        self._devices.follow_list(session.device_id, session.links)
        self._execute(self._sql["activate_device"], (session.registered_at, session.device_id))
        if not before[1]:
            self._tell(session.product_id, session.device_id, session.registered_at, is_online=True)
        return epoch

    def _end(self, fact: EndSession) -> bool:
        ended = self._execute(self._sql["end_session"], (fact.device_id, fact.epoch)).fetchall()
        if not ended:
            return False
        ((product_id,),) = ended
        self._execute(self._sql["delete_session_detail"], (fact.device_id,))
        self._execute(self._sql["delete_observations"], (fact.device_id,))
        self._tell(product_id, fact.device_id, fact.at, is_online=False)
        return True

    def _change(self, fact: ChangeSession) -> bool:
        session = fact.session
        row = session_to_row(session)
        changed = self._execute(self._sql["change_session"], {name: row[name] for name in _NARROW})
        if not changed.rowcount:
            return False
        self._execute(self._sql["put_session_detail"], {name: row[name] for name in _DETAIL})
        for coap_token in fact.dropped_tokens:
            self._execute(self._sql["delete_observation"], (session.device_id, coap_token))
        if fact.has_new_objects:
            self._devices.follow_list(session.device_id, session.links)
        return True

    def _add_observation(self, fact: AddObservation) -> bool:
        if not self._is_current(fact.device_id, fact.epoch):
            return False
        self._insert_observation(fact.device_id, fact.observation)
        return True

    def _drop_observation(self, fact: DropObservation) -> bool:
        return self._execute(self._sql["delete_observation"], (fact.device_id, fact.coap_token)).rowcount > 0

    def _keep_setup(self, fact: KeepSetup) -> None:
        if not self._is_current(fact.device_id, fact.epoch):
            return
        pending = SETUP.encode(fact.pending) if fact.pending else None
        self._execute(self._sql["set_pending_setup"], (pending, fact.device_id))
        self._execute(self._sql["set_setup_done"], (not fact.pending, fact.device_id))

    def _touch(self, fact: TouchSession) -> None:
        row = {name: getattr(fact, name) for name in _TOUCHED}
        # Most touches leave address and deadline on disk as they are. A statement rewrites the index entries of what it
        # names, so the one that names the fewest is tried first.
        for name in _TOUCHES:
            if self._execute(self._sql[name], row).rowcount:
                return

    def _put_observations(self, device_id: DeviceId, observations: tuple[Observation, ...]) -> None:
        known = self._execute(self._sql["observations_of"], (device_id,)).fetchall()
        if tuple(observation_from_row(row) for row in known) == observations:
            return
        self._execute(self._sql["delete_observations"], (device_id,))
        for observation in observations:
            self._insert_observation(device_id, observation)

    def _insert_observation(self, device_id: DeviceId, observation: Observation) -> None:
        self._execute(self._sql["insert_observation"], (device_id, *observation_to_row(observation)))

    def _is_current(self, device_id: DeviceId, epoch: int) -> bool:
        (is_current,) = self._execute(self._sql["is_current"], (device_id, epoch)).fetchone()
        return bool(is_current)

    def _tell(self, product_id: int, device_id: DeviceId, at: int, *, is_online: bool) -> None:
        self._execute(
            self._sql["tell_online_state"],
            {"product_id": product_id, "device_id": device_id, "at": at, "is_online": is_online},
        )

"""Facts about sessions, in memory. Sessions are mutable: what comes in and what goes out is a copy."""

from dataclasses import replace

from commandpost.domain.events import EventKind
from commandpost.domain.ids import DeviceId
from commandpost.domain.session import Session
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
from commandpost.stores.memory.devices import DeviceFacts
from commandpost.stores.memory.state import KeptSession, MemoryState


class SessionFacts:
    """Applies the facts about sessions to a state."""

    def __init__(self, state: MemoryState, *, devices: DeviceFacts) -> None:
        self._state = state
        self._devices = devices

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
        device = self._state.devices.get(session.device_id)
        if device is None or device.product_id != session.product_id:
            return None
        before = self._state.sessions.get(session.device_id)
        epoch = 1 if before is None else before.epoch + 1
        started = replace(session, epoch=epoch, stored_deadline=session.deadline)
        self._state.sessions[session.device_id] = KeptSession(started, is_online=True)
        self._devices.follow_list(session.device_id, session.links)
        self._state.devices[device.id] = replace(
            device,
            activated_at=session.registered_at if device.activated_at is None else device.activated_at,
            is_setup_done=False,
        )
        if before is None or not before.is_online:
            self._state.tell(
                device.product_id, device.id, EventKind.ONLINE_STATE, session.registered_at, is_online=True
            )
        return epoch

    def _end(self, fact: EndSession) -> bool:
        session = self._find(fact.device_id, fact.epoch)
        if session is None:
            return False
        ended = replace(session, observations=(), pending_setup=())
        self._state.sessions[fact.device_id] = KeptSession(ended, is_online=False)
        self._state.tell(session.product_id, session.device_id, EventKind.ONLINE_STATE, fact.at, is_online=False)
        return True

    def _change(self, fact: ChangeSession) -> bool:
        session = fact.session
        before = self._find(session.device_id, session.epoch)
        if before is None or before.product_id != session.product_id:
            return False
        kept = tuple(each for each in before.observations if each.coap_token not in fact.dropped_tokens)
        changed = replace(session, stored_deadline=session.deadline, observations=kept)
        self._state.sessions[session.device_id] = KeptSession(changed, is_online=True)
        if fact.has_new_objects:
            self._devices.follow_list(session.device_id, session.links)
        return True

    def _add_observation(self, fact: AddObservation) -> bool:
        session = self._find(fact.device_id, fact.epoch)
        if session is None:
            return False
        others = tuple(each for each in session.observations if each.path != fact.observation.path)
        session.observations = (*others, fact.observation)
        return True

    def _drop_observation(self, fact: DropObservation) -> bool:
        kept = self._state.sessions.get(fact.device_id)
        if not isinstance(kept, KeptSession) or kept.session.find_observation(fact.coap_token) is None:
            return False
        kept.session.observations = tuple(
            each for each in kept.session.observations if each.coap_token != fact.coap_token
        )
        return True

    def _keep_setup(self, fact: KeepSetup) -> None:
        session = self._find(fact.device_id, fact.epoch)
        if session is None:
            return
        session.pending_setup = fact.pending
        device = self._state.devices[fact.device_id]
        self._state.devices[device.id] = replace(device, is_setup_done=not fact.pending)

    def _touch(self, fact: TouchSession) -> None:
        session = self._find(fact.device_id, fact.epoch)
        if session is None:
            return
        session.remote = fact.remote
        session.last_heard_at = fact.last_heard_at
        session.deadline = session.stored_deadline = fact.deadline

    def _find(self, device_id: DeviceId, epoch: int) -> Session | None:
        kept = self._state.sessions.get(device_id)
        if not isinstance(kept, KeptSession) or not kept.is_online or kept.epoch != epoch:
            return None
        return kept.session

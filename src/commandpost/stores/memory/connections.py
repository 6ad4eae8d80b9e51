"""Facts about connections over MQTT and EDP, in memory."""

from dataclasses import replace

from commandpost.domain.events import EventKind
from commandpost.domain.ids import DeviceId
from commandpost.domain.payload_facts import EndConnection, EndStaleConnections, NoteHeard, StartConnection
from commandpost.stores.batch_store import SLICE_ROWS_MAX, FactHandlers
from commandpost.stores.command_rules import check_payload_transport
from commandpost.stores.memory.state import KeptConnection, MemoryState


class ConnectionFacts:
    """Applies the facts about connections to a state."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def handlers(self) -> FactHandlers:
        """Which method applies which fact."""
        return {
            StartConnection: self._start,
            EndConnection: self._end,
            EndStaleConnections: self._end_stale,
            NoteHeard: self._note_heard,
        }

    def _start(self, fact: StartConnection) -> int | None:
        connection = fact.connection
        check_payload_transport(connection.transport)
        device = self._state.devices.get(connection.device_id)
        if device is None or device.product_id != connection.product_id:
            return None
        before = self._state.sessions.get(device.id)
        epoch = 1 if before is None else before.epoch + 1
        at = connection.connected_at
        self._state.sessions[device.id] = KeptConnection(
            replace(connection, epoch=epoch), is_online=True, last_heard_at=at
        )
        if device.activated_at is None:
            self._state.devices[device.id] = replace(device, activated_at=at)
        if before is None or not before.is_online:
            self._state.tell(device.product_id, device.id, EventKind.ONLINE_STATE, at, is_online=True)
        return epoch

    def _end(self, fact: EndConnection) -> bool:
        kept = self._find(fact.device_id, fact.epoch)
        if kept is None:
            return False
        kept.is_online = False
        kept.last_heard_at = fact.last_heard_at
        product_id = kept.connection.product_id
        self._state.tell(product_id, fact.device_id, EventKind.ONLINE_STATE, fact.at, is_online=False)
        return True

    def _end_stale(self, fact: EndStaleConnections) -> int:
        stale = sorted(
            (kept.connection.start_id, device_id, kept.connection.product_id)
            for device_id, kept in self._state.sessions.items()
            if isinstance(kept, KeptConnection) and kept.is_online and kept.connection.start_id != fact.start_id
        )[: min(fact.limit, SLICE_ROWS_MAX)]
        for _, device_id, product_id in stale:
            self._state.sessions[device_id].is_online = False
            self._state.tell(product_id, device_id, EventKind.ONLINE_STATE, fact.at, is_online=False)
        return len(stale)

    def _note_heard(self, fact: NoteHeard) -> None:
        kept = self._find(fact.device_id, fact.epoch)
        if kept is not None:
            kept.last_heard_at = fact.last_heard_at

    def _find(self, device_id: DeviceId, epoch: int) -> KeptConnection | None:
        kept = self._state.sessions.get(device_id)
        if not isinstance(kept, KeptConnection) or not kept.is_online or kept.epoch != epoch:
            return None
        return kept

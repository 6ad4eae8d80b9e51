"""Facts about connections over MQTT and EDP, on SQLite; their rows are those of sessions, without a detail."""

import sqlite3

from commandpost.domain.ids import DeviceId, ProductId
from commandpost.domain.instant import Instant
from commandpost.domain.payload_facts import EndConnection, EndStaleConnections, NoteHeard, StartConnection
from commandpost.stores.batch_store import SLICE_ROWS_MAX, FactHandlers
from commandpost.stores.command_rules import check_payload_transport
from commandpost.stores.payload_rows import connection_to_row
from commandpost.stores.sqlite.queries import load_queries


class ConnectionFacts:
    """Applies the facts about connections, inside the transaction the store has begun."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self._sessions = load_queries("sessions.sql")
        self._sql = load_queries("connections.sql")

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
        device_id = connection.device_id
        place = device_id, connection.product_id
        before = self._execute(self._sessions["find_registrant"], place).fetchone()
        if before is None:
            return None
        epoch = 1 if before[0] is None else int(before[0]) + 1
        self._execute(self._sql["put_connection"], {**connection_to_row(connection), "epoch": epoch})
        self._execute(self._sessions["delete_session_detail"], (device_id,))
        self._execute(self._sessions["delete_observations"], (device_id,))
        self._execute(self._sql["activate_connected"], (connection.connected_at, device_id))
        if not before[1]:
            self._tell(connection.product_id, device_id, connection.connected_at, is_online=True)
        return epoch

    def _end(self, fact: EndConnection) -> bool:
        arguments = fact.last_heard_at, fact.device_id, fact.epoch
        ended = self._execute(self._sql["end_connection"], arguments).fetchall()
        for (product_id,) in ended:
            self._tell(product_id, fact.device_id, fact.at, is_online=False)
        return bool(ended)

    def _end_stale(self, fact: EndStaleConnections) -> int:
        limit = min(fact.limit, SLICE_ROWS_MAX)
        found = self._execute(self._sql["stale_connections"], {"start_id": fact.start_id, "limit": limit})
        stale = found.fetchall()
        for _, device_id, product_id in stale:
            self._execute(self._sql["end_stale_connection"], (device_id,))
            self._tell(product_id, device_id, fact.at, is_online=False)
        return len(stale)

    def _note_heard(self, fact: NoteHeard) -> None:
        self._execute(self._sql["note_heard"], (fact.last_heard_at, fact.device_id, fact.epoch))

    def _tell(self, product_id: ProductId, device_id: DeviceId, at: Instant, *, is_online: bool) -> None:
        self._execute(
            self._sessions["tell_online_state"],
            {"product_id": product_id, "device_id": device_id, "at": at, "is_online": is_online},
        )

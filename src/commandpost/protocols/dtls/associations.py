"""Open associations: by number, connection id and remote; their records, their moves and their ends.

Source: RFC 6347 sections 4.1 and 4.2.8, RFC 9146 sections 3 and 6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from commandpost.protocols.dtls.alerts import encode_alert, is_close, is_fatal
from commandpost.protocols.dtls.association import Association
from commandpost.protocols.dtls.deadlines import DeadlineHeap, Timed
from commandpost.protocols.dtls.events import (
    AssociationClosed,
    AssociationId,
    AssociationOpened,
    CloseReason,
    DataReceived,
    Remote,
    RemoteChanged,
)
from commandpost.protocols.dtls.handshake_messages import split_fragments
from commandpost.protocols.dtls.outlet import Outlet
from commandpost.protocols.dtls.records import Record, encode_record
from commandpost.protocols.dtls.registries import (
    SEQUENCE_MAX,
    AlertDescription,
    AlertLevel,
    ContentType,
    HandshakeType,
)
from commandpost.protocols.dtls.reservation import has_number, note_read, want_if_low, want_next
from commandpost.protocols.errors import DecodeError, EncodeError

if TYPE_CHECKING:
    from commandpost.protocols.dtls.half_open import Handshake

_APPLICATION_DATA: Final = int(ContentType.APPLICATION_DATA)
_CLOSE_NOTIFY: Final = encode_alert(AlertLevel.WARNING, AlertDescription.CLOSE_NOTIFY)
_NO_RENEGOTIATION: Final = encode_alert(AlertLevel.WARNING, AlertDescription.NO_RENEGOTIATION)
# Idle and evicted ones sleep or are gone, replaced ones have forgotten the keys, a failed one wants to hear nothing.
_TOLD: Final = frozenset((CloseReason.CLOSED_HERE, CloseReason.CLOSED_BY_PEER, CloseReason.EXHAUSTED))
_CONNECTION_ID_TRIES: Final = 8  # a collision of random ids is rare where they have 4 bytes, unseen where 8


class AssociationTable:
    """All associations of a listener."""

    __slots__ = ("_by_number", "_by_remote", "_last_number", "_outlet", "connection_ids", "deadlines")

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._by_number: dict[AssociationId, Association] = {}
        # One entry a remote. Those without a connection id need it to be found and never lose it to one that has
        # an id: else a device could take a stranger's place by sending with a forged address.
        self._by_remote: dict[Remote, Association] = {}
        self.connection_ids: dict[bytes, Association | Handshake] = {}
        self._last_number = 0
        self.deadlines = DeadlineHeap()

    def __len__(self) -> int:
        """Count them."""
        return len(self._by_number)

    def find(self, number: AssociationId) -> Association | None:
        """Give an association by its number."""
        return self._by_number.get(number)

    def find_at(self, remote: Remote) -> Association | None:
        """Give the association that records without a connection id from there belong to."""
        association = self._by_remote.get(remote)
        return association if association is not None and not association.has_connection_id else None

    def has_just_opened(self, remote: Remote, client_random: bytes) -> bool:
        """Tell whether the newest association there came from that hello."""
        association = self._by_remote.get(remote)
        if association is None or association.final_flight is None:
            return False
        return association.final_flight.client_random == client_random

    def next_number(self) -> AssociationId:
        """Give a number that was never used."""
        self._last_number += 1
        return AssociationId(self._last_number)

    def new_connection_id(self) -> bytes:
        """Give a random id that nobody has; an empty one if the server gives none."""
        length = self._outlet.parameters.connection_id_bytes or 0
        for _ in range(_CONNECTION_ID_TRIES if length else 0):
            connection_id = self._outlet.random_bytes(length)
            if connection_id not in self.connection_ids:
                return connection_id
        return b""

    def open(self, association: Association, *, now: float) -> None:
        """Take in one whose client has just proved itself; what stood in its place ends (RFC 6347 section 4.2.8)."""
        former = self._by_remote.get(association.remote)
        # A remote may have passed to another device; an association with an id does not depend on it and stays.
        if former is not None and (not former.has_connection_id or former.identity == association.identity):
            self.close(former, CloseReason.REPLACED)
        self.insert(association, now=now)
        self._outlet.tell(
            AssociationOpened(association.number, association.remote, association.identity, association.label)
        )
        self.send_final_flight(association)
        want_next(association, self._outlet)

    def insert(self, association: Association, *, now: float) -> None:
        """Take one in, new or restored; if the table is full the one silent for longest goes."""
        while len(self._by_number) >= self._outlet.limits.associations_max:
            silent = self.deadlines.pop_earliest()
            assert isinstance(silent, Association)
            self.close(silent, CloseReason.EVICTED)
        self._by_number[association.number] = association
        if association.has_connection_id:
            self.connection_ids[association.traffic.read_connection_id] = association
        self._take_place(association)
        self.deadlines.set(association, now + self._outlet.parameters.idle_timeout_s)

    def receive(
        self, association: Association, record: Record, remote: Remote, *, is_contested: bool, now: float
    ) -> bool:
        """Take a protected record; tell whether it can only be this association's.

        Args:
            is_contested: a new handshake waits at the same remote, so what looks like a replay may be its Finished.
        """
        traffic = association.traffic
        has_been_seen = traffic.window.has_seen(record.sequence)
        if has_been_seen and not is_contested:
            self._outlet.counters.records_replayed += 1
            return True
        opened = traffic.open(record)
        if opened is None:
            if not is_contested:
                self._outlet.counters.records_unreadable += 1
            return False
        if has_been_seen:
            self._outlet.counters.records_replayed += 1
            return True
        # RFC 9146 section 6: only the newest record moves a peer, and only an association that has an id.
        is_newest = traffic.window.note(record.sequence)
        if is_newest and remote != association.remote:
            self._move(association, remote)
        self.deadlines.set(association, now + self._outlet.parameters.idle_timeout_s)
        self._take_content(association, opened[0], opened[1], now=now)
        note_read(association, self._outlet)
        return True

    def send(self, association: Association, payload: bytes) -> None:
        """Send application data, or hold it until sequence numbers are reserved.

        Raises:
            EncodeError: the payload is larger than a record may be.
        """
        if len(payload) > association.traffic.payload_bytes_max:
            raise EncodeError(f"{len(payload)} bytes, a record takes {association.traffic.payload_bytes_max}")
        if association.traffic.write_sequence >= SEQUENCE_MAX:
            self.close(association, CloseReason.EXHAUSTED)  # the last number, if it is free, says goodbye
            return
        if not has_number(association, self._outlet):
            if association.held is None:
                association.held = []
            if len(association.held) < self._outlet.limits.payloads_held_max:
                association.held.append(payload)
            else:
                self._outlet.counters.payloads_dropped += 1
            want_next(association, self._outlet)
            return
        self._send_record(association, _APPLICATION_DATA, payload)
        want_if_low(association, self._outlet)

    def release_held(self, association: Association) -> None:
        """Send what waited for a reservation."""
        held, association.held = association.held or [], None
        for payload in held:
            if association.number in self._by_number:
                self.send(association, payload)

    def close(self, association: Association, reason: CloseReason) -> None:
        """End an association; the peer is told where that helps and can be done."""
        if reason in _TOLD and has_number(association, self._outlet):
            self._send_record(association, ContentType.ALERT, _CLOSE_NOTIFY)
        del self._by_number[association.number]
        if association.has_connection_id:
            del self.connection_ids[association.traffic.read_connection_id]
        self._leave_place(association)
        self.deadlines.cancel(association)
        association.held = None
        self._outlet.tell(AssociationClosed(association.number, reason))

    def close_idle(self, timed: Timed) -> None:
        """End one whose idle time is over."""
        assert isinstance(timed, Association)
        self.close(timed, CloseReason.IDLE)

    def send_final_flight(self, association: Association) -> None:
        """Send ChangeCipherSpec and Finished, the first time or again (RFC 6347 section 4.2.4)."""
        flight = association.final_flight
        if flight is None or not has_number(association, self._outlet):
            return
        association.final_flight = flight._replace(plain_sequence=flight.plain_sequence + 1)
        change = encode_record(ContentType.CHANGE_CIPHER_SPEC, epoch=0, sequence=flight.plain_sequence, body=b"\1")
        finished = association.traffic.seal(
            ContentType.HANDSHAKE, flight.finished, random_bytes=self._outlet.random_bytes
        )
        self._outlet.send(association.remote, change + finished)
        want_if_low(association, self._outlet)

    def _take_content(self, association: Association, content_type: int, content: bytes, *, now: float) -> None:
        if content_type == _APPLICATION_DATA:
            association.final_flight = None  # the client has our Finished
            self._outlet.tell(DataReceived(association.number, content))
        elif content_type == ContentType.ALERT:
            if is_close(content):
                self.close(association, CloseReason.CLOSED_BY_PEER)
            elif is_fatal(content):
                self.close(association, CloseReason.FAILED_BY_PEER)
        elif content_type == ContentType.HANDSHAKE:
            self._take_handshake(association, content, now=now)

    def _take_handshake(self, association: Association, content: bytes, *, now: float) -> None:
        try:
            message_type = split_fragments(content)[0].message_type
        except DecodeError:
            return
        if message_type == HandshakeType.FINISHED and association.final_flight is not None:
            self._outlet.counters.flights_repeated += 1
            self.send_final_flight(association)
        elif message_type == HandshakeType.CLIENT_HELLO and has_number(association, self._outlet):
            if self._outlet.may_alert(now=now):  # RFC 5246 section 7.2.2: refused, the association goes on
                self._send_record(association, ContentType.ALERT, _NO_RENEGOTIATION)
            want_if_low(association, self._outlet)

    def _send_record(self, association: Association, content_type: int, content: bytes) -> None:
        record = association.traffic.seal(content_type, content, random_bytes=self._outlet.random_bytes)
        self._outlet.send(association.remote, record)

    def _move(self, association: Association, remote: Remote) -> None:
        self._leave_place(association)
        association.remote = remote
        self._take_place(association)
        self._outlet.counters.remotes_changed += 1
        self._outlet.tell(RemoteChanged(association.number, remote))

    def _take_place(self, association: Association) -> None:
        holder = self._by_remote.get(association.remote)
        if holder is None or holder.has_connection_id or not association.has_connection_id:
            self._by_remote[association.remote] = association

    def _leave_place(self, association: Association) -> None:
        if self._by_remote.get(association.remote) is association:
            del self._by_remote[association.remote]

"""The DTLS server of one listener: datagrams, keys, payloads and `now` in; datagrams, events and a deadline out.

It ties together `admission` (hellos and cookies), `handshaking` (who holds a key) and `associations` (everything
after). It knows no socket, no clock and no database of keys.

Source: RFC 6347, RFC 5246, RFC 4279, RFC 9146.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from commandpost.protocols.dtls.admission import Admission
from commandpost.protocols.dtls.association import Association, SavedAssociation
from commandpost.protocols.dtls.associations import AssociationTable
from commandpost.protocols.dtls.events import (
    AssociationId,
    CloseReason,
    Event,
    HandshakeId,
    Remote,
)
from commandpost.protocols.dtls.half_open import HalfOpenTable, Handshake
from commandpost.protocols.dtls.handshaking import Handshaking
from commandpost.protocols.dtls.outlet import DtlsCounters, Outlet
from commandpost.protocols.dtls.parameters import DtlsLimits, DtlsParameters
from commandpost.protocols.dtls.record_protection import RandomBytes
from commandpost.protocols.dtls.records import Record, split_records
from commandpost.protocols.dtls.registries import ContentType
from commandpost.protocols.dtls.replay_window import ReplayWindow
from commandpost.protocols.dtls.reservation import confirm, confirm_read
from commandpost.protocols.dtls.traffic import PROTECTED_EPOCH, Traffic

__all__ = ["DtlsCounters", "DtlsLimits", "DtlsParameters", "DtlsServer", "SavedAssociation"]


class DtlsServer:
    """A DTLS 1.2 server for pre-shared keys.

    Feed it every datagram and, when `next_deadline` has come, the time; after each call drain `next_event` and
    `datagrams_to_send`. No peer can make a method raise; only wrong use by the owner does.
    """

    __slots__ = ("_admission", "_associations", "_connection_id_bytes", "_half_open", "_handshaking", "_outlet")

    def __init__(
        self,
        *,
        parameters: DtlsParameters,
        limits: DtlsLimits,
        random_bytes: RandomBytes,
        source_of: Callable[[Remote], Hashable] | None = None,
    ) -> None:
        """Begin with no association.

        Args:
            random_bytes: gives that many bytes nobody can guess; nonces of CBC, randoms, ids and cookies rest on it.
            source_of: what remotes share for the limit a source, such as the address without the port; None counts
                every remote for itself.
        """
        outlet = Outlet(parameters=parameters, limits=limits, random_bytes=random_bytes)
        self._outlet = outlet
        self._connection_id_bytes = parameters.connection_id_bytes or 0
        self._associations = AssociationTable(outlet)
        self._half_open = HalfOpenTable(outlet, source_of=source_of or _itself)
        self._admission = Admission(outlet, half_open=self._half_open, associations=self._associations)
        self._handshaking = Handshaking(
            outlet, admission=self._admission, half_open=self._half_open, associations=self._associations
        )

    # What the driver calls.

    def receive_datagram(self, data: bytes, remote: Remote, *, now: float) -> None:
        """Take one datagram; whatever it holds, nothing is raised and nothing unproven is believed."""
        outlet = self._outlet
        outlet.counters.datagrams_received += 1
        if not outlet.has_room:
            outlet.counters.datagrams_refused += 1
            return
        plain: list[Record] = []
        protected: list[Record] = []
        for record in split_records(data, connection_id_bytes=self._connection_id_bytes):
            if record.epoch == PROTECTED_EPOCH:
                protected.append(record)
            elif record.epoch == 0 and record.content_type != ContentType.TLS12_CID:
                plain.append(record)
        claimant = self._handshaking.receive_plain(plain, remote, now=now) if plain else None
        for record in protected:
            self._receive_protected(record, remote, claimant, now=now)

    def next_event(self) -> Event | None:
        """Give the next event, in the order they happened; None if there is no more."""
        events = self._outlet.events
        return events.popleft() if events else None

    def datagrams_to_send(self) -> list[tuple[Remote, bytes]]:
        """Give what is to be sent, in order, and forget it."""
        datagrams = self._outlet.datagrams
        if datagrams:
            self._outlet.datagrams = []
        return datagrams

    def next_deadline(self) -> float | None:
        """Give the time at which `handle_deadline` wants to be called; None if nothing waits."""
        times = (self._half_open.deadlines.next_at(), self._associations.deadlines.next_at())
        return min((at for at in times if at is not None), default=None)

    def handle_deadline(self, *, now: float) -> None:
        """Do what is due: repeat flights, give handshakes up, close what is idle. What finds no room waits."""
        outlet = self._outlet
        while outlet.has_room and (timed := self._half_open.deadlines.pop_due(now)) is not None:
            assert isinstance(timed, Handshake)
            if timed.deadline <= now:
                self._handshaking.end_overdue(timed, now=now)
            else:
                self._admission.repeat_flight_if_due(timed, now=now)
        while outlet.has_room and (timed := self._associations.deadlines.pop_due(now)) is not None:
            self._associations.close_idle(timed)

    # What the owner answers and asks for.

    def offer_keys(self, handle: HandshakeId, keys: Sequence[tuple[str, bytes]], *, now: float) -> None:
        """Answer KeysWanted with what the identity may prove itself by; nothing for an unknown identity.

        The first key that fits counts, and its label comes back with AssociationOpened. The work is the same
        whatever is offered. A handle whose handshake is over is ignored.

        Args:
            keys: label and key, at most `parameters.candidates`, none of them empty.
        Raises:
            ValueError: too many keys, or an empty one.
        """
        self._handshaking.offer_keys(handle, keys, now=now)

    def send(self, association: AssociationId, payload: bytes, *, now: float) -> None:
        """Send a payload in one record to where the peer is now; an association that is over is ignored.

        With a reservation block, a payload that finds no reserved number is held until `reserve`, and at the limit
        lost, as any datagram may be.

        Raises:
            EncodeError: the payload is larger than a record of this association may be.
        """
        found = self._associations.find(association)
        if found is not None:
            self._associations.send(found, payload)

    def close(self, association: AssociationId, *, now: float) -> None:
        """Say goodbye and forget the keys; ends in AssociationClosed. An association that is over is ignored."""
        found = self._associations.find(association)
        if found is not None:
            self._associations.close(found, CloseReason.CLOSED_HERE)

    # A restart.

    def export(self, association: AssociationId) -> SavedAssociation:
        """Give what must be on disk for the association to outlive this process.

        It reserves what `ReservationWanted` last asked for. Without a reservation block it says what was used so
        far, which is only right if nothing is sent afterwards.

        Raises:
            KeyError: there is no such association.
        """
        found = self._associations.find(association)
        if found is None:
            raise KeyError(association)
        traffic = found.traffic
        found.exported_read = traffic.window.newest
        return SavedAssociation(
            remote=found.remote,
            identity=found.identity,
            label=found.label,
            protection=traffic.protection,
            read_keys=traffic.read_keys,
            write_keys=traffic.write_keys,
            read_connection_id=traffic.read_connection_id,
            write_connection_id=traffic.write_connection_id,
            write_sequence=max(traffic.write_sequence, found.reserved_upto, found.wanted_upto or 0),
            read_sequence=traffic.window.newest,
            fragment_bytes_max=traffic.fragment_bytes_max,
        )

    def reserve(self, association: AssociationId, upto: int) -> None:
        """Confirm that an export with this bound, or a higher one, is on disk; what was held goes out now."""
        found = self._associations.find(association)
        if found is not None:
            confirm(found, upto)
            self._associations.release_held(found)

    def newest_read(self, association: AssociationId) -> int | None:
        """Give the number of the newest record from the peer, -1 before the first; None if the association is over.

        An owner may keep it beside what `export` gave, and give it back in `SavedAssociation.read_sequence`.
        """
        found = self._associations.find(association)
        return found.traffic.window.newest if found is not None else None

    def confirm_read(self, association: AssociationId, newest: int) -> None:
        """Confirm that what `newest_read` gave is on disk; for so much longer no export is asked for its sake."""
        found = self._associations.find(association)
        if found is not None:
            confirm_read(found, newest)

    def restore(self, saved: SavedAssociation, *, now: float, reserved_upto: int | None = None) -> AssociationId:
        """Bring back an association that was exported before a restart.

        Args:
            reserved_upto: a bound above `saved.write_sequence` that is already on disk, if the owner has put one
                there for all of them at once; otherwise the first send waits for ReservationWanted.
        Raises:
            ValueError: its connection id has another length than ours or is taken, or its place is.
        """
        self._check_restorable(saved)
        traffic = Traffic(
            protection=saved.protection,
            read_keys=saved.read_keys,
            write_keys=saved.write_keys,
            read_connection_id=saved.read_connection_id,
            write_connection_id=saved.write_connection_id,
            window=ReplayWindow(newest=saved.read_sequence),
            write_sequence=saved.write_sequence,
            fragment_bytes_max=saved.fragment_bytes_max,
        )
        association = Association(
            number=self._associations.next_number(),
            remote=saved.remote,
            identity=saved.identity,
            label=saved.label,
            traffic=traffic,
            reserved_upto=max(saved.write_sequence, reserved_upto or 0),
        )
        self._associations.insert(association, now=now)
        return association.number

    # What can be looked at.

    @property
    def counters(self) -> DtlsCounters:
        """Give the live counters."""
        return self._outlet.counters

    @property
    def association_count(self) -> int:
        """Count the open associations."""
        return len(self._associations)

    @property
    def half_open_count(self) -> int:
        """Count the handshakes that have not proved a key."""
        return len(self._half_open)

    def find_remote(self, association: AssociationId) -> Remote | None:
        """Give where the peer is now; None if the association is over."""
        found = self._associations.find(association)
        return found.remote if found is not None else None

    def _receive_protected(self, record: Record, remote: Remote, claimant: Handshake | None, *, now: float) -> None:
        if record.content_type == ContentType.TLS12_CID:
            holder = self._associations.connection_ids.get(record.connection_id)
            if isinstance(holder, Association):
                self._associations.receive(holder, record, remote, is_contested=False, now=now)
            elif holder is not None and holder.remote == remote:
                self._handshaking.receive_protected(holder, record, is_with_identity=holder is claimant, now=now)
            else:
                self._outlet.counters.records_unreadable += 1
            return
        association = self._associations.find_at(remote)
        handshake = self._half_open.find(remote)
        # RFC 9146 section 3: a handshake with a connection id has no use for records without one.
        is_awaited = (
            handshake is not None and not handshake.connection_id and record.content_type == ContentType.HANDSHAKE
        )
        if association is not None and self._associations.receive(
            association, record, remote, is_contested=is_awaited, now=now
        ):
            return
        if handshake is not None and is_awaited:
            self._handshaking.receive_protected(handshake, record, is_with_identity=handshake is claimant, now=now)
        elif association is None:
            self._outlet.counters.records_unreadable += 1

    def _check_restorable(self, saved: SavedAssociation) -> None:
        connection_id = saved.read_connection_id
        if connection_id and len(connection_id) != self._connection_id_bytes:
            raise ValueError(f"a connection id of {len(connection_id)} bytes, ours have {self._connection_id_bytes}")
        if connection_id in self._associations.connection_ids:
            raise ValueError("the connection id is taken")
        if not connection_id and self._associations.find_at(saved.remote) is not None:
            raise ValueError(f"another association is at {saved.remote}")


def _itself(remote: Remote) -> Hashable:
    return remote

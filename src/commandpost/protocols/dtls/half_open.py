"""Handshakes that have not proved a key: one a remote, few a source, bounded in all.

Only a remote that has shown a cookie gets in here, so a full table is full of real addresses; the oldest handshake
gives way. What happens inside a handshake is `handshaking`'s matter.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from hashlib import sha256
from typing import Final

from commandpost.protocols.dtls.deadlines import DeadlineHeap, Timed
from commandpost.protocols.dtls.events import HandshakeId, Remote
from commandpost.protocols.dtls.handshake_messages import IDENTITY_BYTES_MAX
from commandpost.protocols.dtls.negotiation import Terms
from commandpost.protocols.dtls.outlet import Outlet
from commandpost.protocols.dtls.reassembly import Reassembler
from commandpost.protocols.dtls.records import Record

EARLY_RECORDS_MAX: Final = 2  # a Finished that overtakes ChangeCipherSpec or our keys, and a copy of it
EARLY_RECORD_BYTES_MAX: Final = 256  # a Finished of a CBC suite has 80; room for RFC 9146 padding
FAILED_PROOFS_MAX: Final = 3  # strays are passed over; a client with a wrong key repeats itself and is told in seconds
CLIENT_MESSAGE_BYTES_MAX: Final = IDENTITY_BYTES_MAX + 2  # ClientKeyExchange, the longest that is awaited
FORMER_RANDOMS_MAX: Final = 4  # hellos of one remote that may still be under way, late


class Handshake(Timed):
    """One handshake between the verified hello and the verified Finished."""

    __slots__ = (
        "client_random",
        "connection_id",
        "deadline",
        "early_records",
        "failed_proofs",
        "flight",
        "flight_timeout_s",
        "flight_transmissions",
        "former_randoms",
        "has_change_cipher_spec",
        "has_whole_flight",
        "identity",
        "keys",
        "number",
        "plain_sequence",
        "reassembler",
        "remote",
        "repeats_flight_at",
        "server_random",
        "terms",
        "transcript",
    )

    def __init__(
        self,
        *,
        number: HandshakeId,
        remote: Remote,
        client_random: bytes,
        server_random: bytes,
        terms: Terms,
        connection_id: bytes | None,
        next_message_number: int,
        plain_sequence: int,
        deadline: float,
    ) -> None:
        super().__init__()
        self.number = number
        self.remote = remote
        self.client_random = client_random
        self.former_randoms: tuple[bytes, ...] = ()
        self.server_random = server_random
        self.terms = terms
        self.connection_id = connection_id  # what the client will write to us; None if not negotiated
        self.plain_sequence = plain_sequence  # of the next record in the clear
        self.transcript = sha256()
        self.reassembler = Reassembler(next_number=next_message_number, message_bytes_max=CLIENT_MESSAGE_BYTES_MAX)
        self.flight: tuple[bytes, ...] = ()
        self.flight_transmissions = 0
        self.flight_timeout_s = 0.0
        self.repeats_flight_at: float | None = None
        self.deadline = deadline
        self.identity: bytes | None = None
        self.keys: tuple[tuple[str | None, bytes], ...] = ()
        self.has_change_cipher_spec = False
        self.early_records: list[Record] = []
        self.has_whole_flight = False  # a record among them came in one datagram with the identity
        self.failed_proofs = 0

    def keep_early(self, record: Record, *, is_with_identity: bool) -> None:
        """Keep a protected record until it can be read.

        The first ones win, but one that came with the identity takes the place of the oldest: no stranger can have
        written it.
        """
        if len(record.body) > EARLY_RECORD_BYTES_MAX:
            return
        if is_with_identity:
            self.has_whole_flight = True
            del self.early_records[: -EARLY_RECORDS_MAX + 1]
        if len(self.early_records) < EARLY_RECORDS_MAX:
            self.early_records.append(record)


class HalfOpenTable:
    """All handshakes, and when to look at them again."""

    __slots__ = ("_by_number", "_by_remote", "_by_source", "_outlet", "_source_of", "deadlines")

    def __init__(self, outlet: Outlet, *, source_of: Callable[[Remote], Hashable]) -> None:
        self._outlet = outlet
        self._source_of = source_of
        # Dictionaries keep the order of insertion, so the first is the oldest.
        self._by_remote: dict[Remote, Handshake] = {}
        self._by_number: dict[HandshakeId, Handshake] = {}
        self._by_source: dict[Hashable, dict[Remote, Handshake]] = {}
        self.deadlines = DeadlineHeap()

    def __len__(self) -> int:
        """Count them."""
        return len(self._by_remote)

    def find(self, remote: Remote) -> Handshake | None:
        """Give the handshake of a remote."""
        return self._by_remote.get(remote)

    def find_by_number(self, number: HandshakeId) -> Handshake | None:
        """Give a handshake by its number."""
        return self._by_number.get(number)

    def find_displaced(self, remote: Remote) -> Handshake | None:
        """Give the handshake that must go before one for this remote comes in; None once there is room."""
        if (former := self._by_remote.get(remote)) is not None:
            return former
        siblings = self._by_source.get(self._source_of(remote), {})
        if len(siblings) >= self._outlet.limits.half_open_per_source_max:
            return next(iter(siblings.values()))
        if len(self._by_remote) >= self._outlet.limits.half_open_max:
            return next(iter(self._by_remote.values()))
        return None

    def insert(self, handshake: Handshake) -> None:
        """Take one in."""
        self._by_remote[handshake.remote] = handshake
        self._by_number[handshake.number] = handshake
        self._by_source.setdefault(self._source_of(handshake.remote), {})[handshake.remote] = handshake

    def delete(self, handshake: Handshake) -> None:
        """Forget one."""
        del self._by_remote[handshake.remote]
        del self._by_number[handshake.number]
        source = self._source_of(handshake.remote)
        siblings = self._by_source[source]
        del siblings[handshake.remote]
        if not siblings:
            del self._by_source[source]
        self.deadlines.cancel(handshake)

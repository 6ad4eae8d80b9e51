"""One association, and the record of it that survives a restart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from commandpost.protocols.dtls.deadlines import Timed
from commandpost.protocols.dtls.events import AssociationId, Remote
from commandpost.protocols.dtls.record_protection import Protection, WriteKeys
from commandpost.protocols.dtls.registries import PLAINTEXT_BYTES_MAX, SEQUENCE_MAX
from commandpost.protocols.dtls.traffic import PROTECTED_EPOCH, Traffic


class FinalFlight(NamedTuple):
    """What is needed to repeat ChangeCipherSpec and Finished, until the client shows that it has them."""

    finished: bytes
    plain_sequence: int
    client_random: bytes


class Association(Timed):
    """A peer that has proved a key. `wake_at` is when it will have been idle for too long."""

    __slots__ = (
        "exported_read",
        "final_flight",
        "has_connection_id",
        "held",
        "identity",
        "label",
        "number",
        "remote",
        "reserved_upto",
        "saved_read",
        "traffic",
        "wanted_upto",
    )

    def __init__(
        self,
        *,
        number: AssociationId,
        remote: Remote,
        identity: bytes,
        label: str,
        traffic: Traffic,
        reserved_upto: int,
        final_flight: FinalFlight | None = None,
    ) -> None:
        super().__init__()
        self.number = number
        self.remote = remote
        self.identity = identity
        self.label = label
        self.traffic = traffic
        self.has_connection_id = bool(traffic.read_connection_id)
        self.final_flight = final_flight
        self.reserved_upto = reserved_upto  # the first write sequence number that may not be used yet
        self.wanted_upto: int | None = None  # what the owner has been asked to put on disk
        self.exported_read = self.saved_read = traffic.window.newest
        self.held: list[bytes] | None = None  # payloads that wait for a reservation


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedAssociation:
    """An association as it is kept over a restart. Seal it before it is written: it holds the traffic keys.

    Attributes:
        read_keys, write_keys: those of the client and of the server; not in the repr.
        read_connection_id: empty if the client's records carry none.
        write_sequence: where writing goes on. Every number below it may have been used.
        read_sequence: the newest record seen, -1 for none. Only newer ones are accepted later, so one that
            arrived after the save and before a crash can be replayed once.
    """

    remote: Remote
    identity: bytes
    label: str
    protection: Protection
    epoch: int = PROTECTED_EPOCH
    read_keys: WriteKeys = field(repr=False)
    write_keys: WriteKeys = field(repr=False)
    read_connection_id: bytes = b""
    write_connection_id: bytes = b""
    write_sequence: int
    read_sequence: int
    fragment_bytes_max: int = PLAINTEXT_BYTES_MAX

    def __post_init__(self) -> None:
        """Refuse what no association can have been."""
        if self.epoch != PROTECTED_EPOCH:
            raise ValueError(f"an association is in epoch {PROTECTED_EPOCH}, not {self.epoch}")
        if not 0 <= self.write_sequence <= SEQUENCE_MAX + 1 or not -1 <= self.read_sequence <= SEQUENCE_MAX:
            raise ValueError(f"sequence numbers have 48 bits: {self.write_sequence}, {self.read_sequence}")
        salt_bytes = self.protection.key_block_bytes // 2 - 16
        for keys in (self.read_keys, self.write_keys):
            if len(keys.key) != 16 or len(keys.salt) != salt_bytes:
                raise ValueError(f"keys of the wrong length for {self.protection.name}")

"""What the server tells its owner. No event holds a secret."""

from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum
from typing import NewType, TypeAlias

Remote: TypeAlias = Hashable
"""Network address of a peer; opaque, but its `repr` must be stable and tell any two apart: cookies are bound to it."""

AssociationId = NewType("AssociationId", int)
"""One association, as long as it lives; never used again in the life of the server object."""

HandshakeId = NewType("HandshakeId", int)
"""One handshake that waits for keys."""


class CloseReason(Enum):
    """Why an association ended."""

    CLOSED_HERE = "closed_here"
    """The owner called `close`."""
    CLOSED_BY_PEER = "closed_by_peer"
    """The peer sent close_notify."""
    FAILED_BY_PEER = "failed_by_peer"
    """The peer sent a fatal alert, under the keys of the association."""
    REPLACED = "replaced"
    """A new handshake from the same remote has proved itself (RFC 6347 section 4.2.8)."""
    IDLE = "idle"
    """Nothing authentic was heard for the idle timeout."""
    EVICTED = "evicted"
    """The table was full and this one had been silent for longest."""
    EXHAUSTED = "exhausted"
    """The last of its 2**48 sequence numbers has been used."""


class HandshakeEnd(Enum):
    """Why a handshake that had asked for keys opened no association."""

    NOT_PROVEN = "not_proven"
    """No key offered fits the client's Finished: wrong key or unknown identity, which look the same outside."""
    TIMED_OUT = "timed_out"
    """It was not finished in time."""
    DISPLACED = "displaced"
    """A newer handshake of the same remote, or a full table, took its place."""


@dataclass(frozen=True, slots=True)
class KeysWanted:
    """A client claims an identity. Answer with `offer_keys`, now or later, also when the identity is unknown."""

    handle: HandshakeId
    remote: Remote
    identity: bytes


@dataclass(frozen=True, slots=True)
class HandshakeFailed:
    """The end of a handshake for which keys were wanted and no association opened."""

    handle: HandshakeId
    remote: Remote
    identity: bytes
    reason: HandshakeEnd


@dataclass(frozen=True, slots=True)
class AssociationOpened:
    """A client has proved that it holds the key with this label."""

    association: AssociationId
    remote: Remote
    identity: bytes
    label: str


@dataclass(frozen=True, slots=True)
class DataReceived:
    """An authentic payload, never a replay."""

    association: AssociationId
    payload: bytes


@dataclass(frozen=True, slots=True)
class RemoteChanged:
    """The peer has moved; told before the data that came from the new place."""

    association: AssociationId
    remote: Remote


@dataclass(frozen=True, slots=True)
class ReservationWanted:
    """Save `export(association)`, then call `reserve` with this bound. Asked again only after that."""

    association: AssociationId
    upto: int


@dataclass(frozen=True, slots=True)
class AssociationClosed:
    """The end of an association; exactly one follows every AssociationOpened and `restore`."""

    association: AssociationId
    reason: CloseReason


Event: TypeAlias = (
    KeysWanted
    | HandshakeFailed
    | AssociationOpened
    | DataReceived
    | RemoteChanged
    | ReservationWanted
    | AssociationClosed
)

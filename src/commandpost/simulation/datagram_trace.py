"""What crossed a network, and when: a hash of everything, and the newest entries to read.

Two runs that are the same leave the same hash; the first entry in which two runs differ is what went astray.
"""

import struct
from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final

from commandpost.domain.session import Remote

ENTRIES_KEPT_DEFAULT: Final = 0  # a hash costs no memory; a list is asked for
_MICROSECONDS: Final = 1_000_000


class Passage(IntEnum):
    """What happened to a datagram."""

    SENT = 1
    DELIVERED = 2
    LOST = 3
    """By chance, by a cut, or because it was too large."""
    DEAD = 4
    """It arrived, and nobody was there."""
    OVERFLOWED = 5
    """More datagrams were under way than the network holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceEntry:
    """One thing that happened to one datagram."""

    at_us: int
    passage: Passage
    source: Remote
    destination: Remote
    datagram: bytes

    def __str__(self) -> str:
        """Give one line for a person."""
        return (
            f"{self.at_us / _MICROSECONDS:.6f} {self.passage.name} {self.source.hex()} > {self.destination.hex()}"
            f" {self.datagram.hex()}"
        )


class DatagramTrace:
    """Takes what happens in order."""

    def __init__(self, *, entries_kept_max: int = ENTRIES_KEPT_DEFAULT) -> None:
        """Keep so many of the newest entries beside the hash."""
        self._hash = sha256()
        self._entries: deque[TraceEntry] = deque(maxlen=entries_kept_max)
        self._keeps = entries_kept_max > 0
        self.counts: dict[Passage, int] = dict.fromkeys(Passage, 0)

    def record(self, at_s: float, passage: Passage, source: Remote, destination: Remote, datagram: bytes) -> None:
        """Add one entry."""
        at_us = round(at_s * _MICROSECONDS)
        head = struct.pack(">QBBBH", at_us, passage, len(source), len(destination), len(datagram))
        self._hash.update(head + source + destination + datagram)
        self.counts[passage] += 1
        if self._keeps:
            self._entries.append(
                TraceEntry(at_us=at_us, passage=passage, source=source, destination=destination, datagram=datagram)
            )

    @property
    def entries(self) -> tuple[TraceEntry, ...]:
        """The newest entries, oldest first."""
        return tuple(self._entries)

    def hexdigest(self) -> str:
        """Give the hash of everything so far."""
        return self._hash.hexdigest()

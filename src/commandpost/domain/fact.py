"""What every fact has: its class of work, and its weight. The facts themselves are in `facts` and its neighbours.

Design section 4.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final, Generic, TypeVar

ROWS_PER_UNIT: Final = 4  # a row among others costs about a quarter of a fact on its own (measured)
BYTES_PER_UNIT: Final = 8_192  # 3 MB take 8 ms: two pages of the database cost as much as a fact (measured)

ResultT = TypeVar("ResultT", covariant=True)


class Priority(IntEnum):
    """The writer's classes of work (design 4)."""

    GATE = 0
    """Gates a reply or a datagram: claims, outcomes, registrations."""
    ACCEPT = 1
    """A new command: refused early under overload."""
    BEHIND = 2
    """Nobody waits: addresses, logs of instant commands, expiry, pruning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact(Generic[ResultT]):
    """Base of all facts."""

    priority: ClassVar[Priority] = Priority.GATE

    @property
    def units(self) -> int:
        """What it costs to write, in facts that touch a row or a few: by this a batch is kept short."""
        return 1


def units_of_rows(rows: int) -> int:
    """Give what a fact costs that touches so many rows."""
    return max(1, rows // ROWS_PER_UNIT)


def units_of_bytes(size: int) -> int:
    """Give what a fact costs that writes so many bytes in one piece."""
    return 1 + size // BYTES_PER_UNIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a slice of a sweep has done."""

    count: int
    """Of whatever the sweep counts."""
    has_more: bool
    """The slice was full, of one kind of thing at least: another may find more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep(Fact[Swept]):
    """Work that nobody waits for, in slices of up to `limit` rows; the next follows at once while there is more."""

    priority: ClassVar[Priority] = Priority.BEHIND
    limit: int

    @property
    def units(self) -> int:
        """A full slice's."""
        return units_of_rows(self.limit)

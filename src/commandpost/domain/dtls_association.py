"""A device's DTLS association as it is kept over a restart: facts about it, and the question for all of them.

What is inside is the transport's alone, and sealed; but for how far the peer's records were read, which changes with
every record and is no secret. Source: design 10.1; southbound reference 4.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from commandpost.domain.facts import Fact, Priority
from commandpost.domain.ids import DeviceId
from commandpost.domain.instant import Instant
from commandpost.domain.session import Remote


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAssociation:
    """One association; sessions know it by its `remote`."""

    remote: Remote
    device_id: DeviceId
    sealed_state: bytes = field(repr=False)
    saved_at: Instant
    read_next: int = 0
    """The number after the newest record that was read; what is in the state may be newer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAssociation(Fact[bool]):
    """Put an association on disk in place of what was there of it; False when the device is gone."""

    association: KeptAssociation


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMark:
    """How far the records of an association's peer were read, and when."""

    remote: Remote
    read_next: int
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteRead(Fact[bool]):
    """Raise an association's mark, behind everything else; a lower one is passed over. False when it is not on disk."""

    priority: ClassVar[Priority] = Priority.BEHIND
    mark: ReadMark


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleRead(Fact[bool]):
    """As NoteRead, in one commit with what a record brought or in an earlier one."""

    mark: ReadMark


@dataclass(frozen=True, slots=True, kw_only=True)
class DropAssociation(Fact[None]):
    """Forget an association; harmless when it is not there."""

    remote: Remote


class AssociationReader(Protocol):
    """Answers from what is committed."""

    async def list_associations(self, *, after: Remote, limit: int) -> tuple[KeptAssociation, ...]:
        """Associations with a `remote` above `after` (bytewise), by `remote`."""
        ...

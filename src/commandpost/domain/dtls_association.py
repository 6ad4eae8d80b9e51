"""A device's DTLS association as it is kept over a restart: facts about it, and the question for all of them.

What is inside is the transport's alone, and sealed. Source: design 10.1; southbound reference 4.
"""

from dataclasses import dataclass, field
from typing import Protocol

from commandpost.domain.facts import Fact
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


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAssociation(Fact[bool]):
    """Put an association on disk in place of what was there of it; False when the device is gone."""

    association: KeptAssociation


@dataclass(frozen=True, slots=True, kw_only=True)
class DropAssociation(Fact[None]):
    """Forget an association; harmless when it is not there."""

    remote: Remote


class AssociationReader(Protocol):
    """Answers from what is committed."""

    async def list_associations(self, *, after: Remote, limit: int) -> tuple[KeptAssociation, ...]:
        """Associations with a `remote` above `after` (bytewise), by `remote`."""
        ...

"""Facts and the question about kept DTLS associations, in memory."""

from dataclasses import replace

from commandpost.domain.dtls_association import (
    DropAssociation,
    KeepAssociation,
    KeptAssociation,
    NoteRead,
    SettleRead,
)
from commandpost.domain.ids import DeviceId
from commandpost.domain.session import Remote
from commandpost.stores.batch_store import FactHandlers
from commandpost.stores.memory.questions import Questions
from commandpost.stores.memory.state import MemoryState


class AssociationFacts:
    """Applies the facts about associations to a state."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def handlers(self) -> FactHandlers:
        """Which method applies which fact."""
        return {
            KeepAssociation: self._keep,
            NoteRead: self._raise_mark,
            SettleRead: self._raise_mark,
            DropAssociation: self._drop,
        }

    def forget_device(self, device_id: DeviceId) -> None:
        """A device is deleted, or its keys are others: what was proved with the old ones proves nothing."""
        kept = self._state.associations
        self._state.associations = {remote: each for remote, each in kept.items() if each.device_id != device_id}

    def _keep(self, fact: KeepAssociation) -> bool:
        kept = fact.association
        if kept.device_id not in self._state.devices:
            return False
        before = self._state.associations.get(kept.remote, kept)
        self._state.associations[kept.remote] = replace(kept, read_next=max(kept.read_next, before.read_next))
        return True

    def _raise_mark(self, fact: NoteRead | SettleRead) -> bool:
        mark = fact.mark
        kept = self._state.associations.get(mark.remote)
        if kept is None:
            return False
        self._state.associations[mark.remote] = replace(
            kept, read_next=max(kept.read_next, mark.read_next), saved_at=max(kept.saved_at, mark.at)
        )
        return True

    def _drop(self, fact: DropAssociation) -> None:
        self._state.associations.pop(fact.remote, None)


class MemoryAssociationReader(Questions):
    """An AssociationReader over a state."""

    async def list_associations(self, *, after: Remote, limit: int) -> tuple[KeptAssociation, ...]:
        """Associations with a `remote` above `after` (bytewise), by `remote`."""
        kept = self._state.associations
        return tuple(kept[remote] for remote in sorted(kept) if remote > after)[:limit]

"""Facts and the question about kept DTLS associations, in memory."""

from commandpost.domain.dtls_association import DropAssociation, KeepAssociation, KeptAssociation
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
        return {KeepAssociation: self._keep, DropAssociation: self._drop}

    def forget_device(self, device_id: DeviceId) -> None:
        """A device is deleted, or its keys are others: what was proved with the old ones proves nothing."""
        kept = self._state.associations
        self._state.associations = {remote: each for remote, each in kept.items() if each.device_id != device_id}

    def _keep(self, fact: KeepAssociation) -> bool:
        if fact.association.device_id not in self._state.devices:
            return False
        self._state.associations[fact.association.remote] = fact.association
        return True

    def _drop(self, fact: DropAssociation) -> None:
        self._state.associations.pop(fact.remote, None)


class MemoryAssociationReader(Questions):
    """An AssociationReader over a state."""

    async def list_associations(self, *, after: Remote, limit: int) -> tuple[KeptAssociation, ...]:
        """Associations with a `remote` above `after` (bytewise), by `remote`."""
        kept = self._state.associations
        return tuple(kept[remote] for remote in sorted(kept) if remote > after)[:limit]

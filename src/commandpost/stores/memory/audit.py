"""Facts and the question about the audit, in memory."""

from commandpost.domain.audit import AppendAudit, PruneAudit, StoredAuditEntry
from commandpost.domain.fact import Swept
from commandpost.domain.ids import ProductId
from commandpost.stores.batch_store import FactHandlers
from commandpost.stores.memory.questions import Questions
from commandpost.stores.memory.state import MemoryState


class AuditFacts:
    """Applies the facts about the audit to a state."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    def handlers(self) -> FactHandlers:
        """Which method applies which fact."""
        return {AppendAudit: self._append, PruneAudit: self._prune}

    def _append(self, fact: AppendAudit) -> None:
        for entry in fact.entries:
            self._state.last_audit_number += 1
            self._state.audit.append(StoredAuditEntry(number=self._state.last_audit_number, entry=entry))

    def _prune(self, fact: PruneAudit) -> Swept:
        kept_from = self._state.last_audit_number - fact.rows_max
        oldest = self._state.audit[: fact.limit]
        left = [each for each in oldest if each.entry.at >= fact.before and each.number > kept_from]
        self._state.audit[: fact.limit] = left
        count = len(oldest) - len(left)
        return Swept(count=count, has_more=count >= fact.limit)


class MemoryAuditReader(Questions):
    """An AuditReader over a state."""

    async def list_audit(
        self, product_id: ProductId | None, *, before_number: int | None, limit: int
    ) -> tuple[StoredAuditEntry, ...]:
        """Entries of a product, or all there are, newest first."""
        matches = [
            each
            for each in reversed(self._state.audit)
            if product_id in (None, each.entry.product_id) and (before_number is None or each.number < before_number)
        ]
        return tuple(matches[:limit])

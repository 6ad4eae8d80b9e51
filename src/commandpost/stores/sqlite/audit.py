"""Facts and the question about the audit, on SQLite."""

import sqlite3

from commandpost.domain.audit import AppendAudit, PruneAudit, StoredAuditEntry
from commandpost.domain.fact import Swept
from commandpost.domain.ids import ID_MAX, ProductId
from commandpost.stores.audit_rows import entry_from_row, entry_to_row
from commandpost.stores.batch_store import FactHandlers
from commandpost.stores.sqlite.queries import load_queries
from commandpost.stores.sqlite.questions import Questions


class AuditFacts:
    """Applies the facts about the audit, inside the transaction the store has begun."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._sql = load_queries("audit.sql")

    def handlers(self) -> FactHandlers:
        """Which method applies which fact."""
        return {AppendAudit: self._append, PruneAudit: self._prune}

    def _append(self, fact: AppendAudit) -> None:
        self._connection.executemany(self._sql["insert_entry"], [entry_to_row(entry) for entry in fact.entries])

    def _prune(self, fact: PruneAudit) -> Swept:
        conditions = {"before": fact.before, "rows_max": fact.rows_max, "limit": fact.limit}
        count = self._connection.execute(self._sql["prune_entries"], conditions).rowcount
        return Swept(count=count, has_more=count >= fact.limit)


class SqliteAuditReader(Questions):
    """An AuditReader over a connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._audit = load_queries("audit.sql")

    async def list_audit(
        self, product_id: ProductId | None, *, before_number: int | None, limit: int
    ) -> tuple[StoredAuditEntry, ...]:
        """Entries of a product, or all there are, newest first."""
        name = "list_entries" if product_id is None else "list_entries_of_product"
        before = ID_MAX if before_number is None else before_number
        conditions = {"product_id": product_id, "before_number": before, "limit": limit}
        return tuple(entry_from_row(row) for row in self._rows(self._audit[name], conditions))

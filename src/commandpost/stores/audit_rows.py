"""Row <-> record for the audit."""

from commandpost.domain.audit import Actor, AuditEntry, StoredAuditEntry
from commandpost.stores.errors import RowCorrupt
from commandpost.stores.rows import Row


def entry_to_row(entry: AuditEntry) -> Row:
    """Give the columns of an entry after its number."""
    return (
        entry.at,
        entry.product_id,
        entry.actor.value,
        entry.key_title,
        entry.action,
        entry.target,
        entry.remote,
        entry.result,
        entry.times,
    )


def entry_from_row(row: Row) -> StoredAuditEntry:
    """Read an entry: its number, then the columns of `entry_to_row`."""
    try:
        actor = Actor(row[3])
    except ValueError:
        raise RowCorrupt(f"{row[3]!r} is no Actor") from None
    entry = AuditEntry(
        at=row[1],
        product_id=row[2],
        actor=actor,
        key_title=row[4],
        action=row[5],
        target=row[6],
        remote=row[7],
        result=row[8],
        times=row[9],
    )
    return StoredAuditEntry(number=row[0], entry=entry)

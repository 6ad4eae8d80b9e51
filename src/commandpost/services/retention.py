"""What is let go of because it has grown old, or because what it belonged to is gone, and after how long.

Each is a sweep of its own, so that none holds up another. Not here: who performs them (maintenance.Sweeper).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from commandpost.domain.audit import PruneAudit
from commandpost.domain.data_facts import PruneData, PruneOrphans
from commandpost.domain.facts import PruneCommands, PruneOldKeys
from commandpost.domain.instant import DAY_MS, Instant
from commandpost.domain.push_facts import PrunePushes
from commandpost.domain.topic_facts import PruneTopics
from commandpost.services.maintenance import SliceAt

SLICE_ROWS: Final = 500  # design 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long what is kept."""

    commands_ms: int = 180 * DAY_MS
    """Northbound reference 5.11. Results that could not be pushed are kept as long."""
    data_ms: int = 180 * DAY_MS
    audit_ms: int = 180 * DAY_MS
    audit_rows_max: int = 1_000_000
    """Some 150 MB."""


def prunings(retention: Retention) -> Mapping[str, SliceAt]:
    """Give every sweep that lets go of something, by name."""

    def before(now: Instant, kept_ms: int) -> Instant:
        return Instant(now - kept_ms)

    return {
        "prune_commands": lambda now: PruneCommands(
            created_before=before(now, retention.commands_ms), limit=SLICE_ROWS
        ),
        "prune_pushes": lambda now: PrunePushes(given_up_before=before(now, retention.commands_ms), limit=SLICE_ROWS),
        "prune_data": lambda now: PruneData(received_before=before(now, retention.data_ms), limit=SLICE_ROWS),
        "prune_orphans": lambda _: PruneOrphans(limit=SLICE_ROWS),
        "prune_topics": lambda now: PruneTopics(now=now, limit=SLICE_ROWS),
        "prune_audit": lambda now: PruneAudit(
            before=before(now, retention.audit_ms), rows_max=retention.audit_rows_max, limit=SLICE_ROWS
        ),
        "prune_old_keys": lambda now: PruneOldKeys(expired_before=now, limit=SLICE_ROWS),
    }


class BrokerSweeper:
    """A duty: lets the broker's memory go of sessions that have expired; the disk is pruned apart."""

    name = "broker_sweeper"

    def __init__(self, *, sweep: Callable[[], object], interval_s: float = 60.0) -> None:
        self._sweep = sweep
        self.interval_s = interval_s

    async def tick(self) -> bool:
        """Sweep once."""
        self._sweep()
        return False

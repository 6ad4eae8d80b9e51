"""What devices, subscriptions and triggers that are gone have left of pushing, and how it goes from the disk.

Whatever it is, one note says that nobody owns it any more; its rows go in slices, for there may be a day's worth of
them. Who reads comes by the device, the subscription or the trigger, and finds nothing.
"""

import sqlite3
from typing import Final

from commandpost.domain.fact import Swept
from commandpost.domain.ids import DeviceId
from commandpost.domain.push_facts import PrunePushes
from commandpost.stores.batch_store import SLICE_ROWS_MAX, FactHandlers
from commandpost.stores.sqlite.queries import load_queries

_KINDS: Final = (
    ("next_queue", ("delete_events_of_queue", "delete_failures_of_queue"), "queue_is_gone"),
    (
        "next_subscription",
        ("delete_events_of_subscription", "delete_failures_of_subscription", "delete_queues_of_subscription"),
        "subscription_is_gone",
    ),
    ("next_memory", ("delete_memory",), "memory_is_gone"),
)
"""Of each kind: the query for one that is noted, what removes some of its rows, and what removes the note."""


class PushLeftovers:
    """Notes what has lost its owner, and removes it, inside the transaction the store has begun."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._execute = connection.execute
        self._sql = load_queries("push_leftovers.sql")

    def handlers(self) -> FactHandlers:
        """Which method applies which fact."""
        return {PrunePushes: self._prune}

    def forget_device(self, device_id: DeviceId) -> None:
        """A device is about to be deleted: what was to be told of it goes in slices, what is bounded at once."""
        for name in ("orphan_queues_of", "delete_queues_of", "delete_memory_of"):
            self._execute(self._sql[name], {"device_id": device_id})

    def purge_device(self, device_id: DeviceId) -> None:
        """A device is made with an id that somebody chose: nothing that another one left may become its own."""
        for place in self._execute(self._sql["queues_left_of"], (device_id,)).fetchall():
            for name in ("delete_events_of_queue", "delete_failures_of_queue"):
                self._execute(self._sql[name], (*place, -1))
            self._execute(self._sql["queue_is_gone"], place)

    def _prune(self, fact: PrunePushes) -> Swept:
        limit = min(fact.limit, SLICE_ROWS_MAX)
        left = limit - self._execute(self._sql["prune_failures"], (fact.given_up_before, limit)).rowcount
        for kind in _KINDS:
            left = self._sweep(left, *kind)
        return Swept(count=limit - left, has_more=left <= 0)

    def _sweep(self, left: int, next_one: str, deletions: tuple[str, ...], is_gone: str) -> int:
        """Remove rows of one kind while there is room in the slice; gives the room that is left."""
        while left > 0 and (place := self._execute(self._sql[next_one]).fetchone()) is not None:
            for name in deletions:
                left -= self._execute(self._sql[name], (*place, left)).rowcount
                if left <= 0:
                    return left
            left -= self._execute(self._sql[is_gone], place).rowcount
        return left

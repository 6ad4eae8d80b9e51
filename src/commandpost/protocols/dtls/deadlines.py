"""What waits for a time: one heap, cheap to postpone.

Postponing only notes the new time; the heap entry moves when it surfaces. An association that hears a record a second
for its whole life so moves its entry once an idle timeout, not once a second.
"""

from heapq import heapify, heappop, heappush, heapreplace

_STALE_SLACK = 64  # stale entries that are not worth a rebuild


class Timed:
    """Something that wants to be woken; `wake_at` is None while it does not."""

    __slots__ = ("entry_at", "wake_at")

    def __init__(self) -> None:
        self.wake_at: float | None = None
        self.entry_at: float | None = None  # the time on its one entry that counts


class DeadlineHeap:
    """Timed things by time; equal times in the order they were set."""

    __slots__ = ("_entries", "_number", "_stale")

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Timed]] = []
        self._number = 0
        self._stale = 0

    def __len__(self) -> int:
        """Count entries, stale ones too."""
        return len(self._entries)

    def set(self, timed: Timed, wake_at: float) -> None:
        """Wake it at that time instead of any other it had."""
        timed.wake_at = wake_at
        if timed.entry_at is not None:
            if timed.entry_at <= wake_at:
                return
            self._stale += 1
        self._push(timed, wake_at)

    def cancel(self, timed: Timed) -> None:
        """Do not wake it."""
        timed.wake_at = None
        if timed.entry_at is not None:
            timed.entry_at = None
            self._stale += 1
            self._rebuild_if_stale()

    def next_at(self) -> float | None:
        """Give the earliest time anything waits for."""
        self._settle()
        return self._entries[0][0] if self._entries else None

    def pop_due(self, now: float) -> Timed | None:
        """Give one whose time has come, which then waits for nothing; or None."""
        self._settle()
        if not self._entries or self._entries[0][0] > now:
            return None
        return self.pop_earliest()

    def pop_earliest(self) -> Timed | None:
        """Give the one with the earliest time, due or not, which then waits for nothing; or None."""
        self._settle()
        if not self._entries:
            return None
        timed = heappop(self._entries)[2]
        timed.wake_at = timed.entry_at = None
        return timed

    def _push(self, timed: Timed, wake_at: float) -> None:
        self._number += 1
        timed.entry_at = wake_at
        heappush(self._entries, (wake_at, self._number, timed))
        self._rebuild_if_stale()

    def _settle(self) -> None:
        """Bring an entry to the top that means what it says."""
        entries = self._entries
        while entries:
            at, _, timed = entries[0]
            if timed.entry_at != at or timed.wake_at is None:
                heappop(entries)
                self._stale -= 1
            elif timed.wake_at > at:
                self._number += 1
                timed.entry_at = timed.wake_at
                heapreplace(entries, (timed.wake_at, self._number, timed))
            else:
                return

    def _rebuild_if_stale(self) -> None:
        if self._stale <= _STALE_SLACK or self._stale * 2 <= len(self._entries):
            return
        live: dict[int, tuple[float, int, Timed]] = {}
        for entry in self._entries:
            if entry[2].entry_at == entry[0]:
                live[id(entry[2])] = entry
        self._entries = list(live.values())
        heapify(self._entries)
        self._stale = 0

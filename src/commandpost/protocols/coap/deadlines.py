"""What waits for a time: one heap, with entries that may have become stale.

Moving or cancelling a timer leaves its old entry behind; entries are compared with the timer when they surface, and
the heap is rebuilt when more than half of it is stale.
"""

from heapq import heapify, heappop, heappush

_STALE_SLACK = 64  # stale entries that are not worth a rebuild


class Timer:
    """Something that wants to be woken; None while it does not."""

    __slots__ = ("entry_number", "wake_at")

    def __init__(self) -> None:
        self.wake_at: float | None = None
        self.entry_number = -1


class DeadlineHeap:
    """Timers by time; equal times in the order they were set."""

    __slots__ = ("_entries", "_number", "_stale")

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Timer]] = []
        self._number = 0
        self._stale = 0

    def __len__(self) -> int:
        """Count entries, stale ones too."""
        return len(self._entries)

    def set(self, timer: Timer, wake_at: float) -> None:
        """Wake the timer at that time instead of any other it had."""
        if timer.wake_at is not None:
            self.cancel(timer)
        self._number += 1
        timer.wake_at = wake_at
        timer.entry_number = self._number
        heappush(self._entries, (wake_at, self._number, timer))

    def cancel(self, timer: Timer) -> None:
        """Do not wake the timer."""
        if timer.wake_at is None:
            return
        timer.wake_at = None
        self._stale += 1
        if self._stale > _STALE_SLACK and self._stale * 2 > len(self._entries):
            self._entries = [entry for entry in self._entries if self._is_live(entry)]
            heapify(self._entries)
            self._stale = 0

    def next_at(self) -> float | None:
        """Give the earliest time anything waits for."""
        entries = self._entries
        while entries:
            if self._is_live(entries[0]):
                return entries[0][0]
            heappop(entries)
            self._stale -= 1
        return None

    def pop_due(self, now: float) -> Timer | None:
        """Give a timer whose time has come, which then waits for nothing; or None."""
        wake_at = self.next_at()
        if wake_at is None or wake_at > now:
            return None
        timer = heappop(self._entries)[2]
        timer.wake_at = None
        return timer

    @staticmethod
    def _is_live(entry: tuple[float, int, Timer]) -> bool:
        timer = entry[2]
        return timer.wake_at is not None and timer.entry_number == entry[1]

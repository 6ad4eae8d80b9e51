"""Reports that wait for their owner's word, in the order in which they came. Source: southbound reference 6.6."""

from commandpost.protocols.edp.events import SaveHandle
from commandpost.protocols.edp.limits import EdpLimits


class SaveQueue:
    """Keeps the order of acknowledgements, and how much waits for one."""

    __slots__ = ("_waiting", "_waiting_bytes")

    def __init__(self) -> None:
        self._waiting: list[SaveHandle] = []
        self._waiting_bytes = 0

    def is_full(self, limits: EdpLimits) -> bool:
        """Tell whether as much waits as may."""
        waiting = len(self._waiting)
        return waiting >= limits.unacknowledged_saves_max or self._waiting_bytes >= limits.unacknowledged_bytes_max

    def add(self, message_id: int | None, payload_bytes: int) -> SaveHandle:
        """Let one more wait."""
        handle = SaveHandle(message_id, payload_bytes)
        self._waiting.append(handle)
        self._waiting_bytes += payload_bytes
        return handle

    def settle(self, handle: SaveHandle, *, is_saved: bool) -> list[SaveHandle]:
        """Take the owner's word on one; give those that need not wait for an earlier one any more, in order."""
        handle.is_saved = is_saved
        waiting = self._waiting
        count = 0
        while count < len(waiting) and waiting[count].is_saved is not None:
            self._waiting_bytes -= waiting[count].payload_bytes
            count += 1
        settled = waiting[:count]
        del waiting[:count]
        return settled

    def clear(self) -> None:
        """Forget everything: there is nobody to tell."""
        self._waiting.clear()
        self._waiting_bytes = 0

"""The memory that the streams of all devices may hold together: messages that are not whole, and reports that are not
on disk.

Not here: what one connection may hold (the limits of its engine), what is written and not taken (stream_peer).
"""

from typing import Final

# A store that stalls fills the share of the reports. The rest is for messages in two pieces: without it the next of
# those would end its connection, whoever sent it.
REPORTS_SHARE: Final = 0.75


class MemoryBudget:
    """Counts what is held; who asks keeps what it was told."""

    def __init__(self, *, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.held_bytes = 0
        self._reports_bytes_max = int(bytes_max * REPORTS_SHARE)

    def change(self, before: int, after: int) -> bool:
        """Note what one connection holds now; False: that is more than there is, and the connection has to go."""
        self.held_bytes += after - before
        return after <= before or self.held_bytes <= self.bytes_max

    def reserve(self, size: int) -> bool:
        """Hold so many bytes for a report until `release`; False: there is no room, and none are held."""
        if self.held_bytes + size > self._reports_bytes_max:
            return False
        self.held_bytes += size
        return True

    def release(self, size: int) -> None:
        """Hold what was reserved no more."""
        self.held_bytes -= size

"""Which records of an epoch have been seen. Source: RFC 6347 section 4.1.2.6."""

from typing import Final

WINDOW_RECORDS: Final = 64  # RFC 6347 section 4.1.2.6: preferred
_WINDOW_MASK: Final = (1 << WINDOW_RECORDS) - 1


class ReplayWindow:
    """The newest sequence number and a bit for each of the 64 up to it.

    Look with `has_seen` before the record is checked, and call `note` only after its protection has held.
    """

    __slots__ = ("_mask", "newest")

    def __init__(self, *, newest: int = -1) -> None:
        """Begin with nothing seen, or with everything up to newest."""
        self.newest = newest
        self._mask = _WINDOW_MASK if newest >= 0 else 0

    def has_seen(self, sequence: int) -> bool:
        """Tell whether the record is a duplicate, or too old to know."""
        age = self.newest - sequence
        return age >= 0 and (age >= WINDOW_RECORDS or bool(self._mask >> age & 1))

    def note(self, sequence: int) -> bool:
        """Note an authentic record; tell whether it is newer than every one before."""
        ahead = sequence - self.newest
        if ahead <= 0:
            self._mask |= 1 << -ahead
            return False
        # A gap of the whole window forgets everything; shifting by it would build a number as long as the gap.
        self._mask = (self._mask << ahead | 1) & _WINDOW_MASK if ahead < WINDOW_RECORDS else 1
        self.newest = sequence
        return True

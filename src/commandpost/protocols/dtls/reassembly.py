"""Putting handshake messages together: fragments in any order, repeated, overlapping, lost.

Source: RFC 6347 sections 4.2.2 and 4.2.3.
"""

from typing import Final

from commandpost.protocols.dtls.handshake_messages import Fragment

MESSAGES_AHEAD_MAX: Final = 3  # the longest flight to either side has three messages


class _Partial:
    """A message of which something is missing."""

    __slots__ = ("body", "message_type", "present")

    def __init__(self, message_type: int, message_bytes: int) -> None:
        self.message_type = message_type
        self.body = bytearray(message_bytes)
        self.present = bytearray(message_bytes)

    def add(self, fragment: Fragment) -> None:
        """Take a fragment; one that contradicts what is here is dropped whole."""
        end = fragment.offset + len(fragment.body)
        if fragment.message_type != self.message_type or fragment.message_bytes != len(self.body):
            return
        present = self.present
        if any(present[fragment.offset : end]):
            for position, byte in enumerate(fragment.body, start=fragment.offset):
                if present[position] and self.body[position] != byte:
                    return
        self.body[fragment.offset : end] = fragment.body
        present[fragment.offset : end] = b"\1" * len(fragment.body)

    @property
    def is_whole(self) -> bool:
        return 0 not in self.present


class Reassembler:
    """The messages of one direction, in order of their numbers, within bounds."""

    __slots__ = ("_message_bytes_max", "_partials", "next_number")

    def __init__(self, *, next_number: int, message_bytes_max: int) -> None:
        """Begin before the message with that number; longer ones than message_bytes_max are dropped."""
        self.next_number = next_number
        self._message_bytes_max = message_bytes_max
        self._partials: dict[int, _Partial] = {}

    def add(self, fragment: Fragment) -> None:
        """Keep a fragment if it belongs to a message that is still to come and close enough."""
        number = fragment.message_number
        if not self.next_number <= number < self.next_number + MESSAGES_AHEAD_MAX:
            return
        if fragment.message_bytes > self._message_bytes_max:
            return
        partial = self._partials.get(number)
        if partial is None:
            partial = self._partials[number] = _Partial(fragment.message_type, fragment.message_bytes)
        partial.add(fragment)

    def next_message(self) -> tuple[int, int, bytes] | None:
        """Give number, type and body of the next message in order, once it is whole."""
        partial = self._partials.get(self.next_number)
        if partial is None or not partial.is_whole:
            return None
        del self._partials[self.next_number]
        self.next_number += 1
        return self.next_number - 1, partial.message_type, bytes(partial.body)

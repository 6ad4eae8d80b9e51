"""Which messages have been seen, and what was answered: a duplicate gets the same answer and is not processed again.

Source: RFC 7252 section 4.5, with a wider key: devices restart with the same message ids from the same address, so
token and code count too. The first bytes of a datagram (type, token length, code, message id, token) are that key.

Memory is the point here. An answer is one bytes object: when it ends (8 bytes), the key, the reply. A known peer has
a short list of them and no entry at all once they have ended; strangers share one bounded table.
"""

from collections import deque
from struct import Struct

from commandpost.protocols.coap.generations import GenerationTable
from commandpost.protocols.coap.peer import Peer

_ENDS_AT = Struct(">d")
_KEY_OFFSET = _ENDS_AT.size
_SWEPT_PER_RECORD = 2  # more than one, so that sweeping always catches up
_SWEEP_SLACK = 1_024  # queue entries of forgotten peers that are not worth a clean-up


class AnswerStore:
    """The answers of one endpoint."""

    __slots__ = ("_answer_bytes_max", "_by_peer", "_lifetime_s", "_per_peer_max", "_strangers", "_sweep")

    def __init__(
        self, *, lifetime_s: float, per_peer_max: int, stranger_answers_max: int, answer_bytes_max: int
    ) -> None:
        self._lifetime_s = lifetime_s
        self._per_peer_max = per_peer_max
        self._answer_bytes_max = answer_bytes_max
        self._by_peer: dict[Peer, list[bytes]] = {}
        self._sweep: deque[tuple[float, Peer]] = deque()
        self._strangers: GenerationTable[tuple[Peer, bytes], bytes] = GenerationTable(
            entries_max=stranger_answers_max, lifetime_s=lifetime_s
        )

    def __len__(self) -> int:
        """Count the answers held, for known peers and strangers."""
        return sum(len(records) for records in self._by_peer.values()) + len(self._strangers)

    def find(self, peer: Peer, key: bytes, *, now: float) -> bytes | None:
        """Give the answer to a message seen before.

        Returns:
            None if it is new. Empty if there is nothing to send again: not answered yet, or not to be answered.
        """
        records = self._by_peer.get(peer)
        if records is not None:
            for record in records:
                # The first byte of the key holds the token length, so equal beginnings are equal keys.
                if record.startswith(key, _KEY_OFFSET):
                    if _ENDS_AT.unpack_from(record)[0] > now:
                        return record[_KEY_OFFSET + len(key) :]
                    records.remove(record)
                    break
        stranger_record = self._strangers.get((peer, key))
        if stranger_record is None or _ENDS_AT.unpack_from(stranger_record)[0] <= now:
            return None
        return stranger_record[_KEY_OFFSET + len(key) :]

    def begin(self, peer: Peer, key: bytes, *, is_known: bool, now: float) -> None:
        """Remember a new message; it has no answer yet. The oldest of a known peer is forgotten for the ninth."""
        record = _ENDS_AT.pack(now + self._lifetime_s) + key
        if not is_known:
            self._strangers.put((peer, key), record, now=now)
            return
        records = self._by_peer.get(peer)
        if records is None:
            self._by_peer[peer] = [record]
            self._sweep.append((now + self._lifetime_s, peer))
        else:
            records.append(record)
            if len(records) > self._per_peer_max:
                del records[0]
        self._sweep_some(now)

    def settle(self, peer: Peer, key: bytes, reply: bytes) -> None:
        """Put the answer to a message, which its duplicates get from now on.

        An answer too large to keep is not kept: duplicates are then dropped in silence.
        """
        if len(reply) > self._answer_bytes_max:
            return
        for index, record in enumerate(self._by_peer.get(peer, ())):
            if record.startswith(key, _KEY_OFFSET):
                self._by_peer[peer][index] = record[: _KEY_OFFSET + len(key)] + reply
                return
        record_of_stranger = self._strangers.get((peer, key))
        if record_of_stranger is not None:
            self._strangers.replace((peer, key), record_of_stranger[: _KEY_OFFSET + len(key)] + reply)

    def drop(self, peer: Peer, key: bytes) -> None:
        """Forget one message as if it had never come, so that its repetition is new."""
        for record in self._by_peer.get(peer, ()):
            if record.startswith(key, _KEY_OFFSET):
                self._by_peer[peer].remove(record)
                break
        self._strangers.discard((peer, key))

    def forget(self, peer: Peer) -> None:
        """Forget the answers to a known peer."""
        if self._by_peer.pop(peer, None) is not None and len(self._sweep) > 2 * len(self._by_peer) + _SWEEP_SLACK:
            self._sweep = deque((ends_at, peer) for ends_at, peer in self._sweep if peer in self._by_peer)

    def _sweep_some(self, now: float) -> None:
        """Drop what has ended, a little with every new message, so that idle peers cost nothing."""
        for _ in range(_SWEPT_PER_RECORD):
            if not self._sweep or self._sweep[0][0] > now:
                return
            _, peer = self._sweep.popleft()
            records = self._by_peer.get(peer)
            if records is None:
                continue
            left = [record for record in records if _ENDS_AT.unpack_from(record)[0] > now]
            if left:
                self._by_peer[peer] = left
                self._sweep.append((now + self._lifetime_s, peer))
            else:
                del self._by_peer[peer]

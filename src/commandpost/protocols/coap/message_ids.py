"""Message ids: per known peer one rising sequence from a random start, one shared sequence for everybody else.

Ids rise and seldom wrap because module firmware drops a request whose id is below the last one it saw. A known peer
never sees an id twice within the exchange lifetime. To know that costs next to nothing: only when a lap of 4,096 ids is
left is the time noted, and a lap is not entered again before it has rested. An id that is still open is skipped by the
caller. Strangers are sent no requests, so the shared sequence is not watched.

Source: RFC 7252 section 4.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from commandpost.protocols.coap.generations import GenerationTable
from commandpost.protocols.coap.peer import Peer

if TYPE_CHECKING:
    from random import Random


_LAP_IDS = 4_096
_LAPS = 65_536 // _LAP_IDS


class MessageIds:
    """Who is known, and the next message id for each."""

    __slots__ = ("_former", "_left_at", "_lifetime_s", "_next", "_next_for_strangers", "_random")

    def __init__(self, *, random: Random, former_peers_max: int, lifetime_s: float) -> None:
        self._random = random
        self._next: dict[Peer, int] = {}
        self._next_for_strangers = random.getrandbits(16)
        self._lifetime_s = lifetime_s
        # A peer forgotten and known again within the lifetime goes on where it stopped.
        self._former: GenerationTable[Peer, int] = GenerationTable(entries_max=former_peers_max, lifetime_s=lifetime_s)
        # When a peer's lap was left; one entry stands for 4,096 messages, so the same bound is ample.
        self._left_at: GenerationTable[tuple[Peer, int], float] = GenerationTable(
            entries_max=former_peers_max, lifetime_s=lifetime_s
        )

    def __contains__(self, peer: Peer) -> bool:
        """Tell whether the peer is known."""
        return peer in self._next

    def __len__(self) -> int:
        """Count the known peers."""
        return len(self._next)

    def know(self, peer: Peer) -> None:
        """Give a peer a sequence of its own; nothing changes if it has one."""
        if peer not in self._next:
            former = self._former.get(peer)
            self._next[peer] = self._random.getrandbits(16) if former is None else former

    def forget(self, peer: Peer, *, now: float) -> None:
        """Take a peer's sequence away, remembering for a while where it stopped."""
        following = self._next.pop(peer, None)
        if following is not None:
            self._former.put(peer, following, now=now)

    def following(self, peer: Peer) -> int:
        """Give the message id whose turn is next, without taking it."""
        return self._next.get(peer, self._next_for_strangers)

    def take(self, peer: Peer, *, now: float) -> int | None:
        """Give the next message id for a peer; None if all were used within the lifetime."""
        message_id = self._next.get(peer)
        if message_id is None:
            message_id = self._next_for_strangers
            self._next_for_strangers = (message_id + 1) & 0xFFFF
            return message_id
        if message_id % _LAP_IDS == 0 and not self._enter_lap(peer, message_id // _LAP_IDS, now=now):
            return None
        self._next[peer] = (message_id + 1) & 0xFFFF
        return message_id

    def _enter_lap(self, peer: Peer, lap: int, *, now: float) -> bool:
        left_at = self._left_at.get((peer, lap))
        if left_at is not None and now - left_at < self._lifetime_s:
            return False
        self._left_at.put((peer, (lap - 1) % _LAPS), now, now=now)
        return True

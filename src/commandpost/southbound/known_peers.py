"""Which peers the CoAP endpoint holds message ids and remembered answers for, and until when.

A device is known from its first accepted uplink. It stays known for a while after its session has left an address,
because a duplicate of the very request that ended the session must still get the stored answer; and it is dropped when
it has been silent for long, because behind a NAT every wake-up may bring a new address that is never used again.
"""

from collections import deque
from typing import Final, Protocol

from commandpost.domain.session import Remote
from commandpost.protocols.coap.peer import Peer

LINGER_S: Final = 247.0  # EXCHANGE_LIFETIME (RFC 7252 section 4.8.2): until then a duplicate may come
_SWEPT_PER_UPLINK: Final = 2  # more than the one it may add, so that sweeping always catches up
_EVICTION_CANDIDATES: Final = 8  # of a few, the one heard longest ago: nearly as good as of all, and never slow


class PeerMemory(Protocol):
    """What the endpoint does for a peer."""

    def know_peer(self, peer: Peer) -> None:
        """Give it a memory."""
        ...

    def forget_peer(self, peer: Peer) -> None:
        """Take it away."""
        ...


class KnownPeers:
    """The peers of one endpoint, each with the time at which it may be forgotten.

    A ring is gone round a little with every uplink, so that nothing has to be kept sorted: a million of them cost a
    dictionary entry and eight bytes each.
    """

    __slots__ = ("_ends_at", "_idle_s", "_memory", "_peers_max", "_ring")

    def __init__(self, *, memory: PeerMemory, peers_max: int, idle_s: float) -> None:
        self._memory = memory
        self._peers_max = peers_max
        self._idle_s = idle_s
        self._ends_at: dict[Remote, float] = {}
        self._ring: deque[Remote] = deque()

    def __len__(self) -> int:
        """Count the known peers, those about to leave too."""
        return len(self._ends_at)

    def __contains__(self, remote: Remote) -> bool:
        """Tell whether the peer is known."""
        return remote in self._ends_at

    def keep(self, remote: Remote, *, now: float) -> None:
        """Know a peer, or go on knowing it; when there is no room, one that was heard long ago makes it."""
        if remote not in self._ends_at:
            if len(self._ends_at) >= self._peers_max:
                self._evict()
            self._memory.know_peer(remote)
            self._ring.append(remote)
        self._ends_at[remote] = now + self._idle_s
        self._sweep(now)

    def release(self, remote: Remote, *, now: float) -> None:
        """Forget a peer once no duplicate can come any more, unless it is kept again before."""
        ends_at = self._ends_at.get(remote)
        if ends_at is not None:
            self._ends_at[remote] = min(ends_at, now + LINGER_S)

    def _sweep(self, now: float) -> None:
        for _ in range(min(_SWEPT_PER_UPLINK, len(self._ring))):
            remote = self._ring[0]
            if self._ends_at[remote] <= now:
                self._ring.popleft()
                self._forget(remote)
            else:
                self._ring.rotate(-1)

    def _evict(self) -> None:
        candidates = [self._ring.popleft() for _ in range(min(_EVICTION_CANDIDATES, len(self._ring)))]
        victim = min(candidates, key=self._ends_at.__getitem__)
        self._ring.extend(remote for remote in candidates if remote is not victim)
        self._forget(victim)

    def _forget(self, remote: Remote) -> None:
        del self._ends_at[remote]
        self._memory.forget_peer(remote)

"""Who is known to the engine, and for how long."""

from commandpost.domain.session import Remote
from commandpost.protocols.coap.peer import Peer
from commandpost.southbound.known_peers import LINGER_S, KnownPeers


class RecordingMemory:
    def __init__(self) -> None:
        self.known: list[Peer] = []

    def know_peer(self, peer: Peer) -> None:
        assert peer not in self.known
        self.known.append(peer)

    def forget_peer(self, peer: Peer) -> None:
        self.known.remove(peer)


A, B, C = Remote(b"a"), Remote(b"b"), Remote(b"c")


def make_peers(memory: RecordingMemory, *, peers_max: int = 100, idle_s: float = 1000.0) -> KnownPeers:
    return KnownPeers(memory=memory, peers_max=peers_max, idle_s=idle_s)


def test_released_peer_stays_until_no_duplicate_can_come() -> None:
    """A duplicate of the De-register must find its answer."""
    memory = RecordingMemory()
    peers = make_peers(memory)
    peers.keep(A, now=0.0)

    peers.release(A, now=1.0)
    peers.keep(B, now=LINGER_S)
    assert memory.known == [A, B]

    peers.keep(B, now=1.0 + LINGER_S)
    assert memory.known == [B]


def test_peer_that_comes_back_stays() -> None:
    """A re-registration from the same address releases and keeps it."""
    memory = RecordingMemory()
    peers = make_peers(memory)
    peers.keep(A, now=0.0)
    peers.release(A, now=1.0)

    peers.keep(A, now=2.0)
    peers.keep(B, now=2.0 + LINGER_S)

    assert memory.known == [A, B]
    assert A in peers


def test_silent_peers_are_dropped_as_fast_as_new_ones_come() -> None:
    """Behind a NAT every wake-up brings a new address: what is held stays near what was heard lately."""
    memory = RecordingMemory()
    peers = make_peers(memory, peers_max=100_000, idle_s=100)

    for number in range(10_000):
        peers.keep(Remote(b"%d" % number), now=float(number))

    assert 100 <= len(peers) == len(memory.known) <= 250


def test_one_that_was_heard_long_ago_makes_room() -> None:
    """Bounded whatever comes; those on their way out go first."""
    memory = RecordingMemory()
    peers = make_peers(memory, peers_max=2)
    peers.keep(A, now=0.0)
    peers.keep(B, now=1.0)
    peers.keep(A, now=2.0)

    peers.keep(C, now=3.0)
    assert memory.known == [A, C]

    peers.release(C, now=4.0)
    peers.keep(B, now=5.0)
    assert memory.known == [A, B]


def test_ten_thousand_more_than_allowed_are_still_the_allowed_number() -> None:
    """Neither memory nor time grows."""
    memory = RecordingMemory()
    peers = make_peers(memory, peers_max=50, idle_s=1e9)

    for number in range(10_000):
        peers.keep(Remote(b"%d" % number), now=float(number))

    assert len(peers) == len(memory.known) == 50


def test_unknown_peer_is_released_without_a_trace() -> None:
    """Sessions leave addresses we never heard from after a restart."""
    peers = make_peers(RecordingMemory())

    peers.release(A, now=0.0)

    assert len(peers) == 0

"""Addresses in doubt: southbound reference 4.4."""

from commandpost.domain.session import Remote
from commandpost.southbound.unproven_peers import UnprovenPeers

HERE, THERE = Remote(b"here"), Remote(b"there")


def doubting(received_bytes: int) -> UnprovenPeers:
    peers = UnprovenPeers(idle_s=100.0)
    peers.doubt(HERE, received_bytes, now=0.0)
    return peers


def test_three_times_what_came_may_go_and_not_a_byte_more() -> None:
    """Whatever the datagrams are cut into."""
    peers = doubting(20)

    assert [peers.spend(HERE, 30), peers.spend(HERE, 31), peers.spend(HERE, 30), peers.spend(HERE, 1)] == [
        True,
        False,
        True,
        False,
    ]
    assert peers.withheld == 2


def test_what_comes_later_adds_to_the_credit() -> None:
    """Of the address it came from alone."""
    peers = doubting(10)
    peers.spend(HERE, 30)

    peers.receive(HERE, 5)
    peers.receive(THERE, 500)

    assert peers.spend(HERE, 15)
    assert not peers.spend(HERE, 1)
    assert THERE not in peers


def test_asking_again_is_no_new_credit_beyond_its_bytes() -> None:
    """A second Register from an address in doubt does not begin anew."""
    peers = doubting(10)
    peers.spend(HERE, 30)

    peers.doubt(HERE, 10, now=1.0)

    assert not peers.spend(HERE, 1)


def test_other_addresses_and_proven_ones_are_not_counted() -> None:
    """Trust ends the doubt."""
    peers = doubting(1)

    assert peers.spend(THERE, 10_000)
    peers.trust(HERE)
    assert peers.spend(HERE, 10_000)
    assert len(peers) == 0


def test_addresses_in_doubt_are_bounded() -> None:
    """A flood of accepted registrations from made-up addresses costs a table and no more."""
    peers = UnprovenPeers(idle_s=1e9)

    for number in range(100_000):
        peers.doubt(Remote(number.to_bytes(7, "big")), 50, now=0.0)

    assert len(peers) <= 65_536

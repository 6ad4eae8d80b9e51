"""Who is let in and who has to go when there are too many connections."""

from commandpost.southbound.stream_server import StreamLimits, StreamRegistry
from tests.unit.southbound.stream_fakes import FakePeer, StreamBench


def filled(registry: StreamRegistry, bench: StreamBench, count: int) -> list[FakePeer]:
    peers = [bench.another()[0] for _ in range(count)]
    for peer in peers:
        assert registry.opened(peer)
    return peers


def test_the_oldest_that_has_not_logged_in_makes_room() -> None:
    """Idle sockets of nobody never keep a device out."""
    bench = StreamBench()
    registry = StreamRegistry(limits=StreamLimits(connections_max=10, unproven_max=2), events=bench.events)
    first, second = filled(registry, bench, 2)
    third, _ = bench.another()

    assert registry.opened(third)
    assert [first.is_open, second.is_open, third.is_open] == [False, True, True]
    bench.scheduler.run_soon()
    assert first.engine.end == ("it made room for another: 2 may be open without a login", True)
    assert (len(registry), registry.evicted) == (2, 1)


def test_those_who_have_logged_in_are_not_evicted() -> None:
    bench = StreamBench()
    registry = StreamRegistry(limits=StreamLimits(connections_max=10, unproven_max=1), events=bench.events)
    peers = []
    for _ in range(5):
        peers += filled(registry, bench, 1)
        registry.proven(peers[-1])

    assert all(peer.is_open for peer in peers)
    assert (len(registry), registry.evicted) == (5, 0)


def test_a_full_house_takes_nobody() -> None:
    bench = StreamBench()
    registry = StreamRegistry(limits=StreamLimits(connections_max=3, unproven_max=3), events=bench.events)
    peers = filled(registry, bench, 3)
    for peer in peers:
        registry.proven(peer)
    late, _ = bench.another()
    is_taken = registry.opened(late)
    registry.closed(peers[0])

    assert (is_taken, registry.refused, late.is_open) == (False, 1, False)
    late, _ = bench.another()
    assert registry.opened(late)


def test_a_connection_that_was_evicted_while_its_login_was_decided_is_not_counted_again() -> None:
    """Its login comes too late: it stays out of both lists."""
    bench = StreamBench()
    registry = StreamRegistry(limits=StreamLimits(connections_max=10, unproven_max=1), events=bench.events)
    (first,) = filled(registry, bench, 1)
    filled(registry, bench, 1)
    registry.proven(first)
    registry.closed(first)

    assert len(registry) == 1


def test_at_the_end_everybody_goes() -> None:
    bench = StreamBench()
    registry = StreamRegistry(limits=StreamLimits(), events=bench.events)
    peers = filled(registry, bench, 4)
    registry.proven(peers[0])
    registry.abort_all()

    assert not any(peer.is_open for peer in peers)
    bench.scheduler.run_soon()
    assert {peer.engine.end for peer in peers} == {("the server stops", True)}

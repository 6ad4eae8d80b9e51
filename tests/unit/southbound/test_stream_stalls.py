"""When a peer counts as one that takes nothing: by what it has taken, not by what lies there for it."""

from commandpost.southbound.stream_peer import WRITE_STALL_S
from tests.unit.southbound.stream_fakes import StreamBench


def test_a_peer_that_takes_nothing_is_let_go_after_a_while() -> None:
    """WRITE_STALL_S, told to the log."""
    bench = StreamBench(takes_all=False)
    bench.write(b"payload")
    bench.pass_time(WRITE_STALL_S - 1)
    before = bench.transport.is_aborted
    bench.pass_time(2)

    assert (before, bench.transport.is_aborted) == (False, True)
    assert bench.events.count("stream_dropped_for_stall") == 1


def test_a_peer_that_takes_a_little_now_and_then_stays() -> None:
    bench = StreamBench(takes_all=False)
    bench.write(b"x" * 100)
    for _ in range(5):
        bench.pass_time(WRITE_STALL_S - 1)
        bench.transport.drain(1)

    assert not bench.transport.is_aborted


def test_a_peer_that_takes_a_little_of_a_burst_stays() -> None:
    """What follows the write that filled the buffer is nothing that the peer has failed to take."""
    bench = StreamBench(takes_all=False)
    for _ in range(16):
        bench.write(b"x" * 64_000)
    for _ in range(5):
        bench.pass_time(WRITE_STALL_S - 1)
        bench.transport.drain(1)

    assert not bench.transport.is_aborted


def test_a_peer_that_takes_less_than_is_written_meanwhile_stays() -> None:
    """Its buffer grows, and it is there all the same; OUTPUT_BYTES_MAX is another rule."""
    bench = StreamBench(takes_all=False)
    for _ in range(5):
        bench.write(b"x" * 100)
        bench.pass_time(WRITE_STALL_S - 1)
        bench.transport.drain(1)

    assert not bench.transport.is_aborted


def test_writing_more_to_a_peer_that_takes_nothing_keeps_it_no_longer() -> None:
    bench = StreamBench(takes_all=False)
    for _ in range(4):
        bench.write(b"x" * 100)
        bench.pass_time(WRITE_STALL_S / 3)

    assert bench.transport.is_aborted


def test_a_peer_that_was_slow_once_is_not_counted_as_stalled_later() -> None:
    bench = StreamBench(takes_all=False)
    bench.write(b"payload")
    bench.pass_time(WRITE_STALL_S / 2)
    bench.transport.drain()
    bench.pass_time(WRITE_STALL_S)
    bench.write(b"another")
    bench.pass_time(WRITE_STALL_S - 1)

    assert not bench.transport.is_aborted

"""Any bytes to a TLS connection: nothing is raised, the peer hears nothing that nobody said, and it ends in time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commandpost.southbound.tls_stream import SHUTDOWN_S
from tests.unit.southbound.tls_bench import LoneTls, TlsContexts

WORDS = b"".join(b"%06d" % number for number in range(10_000))


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> TlsContexts:
    """One certificate for all of them."""
    return TlsContexts.write(tmp_path_factory.mktemp("tls"))


def close(tls: LoneTls) -> None:
    """End it from our side, with nobody at the other one."""
    tls.stream.close()
    tls.pass_time(3 * SHUTDOWN_S)
    assert tls.peer.said[-1] == "lost"
    assert tls.peer.said.count("lost") == 1
    assert tls.scheduler.timers == 0


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=200) | st.binary(max_size=100).map(lambda body: b"\x16\x03\x01\0" + body)))
def test_any_bytes_instead_of_a_handshake(contexts: TlsContexts, said: list[bytes]) -> None:
    tls = LoneTls(contexts, is_shaken=False)
    for each in said:
        tls.stream.data_received(each)
    close(tls)

    assert tls.peer.pieces == []


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([0, 1, 2]), st.integers(0, 1_000_000), st.integers(1, 255), st.integers(1, 70_000))
def test_any_byte_changed_on_the_way(contexts: TlsContexts, flight: int, at: int, by: int, size: int) -> None:
    """In the hello, in what ends the handshake, or later: the peer gets what was said before, and no word else."""
    tls = LoneTls(contexts, is_shaken=False)
    for number in range(3):
        said = bytearray(tls.hello() if number < 2 else tls.say(WORDS[:size]))
        if number == flight:
            said[at % len(said)] ^= by
        tls.stream.data_received(bytes(said))
        tls.incoming.write(tls.raw.take())
        if number == flight:
            break
    close(tls)

    assert WORDS.startswith(b"".join(tls.peer.pieces))
    assert len(b"".join(tls.peer.pieces)) < size


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(100, 5_000) | st.integers(100, 70_000), min_size=1, max_size=40), st.integers(0, 2**32 - 1))
def test_what_is_cut_anywhere_arrives_whole(contexts: TlsContexts, sizes: list[int], pauses: int) -> None:
    """However it is split, and wherever the peer pauses."""
    tls = LoneTls(contexts)
    records = tls.say(WORDS)
    at, number = 0, 0
    while at < len(records):
        if pauses >> number % 32 & 1:
            tls.stream.pause_reading()
        else:
            tls.stream.resume_reading()
            tls.scheduler.run_soon()
        size = sizes[number % len(sizes)]
        tls.stream.data_received(records[at : at + size])
        at, number = at + size, number + 1
    tls.stream.resume_reading()
    tls.scheduler.run_soon()

    assert b"".join(tls.peer.pieces) == WORDS

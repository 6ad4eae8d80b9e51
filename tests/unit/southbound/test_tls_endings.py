"""How a TLS connection ends: with a goodbye or without, by whom, why, and within what time."""

import ssl

import pytest

from commandpost.southbound.tls_stream import LINGER_BYTES_MAX, SHUTDOWN_S, HandshakeFailed
from tests.unit.southbound.tls_bench import LoneTls, TlsContexts

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def cut_off(tls: LoneTls) -> bool:
    """The stream below has ended; whether it is kept all the same."""
    is_kept = tls.stream.eof_received()
    if not is_kept:
        tls.raw.close()  # as the loop does then
    tls.scheduler.run_soon()
    return is_kept


# --- handshakes that fail ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"GET /devices HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP_REQUEST"),
        (bytes.fromhex("10 18 00 04 4d 51 54 54 04 02 00 3c 00 0c") + b"x" * 12, "WRONG_VERSION_NUMBER"),
        (b"\x16\x03\x01\x00\x05\x63hello", "UNEXPECTED_MESSAGE"),
        (b"\x16\x03\x01\xff\xff" + b"x" * 70_000, "WRONG_VERSION_NUMBER|ENCRYPTED_LENGTH_TOO_LONG|PACKET_LENGTH"),
    ],
    ids=["http", "mqtt", "no hello", "a record too long"],
)
def test_what_is_not_tls_ends_the_connection_quietly(contexts: TlsContexts, said: bytes, why: str) -> None:
    """Nothing is raised, the peer is told why, and an alert is all that is answered."""
    tls = LoneTls(contexts, is_shaken=False)
    tls.stream.data_received(said)
    tls.stream.data_received(said)
    tls.scheduler.run_soon()

    assert tls.raw.take()[:1] in (b"", b"\x15")
    assert tls.raw.is_closed and tls.stream.is_closing()
    assert (tls.peer.said, tls.peer.pieces) == (["made", "lost"], [])
    assert isinstance(tls.peer.error, HandshakeFailed)
    assert any(each in str(tls.peer.error) for each in why.split("|")), tls.peer.error


def test_a_client_that_knows_old_versions_only_is_refused(contexts: TlsContexts) -> None:
    """TLS 1.1 is none of ours; the alert says so."""
    hello = bytes.fromhex("16 0302 002d 01 000029 0302") + bytes(32) + bytes.fromhex("00 0002 c00a 01 00")
    tls = LoneTls(contexts, is_shaken=False)
    tls.stream.data_received(hello)
    tls.scheduler.run_soon()

    assert tls.raw.take()[0] == 0x15
    assert isinstance(tls.peer.error, HandshakeFailed)


@pytest.mark.parametrize("error", [None, ConnectionResetError("reset")])
def test_who_leaves_amid_the_handshake_is_told_as_such(contexts: TlsContexts, error: Exception | None) -> None:
    tls = LoneTls(contexts, is_shaken=False)
    tls.stream.data_received(tls.hello())
    if error is None:
        assert not cut_off(tls)
    else:
        tls.raw.break_off(error)
        tls.scheduler.run_soon()

    assert str(tls.peer.error) == f"the TLS handshake was not completed: {error or 'the peer left'}"
    assert tls.peer.said == ["made", "lost"]


@pytest.mark.parametrize("how", ["close", "abort"])
def test_a_connection_is_given_up_before_its_handshake_is_done(contexts: TlsContexts, how: str) -> None:
    """At once: there is nobody to say goodbye to, and nobody who would have to answer."""
    tls = LoneTls(contexts, is_shaken=False)
    tls.stream.data_received(tls.hello())
    tls.raw.take()
    getattr(tls.stream, how)()
    tls.scheduler.run_soon()

    assert (tls.raw.is_aborted, tls.raw.take(), tls.peer.said) == (True, b"", ["made", "lost"])
    assert tls.scheduler.timers == 0


# --- we close ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_closing_sends_what_is_written_and_a_goodbye(contexts: TlsContexts, version: ssl.TLSVersion) -> None:
    """Then it waits for the other end's: closed at once, a reset could overtake what was written."""
    tls = LoneTls(contexts, version=version, takes_all=False)
    tls.stream.write(b"x" * 200_000)
    tls.stream.close()
    tls.stream.write(b"too late")
    amid = (tls.stream.is_closing(), tls.raw.has_ended_output, tls.raw.is_closing())
    heard = b""
    while tls.raw.unread_bytes:
        heard += tls.heard()
        tls.raw.drain()
    heard += tls.heard()
    waiting = (tls.raw.has_ended_output, tls.raw.is_closing())
    tls.stream.data_received(tls.goodbye())
    assert not cut_off(tls)

    assert (amid, waiting) == ((True, False, False), (True, False))
    assert heard == b"x" * 200_000 + b"|"
    assert (tls.peer.said[-1], tls.peer.error) == ("lost", None)
    assert tls.scheduler.timers == 0


def test_closing_ends_in_time_when_the_other_end_takes_nothing(contexts: TlsContexts) -> None:
    tls = LoneTls(contexts, takes_all=False)
    tls.stream.write(b"x" * 200_000)
    tls.stream.close()
    tls.pass_time(SHUTDOWN_S - 0.1)
    before = tls.raw.is_aborted
    tls.pass_time(0.1)

    assert (before, tls.raw.is_aborted) == (False, True)
    assert tls.peer.said == ["made", "full", "lost"]


def test_closing_waits_for_whom_takes_a_little_at_a_time(contexts: TlsContexts) -> None:
    """But not for a goodbye that never comes."""
    tls = LoneTls(contexts, takes_all=False)
    tls.stream.write(b"x" * 200_000)
    tls.stream.close()
    heard = b""
    while tls.raw.unread_bytes:
        tls.pass_time(SHUTDOWN_S * 0.9)
        heard += tls.heard()
        tls.raw.drain(min(tls.raw.unread_bytes, 20_000))
        assert not tls.raw.is_aborted
    heard += tls.heard()
    tls.pass_time(2 * SHUTDOWN_S)

    assert heard == b"x" * 200_000 + b"|"
    assert tls.raw.is_aborted
    assert "goodbye" in str(tls.peer.error)


def test_closing_while_reading_is_paused_reads_the_rest_of_the_pipe(contexts: TlsContexts) -> None:
    """To drop it: what comes after the end is nobody's, and is bounded."""
    tls = LoneTls(contexts)
    tls.stream.pause_reading()
    tls.send(b"x")
    tls.stream.close()
    for _ in range(LINGER_BYTES_MAX // 65_536):
        tls.stream.data_received(b"y" * 65_536)
    before = (tls.raw.reads, tls.raw.is_aborted)
    tls.stream.data_received(b"y")

    assert before == (True, False)
    assert tls.raw.is_aborted
    assert tls.peer.pieces == []


def test_aborting_says_nothing_and_keeps_nothing(contexts: TlsContexts) -> None:
    tls = LoneTls(contexts, takes_all=False)
    tls.stream.write(b"x" * 200_000)
    tls.heard()
    tls.stream.abort()
    tls.scheduler.run_soon()
    tls.stream.write(b"x")
    tls.stream.close()
    tls.stream.resume_writing()

    assert (tls.raw.is_aborted, tls.raw.take(), tls.peer.said) == (True, b"", ["made", "full", "lost"])
    assert tls.scheduler.timers == 0


# --- the other end closes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_a_goodbye_is_a_clean_end(contexts: TlsContexts, version: ssl.TLSVersion) -> None:
    """What came before it is handed on, what is written still goes out, and it is answered."""
    tls = LoneTls(contexts, version=version)
    tls.raw.takes_all = False
    tls.stream.write(b"x" * 200_000)
    tls.stream.data_received(tls.say(b"last words") + tls.goodbye())
    said = list(tls.peer.said)
    while tls.raw.unread_bytes:
        tls.raw.drain()
    tls.scheduler.run_soon()

    assert (tls.peer.pieces, said) == ([b"last words"], ["made", "full", "eof"])
    assert tls.raw.is_closed and not tls.raw.is_aborted
    assert len(tls.raw.take()) > 200_000
    assert (tls.peer.said[-1], tls.peer.error) == ("lost", None)


def test_an_end_without_a_goodbye_is_no_clean_one(contexts: TlsContexts) -> None:
    """Somebody on the way may have cut it off: what came before counts, and the peer is told that it may not be all."""
    tls = LoneTls(contexts)
    tls.send(b"last words")
    assert not cut_off(tls)

    assert tls.peer.pieces == [b"last words"]
    assert tls.peer.said == ["made", "lost"]
    assert str(tls.peer.error) == "the peer left without a TLS goodbye"


@pytest.mark.parametrize("is_clean", [True, False])
def test_an_end_waits_for_a_peer_that_has_paused(contexts: TlsContexts, is_clean: bool) -> None:
    """What came before it comes first."""
    tls = LoneTls(contexts)
    tls.stream.pause_reading()
    tls.stream.data_received(tls.say(b"last words") + (tls.goodbye() if is_clean else b""))
    assert cut_off(tls)
    before = list(tls.peer.said)
    tls.stream.resume_reading()
    tls.scheduler.run_soon()

    assert (before, tls.peer.pieces) == (["made"], [b"last words"])
    assert tls.peer.said == (["made", "eof", "lost"] if is_clean else ["made", "lost"])
    assert (tls.peer.error is None) is is_clean


def test_a_stream_cut_off_while_we_close_takes_what_is_written(contexts: TlsContexts) -> None:
    """Half a connection is enough for that."""
    tls = LoneTls(contexts, takes_all=False)
    tls.stream.write(b"x" * 200_000)
    tls.stream.close()
    assert cut_off(tls)
    heard = b""
    while tls.raw.unread_bytes:
        heard += tls.heard()
        tls.raw.drain()
    tls.scheduler.run_soon()

    assert heard + tls.heard() == b"x" * 200_000 + b"|"
    assert tls.raw.is_closed and tls.peer.said[-1] == "lost"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_forged_record_ends_the_connection(contexts: TlsContexts, version: ssl.TLSVersion) -> None:
    """What came before it counts; the alert has its chance, and whoever does not take it is not waited for."""
    tls = LoneTls(contexts, version=version, takes_all=False)
    first, forged = tls.say(b"first"), bytearray(tls.say(b"forged"))
    forged[-1] ^= 1
    tls.stream.data_received(first + forged + tls.say(b"after"))
    tls.stream.data_received(tls.say(b"after"))
    alert = tls.raw.take()
    tls.pass_time(SHUTDOWN_S)

    assert tls.peer.pieces == [b"first"]
    assert alert[:1] in (b"\x15", b"\x17")  # TLS 1.3 hides what kind it is
    assert tls.raw.is_aborted
    assert tls.peer.said[-1] == "lost"
    assert isinstance(tls.peer.error, ssl.SSLError)


def test_a_lost_connection_is_told_once_with_its_error(contexts: TlsContexts) -> None:
    tls = LoneTls(contexts, takes_all=False)
    tls.stream.write(b"x" * 200_000)
    tls.raw.break_off(ConnectionResetError("reset"))
    tls.scheduler.run_soon()
    tls.stream.abort()
    tls.stream.resume_writing()

    assert tls.peer.said == ["made", "full", "lost"]
    assert isinstance(tls.peer.error, ConnectionResetError)
    assert tls.stream.is_closing()
